package bpos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// confirms says whether the terminal waits for Confirm after an operation:
// after all that move money but Void, and after Refund with some applications.
func (t *terminal) confirms(op payment.Operation) bool {
	switch op {
	case payment.Reversal:
		return false
	case payment.Refund:
		return t.settings.ConfirmRefund
	}
	return op.MovesMoney()
}

// ConfirmWithin is the profile's.
func (t *terminal) ConfirmWithin() time.Duration { return t.settings.ConfirmWithin }

// Confirm makes an approval final on the terminal, once. Only the connection
// that heard the approval does; afterwards the terminal is asked what it kept.
func (t *terminal) Confirm(ctx context.Context, tx payment.Transaction, _ payment.Outcome) error {
	switch {
	case !t.confirms(tx.Operation), t.kept[tx.Attempt]:
		return nil
	case t.unconfirmed != tx.Attempt:
		return &link.Error{Op: "Confirm", Err: errors.New("this connection did not hear the approval; the terminal is asked what it kept")}
	}
	t.unconfirmed = ""
	a, sent, err := t.run(ctx, watch{within: t.settings.QueryTimeout}, "Confirm")
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return &link.Error{Op: "Confirm", Sent: sent, Err: err}
	}
	t.kept[tx.Attempt] = true
	return nil
}

// Complete reads what the terminal shows only once it was confirmed: the receipt,
// and with some applications the RRN. What cannot be read is left out.
func (t *terminal) Complete(ctx context.Context, tx payment.Transaction, o payment.Outcome) payment.Outcome {
	if !t.confirms(tx.Operation) {
		return o
	}
	if v, err := t.get(ctx, "RRN", "AuthCode"); err == nil {
		if o.Reference.RRN == "" {
			o.Reference.RRN = payment.Clip(v.Text("RRN"), maxField)
		}
		if o.Reference.Auth == "" {
			o.Reference.Auth = payment.Clip(v.Text("AuthCode"), maxField)
		}
	}
	o.Receipt = t.slip(ctx)
	t.restore(ctx)
	return o
}

// Recheck asks what became of an approval whose Confirm may be lost, by its
// invoice number. While the terminal can still be waiting for the Confirm, what it
// shows as approved may yet be taken back.
func (t *terminal) Recheck(ctx context.Context, tx payment.Transaction, o payment.Outcome, quiet time.Duration) (payment.Outcome, error) {
	if !t.confirms(tx.Operation) {
		return o, nil
	}
	waiting := quiet <= t.settings.ConfirmWait
	return t.unhurried(tx, waiting, false, func() (payment.Outcome, error) { return t.recheck(ctx, tx, o, waiting) })
}

func (t *terminal) recheck(ctx context.Context, tx payment.Transaction, o payment.Outcome, waiting bool) (payment.Outcome, error) {
	if err := t.sameTerminal(ctx, tx); err != nil {
		return payment.Outcome{}, err
	}
	who, _ := merchantOf(tx.Request, t.settings.Merchant)
	r, ok, err := t.byInvoice(ctx, invoiceOf(o.Reference), who)
	switch {
	case err != nil:
		return payment.Outcome{}, err
	case !ok || r.rrn != "" && o.Reference.RRN != "" && r.rrn != o.Reference.RRN || r.batch != 0 && o.Reference.Batch != "" && fmt.Sprint(r.batch) != o.Reference.Batch:
		return payment.Outcome{}, late(waiting, link.ErrUnproven)
	}
	again, err := t.settled(tx, r, waiting)
	if err != nil {
		return payment.Outcome{}, err
	}
	if again.Result == payment.Approved {
		// What both sides knew before the Confirm holds: the record has no discount.
		o.Source = payment.SourceLookup
		return o, nil
	}
	return again, nil
}

// settled judges a record that is the one of tx. waiting says that the terminal
// can still be waiting for a Confirm: then an approval does not count.
func (t *terminal) settled(tx payment.Transaction, r record, waiting bool) (payment.Outcome, error) {
	discount := int64(0)
	if t.known(tx.Amount.Minor, r.add) {
		discount = r.add
	}
	switch r.status {
	case trnApproved:
		if waiting && t.confirms(tx.Operation) && !t.kept[tx.Attempt] {
			return payment.Outcome{}, link.ErrInProgress
		}
		t.kept[tx.Attempt] = true
		t.seen[r.key()] = tx.Attempt
		return t.outcome(tx, r, discount, payment.SourceLookup), nil
	case trnDeclined:
		o := t.outcome(tx, r, 0, payment.SourceLookup)
		o.Result, o.Amount, o.Signature = payment.Declined, payment.Money{}, false
		rc := payment.ResponseCodeOf(host(r.code))
		o.Condition, o.Text = rc.Condition, rc.Text
		return o, nil
	case trnReversed, trnCanceled:
		o := t.outcome(tx, r, discount, payment.SourceLookup)
		o.Result, o.Signature, o.Condition, o.Text = payment.Reversed, false, payment.CondAborted, "the terminal took it back, since it was not confirmed"
		if r.status == trnCanceled {
			o.Text += "; the money returns at the latest when the batch is closed"
		}
		return o, nil
	}
	return payment.Outcome{}, late(waiting, link.ErrUnproven)
}

// late is err once nothing can be waited for any more.
func late(waiting bool, err error) error {
	if waiting {
		return link.ErrInProgress
	}
	return err
}

// early is ErrInProgress while a payment can still last, and then err.
func (t *terminal) early(quiet time.Duration, err error) error {
	if quiet <= t.longest {
		return link.ErrInProgress
	}
	return err
}
