package privat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

const (
	maxValue = 64 // bytes that are kept of a value
	maxList  = 64 // merchants that are kept of a list
)

// answer is what a terminal sends:
//
//	{"method":"..","step":0,"params":{..},"error":false,"errorDescription":""}
//
// Card holder, expiry date, tracks, PIN blocks and other entries of a customer
// have no field: they are dropped while decoding. Of the card number the last
// four digits are kept.
type answer struct {
	method  string
	msgType string // of a ServiceMessage
	failed  bool   // error
	text    string // errorDescription, however it is spelled
	code    string // responseCode, four digits; what is no number is as it came

	amount, discount, auth, invoice, rrn, rrnExt, tid, merchant  string
	date, time, issuer, scheme, acquirer, entry                  string
	signature, txnType, status, subMerchant                      string
	version, vendor, model, result, lastResult, stage, stageText string
	cash, cashGiven, balance, group, agreement                   string

	card    payment.PAN
	receipt string
	list    map[string]string // of merchants or masks, by number
}

// errMessage is wrapped by every error about bytes that are no message.
var errMessage = errors.New("not a message of this protocol")

// decode reads one frame. It accepts members it does not know, values that are
// not strings, the document's spellings of errorDescription, and blanks around
// method and msgType. It never quotes a value in an error.
//
// A message without "error" is no answer: on a line with an echo it is our own
// request. A member that decides about money and comes twice makes the frame
// unreadable.
func decode(b []byte) (answer, error) {
	var a answer
	hasError, once := false, map[string]bool{}
	err := object(b, func(key string, v json.RawMessage) error {
		if err := unique(once, key); err != nil {
			return err
		}
		switch {
		case key == "method":
			a.method = strings.TrimSpace(payment.Clip(text(v), maxValue))
		case key == "params":
			return a.params(v)
		case key == "error":
			hasError = true
			a.failed = text(v) != "false"
		case strings.HasPrefix(key, "errorDe"): // errorDescription, -Decsription, -Descritption
			a.text = payment.Clip(payment.MaskNumbers(text(v)), 2*maxValue)
		}
		return nil
	})
	switch {
	case err != nil:
		return answer{}, err
	case a.method == "":
		return answer{}, fmt.Errorf("%w: no method", errMessage)
	case !hasError:
		return answer{}, fmt.Errorf("%w: no error, so it is a request", errMessage)
	}
	return a, nil
}

func (a *answer) params(v json.RawMessage) error {
	if bytes.Equal(v, []byte("null")) {
		return nil
	}
	once := map[string]bool{}
	return object(v, func(key string, v json.RawMessage) error {
		if err := unique(once, key); err != nil {
			return err
		}
		switch {
		case key == "pan":
			a.card = payment.MaskPAN(text(v))
		case key == "receipt":
			a.receipt = text(v) // whole: half a card number at a cut would not be found
		case key == "responseCode":
			a.code = normal(payment.Clip(text(v), maxValue))
		case isNumber(key):
			if a.list == nil {
				a.list = map[string]string{}
			}
			if len(a.list) < maxList && len(key) <= 3 {
				a.list[key] = payment.Clip(payment.MaskNumbers(text(v)), maxValue)
			}
		default:
			if f := a.field(key); f != nil {
				*f = strings.TrimSpace(payment.Clip(text(v), maxValue))
			}
		}
		return nil
	})
}

// unique refuses a second one of the members that decide about money. Others
// come twice in the document's own examples.
func unique(seen map[string]bool, key string) error {
	switch key {
	case "method", "params", "error", "responseCode", "amount", "invoiceNumber", "rrn", "txnType", "amountCash", "resultCashback", "balance":
		if seen[key] {
			return fmt.Errorf("%w: %s comes twice", errMessage, key)
		}
		seen[key] = true
	}
	return nil
}

// field finds where a parameter is kept.
func (a *answer) field(key string) *string {
	switch key {
	case "msgType":
		return &a.msgType
	case "amount":
		return &a.amount
	case "discount":
		return &a.discount
	case "approvalCode":
		return &a.auth
	case "invoiceNumber":
		return &a.invoice
	case "rrn":
		return &a.rrn
	case "rrnExt":
		return &a.rrnExt
	case "terminalId":
		return &a.tid
	case "merchant":
		return &a.merchant
	case "date":
		return &a.date
	case "time":
		return &a.time
	case "issuerName":
		return &a.issuer
	case "paymentSystem":
		return &a.scheme
	case "bankAcquirer":
		return &a.acquirer
	case "posEntryMode":
		return &a.entry
	case "signVerif":
		return &a.signature
	case "txnType":
		return &a.txnType
	case "trnStatus":
		return &a.status
	case "subMerchant":
		return &a.subMerchant
	case "version":
		return &a.version
	case "vendor":
		return &a.vendor
	case "model":
		return &a.model
	case "result":
		return &a.result
	case "LastResult":
		return &a.lastResult
	case "LastStatMsgCode":
		return &a.stage
	case "LastStatMsgDescription":
		return &a.stageText
	case "amountCash":
		return &a.cash
	case "resultCashback":
		return &a.cashGiven
	case "balance":
		return &a.balance
	case "discountName":
		return &a.group
	case "agreementNum":
		return &a.agreement
	}
	return nil
}

// keptKeys are the parameters that are kept as they are, in the document's
// order; pan is kept as its last four digits, receipt with card numbers masked,
// responseCode as four digits.
var keptKeys = []string{
	"msgType", "amount", "discount", "approvalCode", "invoiceNumber", "rrn", "rrnExt", "terminalId", "merchant", "date", "time", "issuerName",
	"paymentSystem", "bankAcquirer", "posEntryMode", "signVerif", "txnType", "trnStatus", "subMerchant",
	"version", "vendor", "model", "result", "LastResult", "LastStatMsgCode", "LastStatMsgDescription",
	"amountCash", "resultCashback", "balance", "discountName", "agreementNum",
}

// droppedKeys are parameters that hold what a customer owns or enters, or what
// the host says to others.
var droppedKeys = []string{
	"cardHolderName", "cardExpiryDate", "track1", "track2", "track3", "hash", "pinblock", "pinblockNew", "PhoneNumber", "OTPpassword", "panHash",
	"hstFld63Sf89", "captureReference",
}

// normal makes four digits of a response code: "05" is "0005".
func normal(code string) string {
	code = strings.TrimSpace(code)
	if isNumber(code) && len(code) < 4 {
		return "0000"[len(code):] + code
	}
	return code
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// object reads one JSON object and hands over its members, in their order.
// Control characters, which JSON does not allow in strings, are read as blanks.
func object(b []byte, member func(key string, v json.RawMessage) error) error {
	clean := bytes.Clone(b)
	for i, c := range clean {
		if c < ' ' {
			clean[i] = ' '
		}
	}
	d := json.NewDecoder(bytes.NewReader(clean))
	broken := func() error { return fmt.Errorf("%w: broken JSON near offset %d", errMessage, d.InputOffset()) }
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return broken()
	}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return broken()
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return broken()
		}
		if err := member(key, v); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return broken()
	}
	if len(bytes.TrimSpace(clean[d.InputOffset():])) > 0 {
		return fmt.Errorf("%w: something follows at offset %d", errMessage, d.InputOffset())
	}
	return nil
}

// text is a string, or a number or a truth value as it is written; what has
// members has no text.
func text(v json.RawMessage) string {
	switch {
	case len(v) == 0 || v[0] == '{' || v[0] == '[' || v[0] == 'n':
		return ""
	case v[0] != '"':
		return string(v)
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return "" // it was read before, so this cannot be
	}
	return s
}
