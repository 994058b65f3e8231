package bpos

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"tillgate/internal/payment"
)

// approved reads what was approved. It must be news: a library that has not
// begun yet would show the operation before.
func (t *terminal) approved(ctx context.Context, tx payment.Transaction, a answer, agreed int64) (payment.Outcome, error) {
	r, err := t.record(ctx)
	if err != nil {
		return payment.Outcome{}, err
	}
	m, _ := readMark(tx.Baseline.Fingerprint)
	key := r.key()
	_, known := t.seen[key]
	switch {
	case key == "" && !a.worked, key != "" && (known || key == m.First || key == m.Last):
		return payment.Outcome{}, errors.New("the library says done and shows an earlier operation")
	case r.code >= codeGeneral, judge(r.code) == notDone, r.status > trnApproved:
		return payment.Outcome{}, fmt.Errorf("the library says done, with code %d and status %d", r.code, r.status)
	case r.kind != 0 && typeOf(tx.Operation) != 0 && !t.sameType(r.kind, tx.Operation):
		return payment.Outcome{}, fmt.Errorf("the library says done, and shows an operation of type %d", r.kind)
	}
	o := t.outcome(tx, r, agreed, payment.SourceAnswer)
	if key != "" {
		t.seen[key] = tx.Attempt
	}
	if tx.Operation == payment.Reversal {
		t.voided[originalKey(tx.Original)] = true
		o.Amount = reversedAmount(tx, r, o.Amount)
		t.restore(ctx)
		return o, nil
	}
	if t.confirms(tx.Operation) {
		t.unconfirmed = tx.Attempt
	} else {
		t.restore(ctx)
	}
	return o, nil
}

// sameType says whether a TxnType is the one of an operation. Older terminals
// show a service or a completion as a purchase.
func (t *terminal) sameType(kind int64, op payment.Operation) bool {
	return kind == typeOf(op) || op == payment.Completion && kind == typePurchase || op == payment.ServicePayment && kind > 0 && kind != typeRefund && kind != typeVoid
}

// reversedAmount is what a reversal gave back: a record of it repeats the
// original's amount, or has none.
func reversedAmount(tx payment.Transaction, r record, seen payment.Money) payment.Money {
	if r.amount == 0 || tx.Amount.IsZero() {
		if tx.Amount.IsZero() && !seen.IsZero() {
			return seen
		}
		return tx.Amount
	}
	return seen
}

// declined is the outcome of an operation that was certainly not done, with the
// slip that the terminal has for it.
func (t *terminal) declined(ctx context.Context, a answer) payment.Outcome {
	o := payment.Outcome{
		Result: payment.Declined, Response: host(a.code), Source: payment.SourceAnswer,
		Vendor: payment.VendorCode{Code: strconv.FormatInt(a.code, 10), Text: payment.Printable(payment.Clip(a.text, maxField))},
	}
	if c, ok := terminalCodes[a.code]; ok {
		o.Result, o.Condition, o.Text = c.result, c.condition, c.text
	} else if o.Response != "" {
		rc := payment.ResponseCodeOf(o.Response)
		o.Condition, o.Text = rc.Condition, rc.Text
	}
	if a.waited && o.Result == payment.Cancelled {
		o.Text += "; " + question
	}
	o.Receipt = t.slip(ctx)
	t.restore(ctx)
	return o
}

// closed is the outcome of a Settlement that was done.
func (t *terminal) closed(ctx context.Context, tx payment.Transaction) payment.Outcome {
	t.logFull = false
	if tx.Merchant == "" {
		t.forget()
	}
	m, _ := readMark(tx.Baseline.Fingerprint)
	o := payment.Outcome{Result: payment.Approved, Source: payment.SourceAnswer, Receipt: t.slip(ctx)}
	if m.Batch != 0 {
		o.Reference.Batch = strconv.FormatInt(m.Batch, 10)
	}
	o.Reference.Serial = t.identity
	t.restore(ctx)
	return o
}

// forget drops what is known of the records of a batch that is closed: none of
// them can be asked for any more.
func (t *terminal) forget() {
	clear(t.kept)
	clear(t.voided)
	clear(t.seen)
}

// outcome makes ours of a record that was approved.
func (t *terminal) outcome(tx payment.Transaction, r record, agreed int64, source payment.Source) payment.Outcome {
	o := payment.Outcome{
		Result: payment.Approved, Response: host(r.code), Source: source,
		Reference: payment.Reference{RRN: r.rrn, Auth: r.auth, TID: r.tid, MID: r.mid, Serial: t.identity, Time: r.time},
		Card:      payment.Card{PAN: r.card, Scheme: r.issuer, Entry: entryModes[r.entry], AID: r.aid},
		Signature: r.signature && t.settings.Signature == SignatureReverse,
		Vendor:    payment.VendorCode{Code: strconv.FormatInt(r.code, 10)},
	}
	if r.batch != 0 {
		o.Reference.Batch = strconv.FormatInt(r.batch, 10)
	}
	if r.invoice != 0 {
		o.Reference.Receipt = strconv.FormatInt(r.invoice, 10)
	}
	if tx.Operation == payment.ServicePayment {
		o.Vendor.Text = payment.Printable(r.addData)
	}
	o.Amount = t.charged(tx, r, agreed)
	if agreed > 0 && o.Amount.Minor == tx.Amount.Minor-agreed {
		o.Discount = o.Amount
	}
	return o
}

// charged is what the customer paid. Amount is "the final amount", AddAmount "can
// consist discount or bonus": with a discount that was not agreed on nobody can
// tell whether it is in the amount already, and the amount is not known.
func (t *terminal) charged(tx payment.Transaction, r record, agreed int64) payment.Money {
	m := payment.Money{Minor: r.amount, Currency: t.currency}
	if code, ok := payment.CurrencyByNumber(r.currency); ok {
		m.Currency = code
	}
	asked := tx.Amount.Minor
	switch {
	case r.amount == 0:
		return payment.Money{}
	case r.add == 0:
		return m
	case r.add == agreed && (r.amount == asked || r.amount == asked-agreed):
		m.Minor = asked - agreed
		return m
	}
	return payment.Money{}
}

// originalKey names an original for this connection.
func originalKey(o payment.Reference) string { return o.Batch + "/" + o.Receipt + "/" + o.RRN }
