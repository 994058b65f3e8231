package ssi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"tillgate/internal/payment"
)

// maxText bounds what is kept of one value, in bytes.
const maxText = 128

// errAnswer is wrapped by every error about bytes that are no answer.
var errAnswer = errors.New("not an answer of this protocol")

// text is a value as text, however it was written: firmware sends numbers as
// strings and as numbers. Objects and arrays are "".
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	s, err := textOf(b)
	*t = text(payment.Clip(s, maxText))
	return err
}

// textOf makes a value one line. Ids of some terminals are padded with blanks.
func textOf(b []byte) (string, error) {
	var s string
	switch b[0] {
	case '"':
		s = string(b[1 : len(b)-1])
		if strings.IndexByte(s, '\\') >= 0 || !utf8.ValidString(s) {
			if err := json.Unmarshal(b, &s); err != nil {
				return "", err
			}
		}
	case '{', '[', 'n':
	default:
		s = string(b)
	}
	return oneLine(s), nil
}

func oneLine(s string) string { return strings.TrimSpace(payment.Printable(s)) }

// prose is text for people, from which card numbers are taken out: the
// terminal repeats in it what it prints. They are taken out before it is cut:
// half of one would not be found.
type prose string

func (p *prose) UnmarshalJSON(b []byte) error {
	s, err := textOf(b)
	*p = prose(payment.Clip(withoutPAN(s), maxText))
	return err
}

// withoutPAN replaces every run of 12 and more digits, blanks and dashes
// between them not counted, by "***".
func withoutPAN(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		j, digits, last := i, 0, i
		for j < len(s) && (s[j] >= '0' && s[j] <= '9' || digits > 0 && (s[j] == ' ' || s[j] == '-')) {
			if j++; s[j-1] >= '0' && s[j-1] <= '9' {
				digits++
				last = j
			}
		}
		switch {
		case digits >= 12:
			out.WriteString("***")
			i = last
		case digits > 0:
			out.WriteString(s[i:last])
			i = last
		default:
			out.WriteByte(s[i])
			i++
		}
	}
	return out.String()
}

// card is what is kept of a card number.
type card struct{ payment.PAN }

func (c *card) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		c.PAN = payment.MaskPAN(s)
	}
	return nil
}

// flag is a boolean, however it was written.
type flag struct{ set, is bool }

func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	switch strings.ToLower(string(t)) {
	case "true", "1":
		*f = flag{true, true}
	case "false", "0":
		*f = flag{true, false}
	case "": // null
	default:
		return errors.New("neither true nor false")
	}
	return nil
}

// answer is one message from the terminal (4.3.1). Keys are found whatever
// their case; unknown ones are dropped (1.2), and with them track2,
// cardholderName and parValue, which have no field.
type answer struct {
	Method      text   `json:"method"`
	Error       flag   `json:"error"`
	Code        text   `json:"errorCode"`
	Description prose  `json:"errorDescription"`
	Details     prose  `json:"details"`
	Status      text   `json:"status"`
	Params      params `json:"params"`
}

// params is the section of that name, of every method.
type params struct {
	Status       text  `json:"status"` // some firmware has it here
	BusyCause    text  `json:"busyCause"`
	Details      prose `json:"details"`
	ErrorParams  prose `json:"errorParams"`
	ErrorDetails prose `json:"errorDetails"`

	Receipt   paper `json:"receipt"`
	Merchants names `json:"merchantList"`

	result
	report
	terminalInfo
}

// result is what GetLastResult tells of one operation (5.5.1).
type result struct {
	Trn      text `json:"originalTrnName"`
	Amount   text `json:"transAmount"`
	Discount text `json:"discount"`
	// EndAmount of a completion, where the terminal tells it apart.
	EndAmount text `json:"endAmount"`

	Auth     text `json:"authCode"`
	Date     text `json:"date"`
	Time     text `json:"time"`
	Date2    text `json:"transactionDate"` // later firmware, DDMMYYYY or YYYYMMDD
	Time2    text `json:"transactionTime"`
	Invoice  text `json:"invoiceNum"`
	Bank     text `json:"bankName"`
	MID      text `json:"merchantId"`
	PAN      card `json:"pan"`
	Response text `json:"responseCode"`
	RRN      text `json:"rrn"`
	Result   text `json:"transactionResult"`
	TID      text `json:"terminalId"`
	Entry    text `json:"posEntryMode"`
	Bin      text `json:"binName"`
	Uid      text `json:"transactionUid"`
	Currency text `json:"transCurrency"`
}

// report is what GetLastReport tells of a batch (5.5.4).
type report struct {
	Rows          []result `json:"transactions"`
	SaleCount     text     `json:"totalSaleCount"`
	SaleAmount    text     `json:"totalSaleAmount"`
	FinCount      text     `json:"totalFinAuthCount"`
	FinAmount     text     `json:"totalFinAuthAmount"`
	RefundCount   text     `json:"totalRefundCount"`
	RefundAmount  text     `json:"totalRefundAmount"`
	CashCount     text     `json:"totalCashCount"`
	CashAmount    text     `json:"totalCashAmount"`
	PaymentCount  text     `json:"totalPaymentCount"`
	PaymentAmount text     `json:"totalPaymentAmount"`
	VoidCount     text     `json:"totalVoidCount"`
	VoidAmount    text     `json:"totalVoidAmount"`
	Empty         flag     `json:"isBatchEmpty"`
	Batch         text     `json:"batchNumber"`
}

// terminalInfo is what GetTerminalInfo tells (5.5.9): of Android terminals the
// first part, of Linux ones the other.
type terminalInfo struct {
	Serial   text `json:"terminalSerialNumber"`
	Model    text `json:"terminalModel"`
	Android  text `json:"androidVersion"`
	App      app  `json:"currentApp"`
	Apps     apps `json:"paymentApps"`
	Security app  `json:"securityDriver"`

	Serial2  text `json:"pos_sn"`
	Model2   text `json:"model"`
	OS       text `json:"os_version"`
	Firmware text `json:"pci_fw_version"`
	Boot     text `json:"boot_version"`
	Profile  text `json:"devcfg_version"`
	NAPI     text `json:"napi_api_version"`
}

// linux says whether the terminal is one without Android: it has neither
// RestartPaymentApp nor printing.
func (i terminalInfo) linux() bool { return i.Serial == "" && (i.Serial2 != "" || i.OS != "") }

// UnmarshalJSON takes what is no object for nothing: the document's table says
// that most answers have no params, its samples show {}.
func (p *params) UnmarshalJSON(b []byte) error {
	type plain params
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, (*plain)(p))
}

// decode reads one message. Errors never quote a value.
func decode(b []byte) (answer, error) {
	var a answer
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return answer{}, fmt.Errorf("%w: no object", errAnswer)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			return answer{}, fmt.Errorf("%w: no JSON at offset %d", errAnswer, s.Offset)
		}
		return answer{}, fmt.Errorf("%w: a value of the wrong kind", errAnswer)
	}
	if a.Method == "" && !a.Error.set && a.Code == "" && a.status() == "" {
		return answer{}, fmt.Errorf("%w: neither method, error nor status", errAnswer)
	}
	return a, nil
}

// failed says whether the answer is an error (5.1). Some firmware leaves one of
// the two keys out.
func (a answer) failed() bool { return a.Error.is || !a.Error.set && a.Code != "" }

func (a answer) status() string {
	if a.Status != "" {
		return strings.ToUpper(string(a.Status))
	}
	return strings.ToUpper(string(a.Params.Status))
}

// code is the error code in one spelling: "E06".
func (a answer) code() string { return strings.ToUpper(string(a.Code)) }

// why is what the terminal says about an error, in one line.
func (a answer) why() string {
	var parts []string
	for _, p := range []prose{prose(a.code()), a.Description, a.Details, a.Params.Details, a.Params.ErrorParams, a.Params.ErrorDetails} {
		if p != "" {
			parts = append(parts, string(p))
		}
	}
	return payment.Clip(strings.Join(parts, ", "), maxText)
}
