package ecrvn

import (
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
)

// verdict is what an answer says about the money.
type verdict int

const (
	doubtful verdict = iota // does not exclude that the bank approved
	done
	notDone
)

func (v verdict) String() string { return [...]string{"doubtful", "done", "not done"}[v] }

// The values of the document.
const (
	statusDone     = "DONE"     // the bank answered, whatever it said
	statusCanceled = "CANCELED" // the cancel key, a time-out, or a lost line to the bank

	transApprove = "APPROVE"

	typeSale   = "1"
	typeVoid   = "2"
	typeSettle = "3"
)

// judge reads status, returnCode and transStatus.
//
//	status     returnCode                 transStatus   sale, void   settle
//	DONE       00                         APPROVE, ""   done         done
//	DONE       00                         other         doubtful     doubtful
//	DONE       declined by DE 39          not APPROVE   not done     not done
//	DONE       08 09 10 11 16 68 unknown  any           doubtful     doubtful
//	DONE       missing                    APPROVE       doubtful     done
//	DONE       missing                    other         doubtful     doubtful
//	CANCELED   any                        any           doubtful     doubtful   (a sale: see terminal.gaveUp)
//	other      any                        any           doubtful     doubtful
//
// The settlement of the document has no returnCode and zeros for its numbers.
func judge(a answer) verdict {
	if a.status != statusDone {
		return doubtful
	}
	code := a.info.returnCode
	if code == "" {
		if a.command == cmdSettle && a.info.transStatus == transApprove {
			return done
		}
		return doubtful
	}
	approve := a.info.transStatus == transApprove
	switch payment.ResponseCodeOf(code).Decision {
	case payment.DecisionApproved:
		if approve || a.info.transStatus == "" {
			return done
		}
	case payment.DecisionDeclined:
		if !approve {
			return notDone
		}
	}
	return doubtful
}

// gaveUp says whether the terminal ended a sale without an answer of the bank:
// by the cancel key, a time-out, or a lost line to the bank.
func gaveUp(a answer) bool {
	return a.command == cmdSale && a.status == statusCanceled && a.info.returnCode == "" && a.info.transStatus == ""
}

// doubt says why an answer is no outcome.
func doubt(a answer) error {
	if a.status != statusDone {
		err := fmt.Errorf("the terminal says %q, which does not exclude an approval", payment.Word(a.status))
		return &link.Answered{Vendor: payment.VendorCode{Code: payment.Word(a.status)}, Err: err}
	}
	code := payment.Word(a.info.returnCode)
	err := fmt.Errorf("the terminal says %q with return code %q, which does not exclude an approval", statusDone, code)
	return &link.Answered{Vendor: payment.VendorCode{Code: code}, Err: err}
}

// entryModes are the values of cardInput: S quẹt thẻ, C insert chip card, F
// fallback.
var entryModes = map[string]payment.EntryMode{
	"S": payment.EntryMagstripe,
	"C": payment.EntryChip,
	"F": payment.EntryFallback,
}

// outcome makes ours of an answer that [judge] calls done or not done. Other
// answers come out in doubt.
func (s *Settings) outcome(a answer, source payment.Source) payment.Outcome {
	f := a.info
	o := payment.Outcome{
		Result:    payment.InDoubt,
		Reference: f.reference(),
		Response:  f.returnCode,
		Vendor:    payment.VendorCode{Code: a.status, Text: f.transStatus},
		Card: payment.Card{
			PAN: f.card, Scheme: f.cardType, Entry: entryModes[f.cardInput], AID: f.emvAID, Label: f.emvAppName,
		},
		Source: source,
	}
	if f.returnCode != "" {
		rc := payment.ResponseCodeOf(f.returnCode)
		o.Text, o.Condition = rc.Text, rc.Condition
	}
	switch judge(a) {
	case done:
		o.Result, o.Condition = payment.Approved, ""
		o.Amount = s.money(f)
		o.Receipt = receipt(f, o)
	case notDone:
		o.Result = payment.Declined
	}
	return o
}

func (f info) reference() payment.Reference {
	return payment.Reference{
		STAN: f.stan, RRN: f.refNo, Auth: f.approvalCode, TID: f.tid, MID: f.mid,
		Batch: f.batchNo, Receipt: f.receiptNo, Serial: f.posSerial, Time: f.time,
	}
}

// money reads the amount of an answer, or the zero Money if it cannot be read:
// no digits, no currency, or no whole number of our units.
func (s *Settings) money(f info) payment.Money {
	wire, err := payment.ParseMinor(f.amount)
	code, ok := payment.CurrencyByNumber(f.currencyCode)
	if err != nil || !ok || wire%s.AmountFactor != 0 {
		return payment.Money{}
	}
	return payment.Money{Minor: wire / s.AmountFactor, Currency: code}
}
