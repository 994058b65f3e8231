package privat

import (
	"fmt"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// verdict is what an answer says about the money.
type verdict int

const (
	doubtful verdict = iota // does not exclude that the bank approved
	done
	notDone
	ended // the terminal ended it by itself: the last receipt is read at once
)

func (v verdict) String() string { return [...]string{"doubtful", "done", "not done", "ended"}[v] }

// The values of the document that decide.
const (
	codeApproved  = "0000"
	codePartial   = "0010" // a smaller amount was approved, with error:false
	codeCancelled = "1001"
	codeFull      = "1003"
	codeFailed    = "0001" // of GetBalance and Verify: not the bank's

	typeUndefined  = "0"
	typePurchase   = "1"
	typeRefund     = "2"
	typeVoid       = "3"
	typeInstalment = "4" // in GetReceiptInfo

	statusReversed = "3" // trnStatus, and 4 is cancelled
	statusCanceled = "4"

	signatureWanted = "1"
)

// terminalCode is a code that the terminal gives itself, 1000 and above. Its
// answer is short: no receipt, no amount.
type terminalCode struct {
	text      string
	result    payment.Result // if the last receipt is what it was before
	condition payment.Condition
}

// terminalCodes are those of the document's chapter 4. None of them says by
// itself that the bank did not approve: 1000 is anything, 1002 can follow an
// approval that the chip refused, 1004 a lost answer, 1005 comes when printing.
var terminalCodes = map[string]terminalCode{
	"1000": {"general error", payment.Failed, payment.CondUnavailableDevice},
	"1001": {"cancelled at the terminal", payment.Cancelled, payment.CondCancel},
	"1002": {"declined by the chip of the card", payment.Declined, payment.CondRefusal},
	"1003": {"the terminal's log is full: the batch must be closed", payment.Failed, payment.CondNotAllowed},
	"1004": {"no connection with the bank", payment.Failed, payment.CondUnreachableHost},
	"1005": {"no paper in the printer", payment.Failed, payment.CondDeviceOut},
	"1006": {"the terminal's keys are wrong", payment.Failed, payment.CondUnavailableDevice},
	"1007": {"the card reader is not connected", payment.Failed, payment.CondUnavailableDevice},
	"1008": {"the transaction is already complete", payment.Failed, payment.CondNotAllowed},
}

// judge reads responseCode and error of an answer to a money command.
//
//	responseCode                error   verdict
//	0000                        false   done
//	0010                        false   done, for Purchase, Cashback and Preauthorization: a smaller amount
//	00NN, declined by DE 39     true    not done
//	1000 to 1008                true    ended
//	anything else               any     doubtful
func judge(a answer) verdict {
	if _, ok := terminalCodes[a.code]; ok && a.failed {
		return ended
	}
	switch {
	case a.code == codeApproved && !a.failed:
		return done
	case a.code == codePartial && !a.failed && (a.method == methodPurchase || a.method == methodCashback || a.method == methodPreauth):
		return done
	case a.failed && payment.ResponseCodeOf(a.host()).Decision == payment.DecisionDeclined:
		return notDone
	}
	return doubtful
}

// host is the bank's response code, ISO 8583 DE 39, or "".
func (a answer) host() string {
	if len(a.code) == 4 && strings.HasPrefix(a.code, "00") {
		return a.code[2:]
	}
	return ""
}

// doubt says why an answer is no outcome.
func doubt(a answer) error {
	err := fmt.Errorf("the terminal says %q with error %t, which does not exclude an approval", payment.Word(a.code), a.failed)
	said := terminalCodes[a.code]
	return &link.Answered{Condition: said.condition, Vendor: payment.VendorCode{Code: payment.Word(a.code), Text: said.text}, Err: err}
}

// isType says whether a receipt of this txnType can be the one of tx. The
// document's answers to Preauthorization and SaleCompletion have 1, as a purchase;
// that to Cashback has none, and that to ServiceGeneric has 0.
func isType(txnType string, tx payment.Transaction) bool {
	switch {
	case tx.Operation == payment.Reversal:
		return txnType == typeVoid
	case tx.Operation == payment.ServicePayment:
		return txnType == typeInstalment || txnType == typeUndefined
	case tx.Operation == payment.Refund && tx.Service != "":
		return txnType == typeRefund || txnType == typeInstalment || txnType == typeUndefined
	case tx.Operation == payment.Refund:
		return txnType == typeRefund
	case !tx.Cashback.IsZero():
		return txnType == typePurchase || txnType == typeUndefined
	}
	return txnType == typePurchase
}

// entryModes are the first two digits of posEntryMode, ISO 8583 DE 22.
var entryModes = map[string]payment.EntryMode{
	"01": payment.EntryManual, "02": payment.EntryMagstripe, "03": payment.EntryQR, "05": payment.EntryChip, "07": payment.EntryContactless,
	"80": payment.EntryFallback, "90": payment.EntryMagstripe, "91": payment.EntryContactless, "95": payment.EntryChip,
}

// stages are the values of LastStatMsgCode: 0 to 11 of the document's 6.8, the
// others of the vendor's guide to the same terminals. Where the customer has to do
// something on the terminal it is the PIN's. A code that is not here leaves the
// stage as it is: 0, 4 (waits for a key of the cashier), 10 and 16 say nothing of
// the customer, 11 waits for a discount.
var stages = map[string]payment.Stage{
	"1":  payment.StageHost, // card was read
	"2":  payment.StageHost, // a chip card is used
	"3":  payment.StageHost,
	"5":  payment.StagePrinting,
	"6":  payment.StagePIN,
	"7":  payment.StageHost, // card was removed
	"8":  payment.StagePIN,  // chooses an application of the card
	"9":  payment.StageWaitingCard,
	"12": payment.StagePIN,
	"13": payment.StagePIN,
	"14": payment.StagePIN,
	"15": payment.StagePIN, // chooses an account
	"17": payment.StagePIN, // confirms that it is a purchase only
	"18": payment.StagePIN, // a finger
}

// outcome makes ours of an answer, or of a receipt that was read back. What is
// neither done nor not done comes out in doubt.
func (t *terminal) outcome(a answer, v verdict, source payment.Source) payment.Outcome {
	o := payment.Outcome{
		Result: payment.InDoubt,
		Reference: payment.Reference{
			RRN: a.rrn, Auth: a.auth, TID: a.tid, MID: a.merchant, Receipt: a.invoice, Serial: t.identity, Time: strings.TrimSpace(a.date + " " + a.time),
		},
		Response: a.host(),
		Vendor:   payment.VendorCode{Code: payment.Word(a.code), Text: a.text},
		Card:     payment.Card{PAN: a.card, Scheme: a.schemeName(), Entry: entryModes[payment.Clip(a.entry, 2)]},
		Source:   source,
		Receipt:  receiptLines(a),
	}
	if c, ok := terminalCodes[a.code]; ok {
		o.Text, o.Condition = c.text, c.condition
	} else if o.Response != "" {
		rc := payment.ResponseCodeOf(o.Response)
		o.Text, o.Condition = rc.Text, rc.Condition
	}
	switch v {
	case done:
		o.Result, o.Condition = payment.Approved, ""
		o.Amount = t.money(a.amount)
		o.Signature = t.settings.Signature == SignatureReverse && a.signature == signatureWanted
	case notDone:
		o.Result = payment.Declined
		if c, ok := terminalCodes[a.code]; ok {
			o.Result = c.result
		}
	}
	return o
}

func (a answer) schemeName() string {
	if a.scheme != "" {
		return a.scheme
	}
	return a.issuer
}

// money reads an amount, whose decimals stand behind a point or a comma, or the
// zero Money if it cannot be read. The terminal never names its currency.
func (t *terminal) money(text string) payment.Money {
	m, err := payment.ParseMoney(strings.Replace(text, ",", ".", 1), t.currency)
	if err != nil {
		return payment.Money{}
	}
	return m
}
