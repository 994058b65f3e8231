package gateway

import (
	"slices"

	"tillgate/internal/payment"
)

func takesBack(op payment.Operation) bool { return op == payment.Reversal || op == payment.Refund }

// follows says whether an operation is about an earlier one.
func follows(op payment.Operation) bool { return takesBack(op) || op == payment.Completion }

// verdict is what the notices at a payment say of it together. Of money that
// went back, and not by us, the result is reversed and the amount what went back.
func verdict(rec payment.Record) payment.Outcome {
	notices := slices.Clone(rec.Notices)
	if follows(rec.Operation) {
		return notices[len(notices)-1].Outcome
	}
	for i := range notices {
		if notices[i].Operation == payment.Completion && rec.Operation == payment.Preauthorization {
			notices[i].Outcome.Amount = payment.Money{} // it may be for less
		}
	}
	if o, twice := chargedTwice(notices); twice {
		return o
	}
	o, back := payment.Standing(notices)
	if back.Minor > rec.TakenBack.Minor && back.Currency == rec.Outcome.Amount.Currency {
		o.Result, o.Amount = payment.Reversed, back
	}
	return o
}

// chargedTwice says whether one sender tells of several transactions of one
// payment whose money has not gone back, and of how much together.
func chargedTwice(notices []payment.Notice) (payment.Outcome, bool) {
	type charge struct{ from, transaction string }
	each := map[charge][]payment.Notice{}
	for _, n := range notices {
		at := charge{n.From, n.Transaction}
		each[at] = append(each[at], n)
	}
	count, sum := map[string]int{}, map[string]payment.Money{}
	for at, ns := range each {
		o, back := payment.Standing(ns)
		left := o.Amount.Minor - back.Minor
		if o.Result == payment.Approved && left > 0 { // what a settlement lists has no amount, and is no charge of its own
			count[at.from]++
			sum[at.from] = payment.Money{Minor: sum[at.from].Minor + left, Currency: o.Amount.Currency}
			if count[at.from] > 1 {
				return payment.Outcome{Result: payment.Approved, Amount: sum[at.from], Text: "the acquirer has charged it more than once"}, true
			}
		}
	}
	return payment.Outcome{}, false
}

// disagree says whether what the acquirer says of a final payment contradicts
// what is recorded.
func disagree(rec payment.Record, o payment.Outcome) bool {
	if c := rec.Contradicted; c != nil && c.Result == o.Result && c.Amount == o.Amount {
		return false // it has been said
	}
	recorded := rec.Outcome.Result
	switch o.Result {
	case payment.Approved:
		if recorded == payment.Reversed || recorded == payment.Unreversed { // it was approved first
			return false
		}
		return recorded.NotPaid() || (recorded == payment.Approved && differ(rec.Outcome.Amount, o.Amount))
	case payment.Reversed:
		return recorded == payment.Approved
	case payment.Declined, payment.Cancelled, payment.Failed:
		return recorded == payment.Approved && !anotherTry(rec.Outcome.Reference, o.Reference)
	}
	return false
}

// differ says whether two amounts that are both known are not the same.
func differ(a, b payment.Money) bool { return !a.IsZero() && !b.IsZero() && a != b }

// anotherTry says whether two references are of different card transactions: a
// customer whose first card is declined may pay with a second one, under the
// same id.
func anotherTry(a, b payment.Reference) bool {
	return (a.STAN != "" && b.STAN != "" && a.STAN != b.STAN) || (a.RRN != "" && b.RRN != "" && a.RRN != b.RRN)
}

// told is what notices that named rec say became of it, if they say that money
// moved. A refusal ends no doubt: the customer may have tried again.
func told(rec payment.Record) (payment.Outcome, bool) {
	rec.Notices = slices.DeleteFunc(slices.Clone(rec.Notices), func(n payment.Notice) bool { return !n.Match.Names() })
	if len(rec.Notices) == 0 {
		return payment.Outcome{}, false
	}
	o := verdict(rec)
	if o.Amount.IsZero() {
		o.Amount = rec.Amount // a settlement names none
	}
	o.Source = payment.SourceNotification
	if o.Text == "" {
		o.Text = "told by " + rec.Notices[len(rec.Notices)-1].From
	}
	return o, o.Result == payment.Approved || o.Result == payment.Reversed
}
