package bpos

import (
	"fmt"

	"tillgate/internal/payment"
)

// The values of the guide's properties.
const (
	resultDone    = 0 // LastResult
	resultError   = 1
	resultWorking = 2

	faultOpen     = 1 // LastErrorCode: error opening the port
	faultNotOpen  = 2 // the port is not open
	faultLink     = 3 // error connecting with the terminal
	faultTerminal = 4 // the terminal returned an error: ResponseCode

	codeGeneral     = 1000 // ResponseCode
	codeCancelled   = 1001
	codeEMV         = 1002
	codeLogFull     = 1003
	codeNoHost      = 1004
	codeNoPaper     = 1005
	codeKeys        = 1006
	codeNoReader    = 1007
	codeComplete    = 1008
	codePartial     = 10
	codeUnexplained = 20 // the guide's own sample takes an error with it for none, and does not say why

	statusCashier = 4 // LastStatMsgCode: waits for a key
	statusCorrect = 11

	typePurchase   = 1 // TxnType
	typeRefund     = 2
	typeVoid       = 3
	typeCompletion = 4
	typeIdentify   = 5
	typeBalance    = 6
	typeDeposit    = 7
	typeCash       = 20

	trnApproved = 1 // TrnStatus
	trnDeclined = 2
	trnReversed = 3
	trnCanceled = 4

	ecrNormal         = 2 // ExchangeStatuses: the ECR works in normal mode
	termNormal        = 12
	termCloseBatch    = 14
	termReadersFailed = 15
)

// Codes that the library's C interface returns, beside 0. After these nothing
// was sent: the port is not open, the library is not initialised, or it is at
// work on something else.
const (
	returnFailedToOpen = 2
	returnNotOpened    = 5
	returnNotInited    = 6
	returnBusy         = 7
)

// returns are the names of what the C interface returns.
var returns = [...]string{
	"OK", "FAIL", "FAILEDTOOPENPORT", "FAILEDTOENUMETAREPORTS", "FAILEDTOCONNECT", "NOTOPENED", "NOTINITED", "BUSY", "NODATA", "MESSAGECORRUPTED",
	"TOOSMALLBUFFER", "DISCONNECTED", "RECVTIMEOUT", "SENDMESSAGE", "CONNECTION", "READ_FILE", "UNKNOWNERROR", "CHECKTERM_TO",
}

func unsent(code int) bool {
	return code == returnFailedToOpen || code == returnNotOpened || code == returnNotInited || code == returnBusy
}

// verdict is what a terminal says about the money.
type verdict int

const (
	doubtful verdict = iota // does not exclude an approval
	ended                   // ended by the terminal itself; not done, unless its journal has it
	notDone                 // certainly not done
)

func (v verdict) String() string { return [...]string{"doubtful", "ended", "not done"}[v] }

// terminalCodes are the codes of the terminal itself (guide, get_ResponseCode).
// 1000 and 1004 exclude nothing; paper can run out after the bank has approved,
// and what is "already complete" was done by somebody.
var terminalCodes = map[int64]struct {
	text      string
	verdict   verdict
	result    payment.Result
	condition payment.Condition
}{
	codeGeneral:   {"general error", doubtful, payment.Failed, payment.CondRefusal},
	codeCancelled: {"cancelled on the terminal", ended, payment.Cancelled, payment.CondCancel},
	codeEMV:       {"declined by the card", ended, payment.Declined, payment.CondRefusal},
	codeLogFull:   {"the terminal's journal is full: reconcile, then sell again", ended, payment.Failed, payment.CondNotAllowed},
	codeNoHost:    {"no connection with the host", doubtful, payment.Failed, payment.CondUnreachableHost},
	codeNoPaper:   {"no paper in the printer", doubtful, payment.Failed, payment.CondDeviceOut},
	codeKeys:      {"error of the cryptographic keys: the bank has to load them", ended, payment.Failed, payment.CondUnavailableDevice},
	codeNoReader:  {"the card reader is not connected", ended, payment.Failed, payment.CondUnavailableDevice},
	codeComplete:  {"the transaction is already complete", doubtful, payment.Failed, payment.CondNotAllowed},
}

// judge reads the ResponseCode of an operation that ended with LastResult 1 and
// LastErrorCode 4. Codes below 1000 are the host's, ISO 8583 DE 39: those that
// are no clear decline are doubtful, and so is 20.
func judge(code int64) verdict {
	if c, ok := terminalCodes[code]; ok {
		return c.verdict
	}
	if code > 0 && code < 100 && code != codeUnexplained && payment.ResponseCodeOf(host(code)).Decision == payment.DecisionDeclined {
		return notDone
	}
	return doubtful
}

// host is a ResponseCode as ISO 8583 DE 39, or "" where it is the terminal's.
func host(code int64) string {
	if code < 0 || code > 99 {
		return ""
	}
	return fmt.Sprintf("%02d", code)
}

// typeOf is the TxnType of an operation's record. A preauthorization is not in
// the list of the guide.
func typeOf(op payment.Operation) int64 {
	return map[payment.Operation]int64{
		payment.Purchase: typePurchase, payment.ServicePayment: typePurchase, payment.Refund: typeRefund, payment.Reversal: typeVoid,
		payment.Completion: typeCompletion, payment.CashAdvance: typeCash, payment.Deposit: typeDeposit,
	}[op]
}

// txnTypes are the values of TxnType; 9 is deprecated.
var txnTypes = map[int64]string{
	0: "undefined", typePurchase: "purchase", typeRefund: "refund", typeVoid: "void", typeCompletion: "completion", typeIdentify: "card identification",
	typeBalance: "balance inquiry", typeDeposit: "deposit", 8: "card voucher", 9: "cashback", 10: "instalment", typeCash: "cash advance",
	21: "account funding", 22: "account confirmation", 23: "purchase with cashback",
}

// trnStatuses are the values of TrnStatus.
var trnStatuses = map[int64]string{0: "undefined", trnApproved: "approved", trnDeclined: "declined", trnReversed: "reversed", trnCanceled: "canceled"}

// faults are the values of LastErrorCode.
var faults = map[int64]string{
	faultOpen: "the port cannot be opened", faultNotOpen: "the port is not open", faultLink: "no connection with the terminal", faultTerminal: "the terminal's error: ResponseCode",
}

// entryModes are the values of EntryMode.
var entryModes = map[int64]payment.EntryMode{
	1: payment.EntryMagstripe, 2: payment.EntryChip, 3: payment.EntryContactless, 4: payment.EntryContactless, 5: payment.EntryFallback, 6: payment.EntryManual,
}

// status is one value of LastStatMsgCode. PIN is 6, as the guide has it since
// May 2013; older texts have 4, which waits for a key.
type status struct {
	text  string
	stage payment.Stage // "" leaves the stage as it is
}

var statuses = map[int64]status{
	0:  {"no status", ""},
	1:  {"card was read", payment.StageHost},
	2:  {"a chip card is used", payment.StageHost},
	3:  {"authorization in progress", payment.StageHost},
	4:  {"waits for a key of the cashier", ""},
	5:  {"prints the receipt", payment.StagePrinting},
	6:  {"PIN entry is needed", payment.StagePIN},
	7:  {"card was removed", payment.StageHost},
	8:  {"the customer chooses an application of the card", payment.StagePIN},
	9:  {"waits for the card", payment.StageWaitingCard},
	10: {"in progress", ""},
	11: {"waits for a corrected amount", ""},
	12: {"PIN entry waits for a key", payment.StagePIN},
	13: {"PIN entry, backspace", payment.StagePIN},
	14: {"PIN entry, key", payment.StagePIN},
	15: {"the customer chooses an account", payment.StagePIN},
	16: {"purchase only", ""},
	17: {"the customer confirms: purchase only", payment.StagePIN},
	18: {"waits for a finger", payment.StagePIN},
}

// question is what a person has to know of a terminal that waits for a key: the
// guide's status 4, and a field report on its application.
const question = "the terminal waits for a key: after a decline, and for the same card twice in a row, it asks whether to continue, and green is the answer; have the bank switch the question off for a kiosk"
