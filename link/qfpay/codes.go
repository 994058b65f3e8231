package qfpay

import (
	"fmt"

	"tillgate/internal/payment"
)

// decision is what a code says about the money.
type decision int

const (
	doubtful decision = iota // does not exclude that the bank approved
	done
	notDone
	gaveUp // the customer, or we, stopped it; believed after a question
)

func (d decision) String() string { return [...]string{"doubtful", "done", "not done", "gave up"}[d] }

// code is one line of a table.
type code struct {
	decision  decision
	condition payment.Condition
	text      string
}

// answers are the codes of chapter 5: what the terminal says about a request.
var answers = map[string]code{
	"4003": {notDone, payment.CondNotAllowed, "the terminal has another POS-KEY: " + refresh},
	"4004": {notDone, payment.CondMessageFormat, "the terminal wants another HTTP method"},
	"4005": {doubtful, payment.CondUnavailableService, "the terminal reports an error without a kind"},
	"4006": {notDone, payment.CondMessageFormat, "the terminal does not accept a value of the request"},
	"4007": {notDone, payment.CondLoggedOut, "nobody is logged in to the terminal's app: log in to the Haojin app on it"},
	"5001": {notDone, payment.CondMessageFormat, "the terminal cannot decrypt the request: " + refresh},
	"6000": {done, "", "served"},
	"6001": {gaveUp, payment.CondCancel, "cancelled at the terminal"},
	"6002": {doubtful, payment.CondUnavailableService, "the terminal reports an error of the request"},
}

// hosts are the codes of a transaction (QFPay's public table of status codes)
// that say for certain what became of it. Codes that are not here, such as
// 1102 (duplicate), 1136 (unknown, or not now), 1143 (not paid yet), 1145 (in
// progress), 1181 (expired), 1204 (error of the bank) and 1298 (network), leave
// it open.
var hosts = map[string]code{
	"0000": {done, "", "approved"},
	"1103": {notDone, payment.CondMessageFormat, "format error"},
	"1104": {notDone, payment.CondMessageFormat, "parameter error"},
	"1105": {notDone, payment.CondNotAllowed, "device not activated"},
	"1106": {notDone, payment.CondNotAllowed, "invalid device"},
	"1107": {notDone, payment.CondNotAllowed, "device not allowed"},
	"1108": {notDone, payment.CondNotAllowed, "signature error"},
	"1201": {notDone, payment.CondRefusal, "insufficient balance"},
	"1202": {notDone, payment.CondInvalidCard, "payment code wrong or expired"},
	"1203": {notDone, payment.CondNotAllowed, "merchant account error"},
	"1205": {notDone, payment.CondRefusal, "transaction failed"},
	"1212": {notDone, payment.CondInvalidCard, "wants an overseas payment code"},
	"1241": {notDone, payment.CondNotAllowed, "store unknown or in a wrong state"},
	"1242": {notDone, payment.CondNotAllowed, "store not configured"},
	"1243": {notDone, payment.CondNotAllowed, "store disabled"},
	"1250": {notDone, payment.CondNotAllowed, "transaction forbidden"},
	"1294": {notDone, payment.CondRefusal, "prohibited by the bank"},
	"2005": {notDone, payment.CondInvalidCard, "payment code wrong or expired"},

	// Of a refund.
	"1150": {notDone, payment.CondNotAllowed, "the merchant's way of settling has no cancellation"},
	"1155": {notDone, payment.CondRefusal, "refund denied"},
	"1265": {notDone, payment.CondNotAllowed, "not refundable: a promotion, or between 23:30 and 0:30"},
	"1269": {notDone, payment.CondRefusal, "the day's unsettled amount is less than the refund"},
	"1270": {notDone, payment.CondNotAllowed, "the currency has no refund in part"},
	"1271": {notDone, payment.CondNotAllowed, "the transaction has no refund in part"},
	"1272": {notDone, payment.CondNotAllowed, "more than can be refunded"},
}

// packetErrors are the error types of chapter 9.4. A request that got one
// instead of its acknowledgement was not accepted.
var packetErrors = map[byte]code{
	errUnknown: {doubtful, payment.CondMessageFormat, "unknown error"},
	errFormat:  {notDone, payment.CondMessageFormat, "packet format error"},
	errCheck:   {notDone, payment.CondMessageFormat, "packet check error"},
	errDecrypt: {notDone, payment.CondMessageFormat, "data cannot be decrypted: " + refresh},
	errContent: {notDone, payment.CondMessageFormat, "data format error"},
	errSplit:   {notDone, payment.CondMessageFormat, "packets of a message do not fit together"},
}

// judgeRecord is what a transaction's own respcd says. Two digits are those of
// ISO 8583 DE 39, which card hosts use.
func judgeRecord(r record) code {
	respcd := r.get("respcd")
	if c, ok := hosts[respcd]; ok {
		return c
	}
	if len(respcd) == 2 {
		rc := payment.ResponseCodeOf(respcd)
		d := map[payment.Decision]decision{payment.DecisionApproved: done, payment.DecisionDeclined: notDone}[rc.Decision]
		return code{d, rc.Condition, rc.Text}
	}
	return code{doubtful, payment.CondInProgress, "code " + show(respcd) + " leaves it open"}
}

// judge is what an answer to a money command says: about the request, and if
// that was served, about the transaction. 6000 alone is no approval.
func judge(a answer) code {
	c, known := answers[a.respcd]
	switch {
	case !known:
		return code{doubtful, "", "unknown code " + show(a.respcd)}
	case c.decision != done:
		return c
	case len(a.records) != 1:
		return code{doubtful, "", fmt.Sprintf("served, with %d transactions in the answer", len(a.records))}
	}
	return judgeRecord(a.records[0])
}

// show quotes a code that came from outside.
func show(s string) string {
	if len(s) > 8 {
		return fmt.Sprintf("of %d characters", len(s))
	}
	return fmt.Sprintf("%q", scrub(s))
}
