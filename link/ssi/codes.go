package ssi

import (
	"strings"

	"tillgate/internal/payment"
)

// verdict is what a result says about the money.
type verdict int

const (
	doubtful verdict = iota // does not exclude that the bank approved
	done
	declined
	cancelled
	notDone
	firstStep // of a purchase in two steps: nothing is paid yet
	none      // the terminal keeps no result
)

func (v verdict) String() string {
	return [...]string{"doubtful", "done", "declined", "cancelled", "not done", "first step", "none"}[v]
}

// transactionResults are the values of transactionResult (4.3.2), in one
// spelling: upper case, '_' for '-' and blanks. The document's table has
// APPROVED_ONLINE, its sample APPROVED-ONLINE.
//
// A signature is verified after the bank has approved, and the words for a lost
// connection do not say when it was lost: they are doubtful.
var transactionResults = map[string]struct {
	verdict   verdict
	condition payment.Condition
	text      string
}{
	"APPROVED_ONLINE":              {done, "", "approved"},
	"APPROVED_OFFLINE":             {done, "", "approved by the terminal without the bank"},
	"APPROVED":                     {done, "", "approved"},
	"OK":                           {done, "", "approved"},
	"COMPLETED":                    {done, "", "approved"},
	"DECLINED_ONLINE":              {declined, payment.CondRefusal, "declined by the bank"},
	"DECLINED_OFFLINE":             {declined, payment.CondRefusal, "declined by the card or the terminal"},
	"DECLINED":                     {declined, payment.CondRefusal, "declined"},
	"PIN_ERROR":                    {declined, payment.CondWrongPIN, "wrong PIN"},
	"CANCELLED":                    {cancelled, payment.CondCancel, "cancelled at the terminal"},
	"CANCELED":                     {cancelled, payment.CondCancel, "cancelled at the terminal"},
	"CANCELLED_BEFORE_START":       {cancelled, payment.CondCancel, "cancelled before it began"},
	"FIRST_STEP_COMPLETED":         {firstStep, payment.CondInProgress, "the first of two steps is done, nothing is paid"},
	"FAILED":                       {doubtful, payment.CondUnavailableService, "the terminal failed"},
	"NO_CONNECTION":                {doubtful, payment.CondUnreachableHost, "no connection to the bank"},
	"CONNECTION_ERROR":             {doubtful, payment.CondUnreachableHost, "the connection to the bank broke"},
	"CONNECTION_TIMEOUT":           {doubtful, payment.CondUnreachableHost, "the bank did not answer in time"},
	"SIGNATURE_VERIFICATION_ERROR": {doubtful, payment.CondRefusal, "the signature was not accepted"},
}

// errorCode is one value of errorCode (4.3.3). refused tells whether it is of
// the category "request", or says as plainly that nothing was begun: as the
// answer to a command it means that nothing was done, and that the result
// buffer is as it was. result is what it means inside a result that does not
// say more itself.
type errorCode struct {
	refused   bool
	result    verdict
	condition payment.Condition
	text      string
}

var errorCodes = map[string]errorCode{
	"E00": {true, doubtful, payment.CondUnavailableService, "general error"},
	"E01": {true, doubtful, payment.CondMessageFormat, "the terminal does not know this version of the protocol"},
	"E02": {true, doubtful, payment.CondMessageFormat, "the terminal got a wrong check byte"},
	"E03": {true, doubtful, payment.CondMessageFormat, "the terminal cannot read the JSON"},
	"E04": {true, doubtful, payment.CondMessageFormat, "required fields are missing"},
	"E05": {true, doubtful, payment.CondNotAllowed, "the terminal does not know this method"},
	"E06": {true, doubtful, payment.CondBusy, "the terminal is busy"},
	"E07": {true, doubtful, payment.CondNotAllowed, "the terminal does not know this merchant"},
	"E08": {true, doubtful, payment.CondNotAllowed, "it cannot be interrupted now"},
	"E09": {true, doubtful, payment.CondMessageFormat, "a field has a wrong format"},
	"E10": {false, doubtful, payment.CondUnreachableHost, "connection error"},
	"E11": {false, doubtful, payment.CondWrongPIN, "verification error, PIN or signature"},
	"E12": {false, cancelled, payment.CondCancel, "cancelled"},
	"E13": {false, doubtful, payment.CondUnavailableService, "MAC error"},
	"E14": {false, notDone, payment.CondUnavailableDevice, "a key is wrong or missing in the terminal"},
	"E15": {true, notDone, payment.CondNotAllowed, "the batch must be closed first"},
	"E16": {false, notDone, payment.CondInvalidCard, "the card cannot be read"},
	"E17": {false, doubtful, payment.CondInvalidCard, "EMV error"},
	"E18": {true, doubtful, payment.CondDeviceOut, "the printer has no paper or does not work"},
	"E19": {true, notDone, payment.CondNotAllowed, "the amount is out of the terminal's limits"},
	"E20": {false, none, payment.CondNotFound, "the terminal keeps no transaction"},
	"E21": {false, doubtful, payment.CondUnavailableService, "general error in the transaction"},
	"E22": {false, doubtful, payment.CondInProgress, "a transaction with this transactionUid is being processed"},
}

// spelled is a word of the terminal in the spelling of our tables.
func spelled(s text) string {
	return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToUpper(string(s)))
}

// response is a response code with two digits where it has two or fewer that
// count: the document has 00 and 0000, and allows three characters.
func (r result) response() string {
	s := string(r.Response)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return s
	}
	s = strings.TrimLeft(s, "0")
	return "00"[:max(0, 2-len(s))] + s
}

// empty says whether a result has nothing in it: "if there are no data, the
// fields are empty or zero" (5.5.1).
func (r result) empty() bool {
	return r.Result == "" && r.bankSilent() && strings.Trim(string(r.Amount), "0") == "" && strings.Trim(string(r.Invoice), "0") == "" && r.Uid == ""
}

// bankSilent says whether nothing in the result comes from the bank.
func (r result) bankSilent() bool {
	return strings.Trim(string(r.Auth), "0") == "" && strings.Trim(string(r.RRN), "0") == "" && r.Response == ""
}

// judge reads an answer to GetLastResult or GetResultByUid: transactionResult
// first, which responseCode can only make doubtful, then errorCode.
//
//	transactionResult      responseCode              errorCode       verdict
//	approved, any way      00, 08, 10, 11, 16, none  none            done
//	approved, any way      anything else             any             doubtful
//	approved, any way      any                       any             doubtful
//	declined, PIN_ERROR    00, 08, 09, 10 11 16 68   any             doubtful
//	declined, PIN_ERROR    anything else             any             declined
//	CANCELLED              not none                  any             doubtful
//	CANCELLED              none                      any             cancelled
//	FAILED, none           none, no RRN, no auth     E12 E14 E15 E16 E19   by errorCode
//	everything else        any                       any             doubtful
func judge(a answer) verdict {
	r := a.Params.result
	code, known := errorCodes[a.code()]
	if known && code.result == none && r.Result == "" || !a.failed() && r.empty() {
		return none
	}
	word := spelled(r.Result)
	said := transactionResults[word]
	response := r.response()
	switch decision := payment.ResponseCodeOf(response); said.verdict {
	case done:
		approval := response == "" || decision.Decision == payment.DecisionApproved ||
			response == "08" || response == "10" || response == "11" || response == "16"
		if approval && !a.failed() {
			return done
		}
	case declined:
		switch response {
		case "00", "08", "09", "10", "11", "16", "68":
			return doubtful
		}
		return declined
	case cancelled:
		if r.bankSilent() {
			return cancelled
		}
	case firstStep:
		return firstStep
	default:
		if known && (word == "FAILED" && code.result != cancelled || word == "") && r.bankSilent() {
			return code.result
		}
	}
	return doubtful
}

// entryModes are the values of posEntryMode (4.3.2).
var entryModes = map[string]payment.EntryMode{
	"CONTACT_EMV": payment.EntryChip, "CONTACT_FALLBACK": payment.EntryFallback, "CONTACTLESS": payment.EntryContactless,
	"MAGSTRIPE": payment.EntryMagstripe, "MANUAL": payment.EntryManual,
}

// stages are the values of status (4.3.4) in which the terminal works; S08 is
// of later firmware. The first S01 comes before the card is asked for, the
// others after it.
var stages = map[string]payment.Stage{
	"S02": payment.StageWaitingCard, "S03": payment.StagePIN, "S04": payment.StageHost, "S05": payment.StagePrinting,
	"S07": payment.StageRemoveCard, "S08": payment.StageHost,
}

const (
	statusIdle       = "S00"
	statusBusy       = "S01"
	statusCard       = "S02"
	statusPIN        = "S03"
	statusHost       = "S04"
	statusPrinting   = "S05"
	statusNeedsZ     = "S06"
	statusRemoveCard = "S07"
	statusFirstStep  = "S08"
)

// over says whether a terminal in this status works no more. One that wants
// its batch closed does not; one that waits for the card to be taken does, and
// so does one in a status that nobody knows.
func over(status string) bool { return status == statusIdle || status == statusNeedsZ }

// interruptible says whether Interrupt can be heard (5.4.2, and S08).
func interruptible(status string) bool {
	return status == statusCard || status == statusPIN || status == statusFirstStep
}

// outcome makes ours of a result of tx. Verdicts that are no outcome come out
// in doubt.
func (t *terminal) outcome(a answer, tx payment.Transaction, source payment.Source) payment.Outcome {
	r := a.Params.result
	word := spelled(r.Result)
	said := transactionResults[word]
	o := payment.Outcome{
		Result: payment.InDoubt, Reference: r.reference(t.identity.serial), Response: r.response(),
		Vendor: payment.VendorCode{Code: string(r.Result), Text: a.why()},
		Card:   payment.Card{PAN: r.PAN.PAN, Scheme: string(r.Bin), Entry: entryModes[spelled(r.Entry)]},
		Text:   said.text, Condition: said.condition, Source: source, Offline: word == "APPROVED_OFFLINE",
	}
	code := errorCodes[a.code()]
	if o.Vendor.Code == "" {
		o.Vendor.Code, o.Text = a.code(), code.text
	}
	if code.condition != "" && said.verdict != declined {
		o.Condition = code.condition
	}
	switch judge(a) {
	case done:
		o.Result, o.Condition, o.Amount = payment.Approved, "", t.charged(r, tx)
		if n := t.offered(tx); n > 0 {
			o.Discount = payment.Money{Minor: n, Currency: tx.Amount.Currency}
		}
		if tx.Operation == payment.Balance {
			o.Text = "the terminal shows the balance to the customer; the protocol does not tell it to the till"
		}
		o.Receipt = receipt(r, o)
	case declined:
		o.Result = payment.Declined
		if rc := payment.ResponseCodeOf(o.Response); rc.Decision == payment.DecisionDeclined {
			o.Text, o.Condition = rc.Text, rc.Condition
		}
	case cancelled:
		o.Result, o.Condition = payment.Cancelled, payment.CondCancel
	case notDone:
		o.Result, o.Text = payment.Failed, code.text
	}
	return o
}

func (r result) reference(serial string) payment.Reference {
	return payment.Reference{
		RRN: string(r.RRN), Auth: string(r.Auth), TID: string(r.TID), MID: string(r.MID), Receipt: string(r.Invoice), Serial: serial, Time: r.when(),
	}
}

// when is the terminal's clock, as it wrote it.
func (r result) when() string {
	d, t := r.Date, r.Time
	if d == "" {
		d = r.Date2
	}
	if t == "" {
		t = r.Time2
	}
	return strings.TrimSpace(string(d) + " " + string(t))
}

// money reads an amount in the minor units of the terminal's currency, or the
// zero Money if it cannot be read.
func (t *terminal) money(amount text) payment.Money {
	n, err := payment.ParseMinor(string(amount))
	if err != nil {
		return payment.Money{}
	}
	return payment.Money{Minor: n, Currency: t.currency}
}
