package bpos

import (
	"context"
	"errors"
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Baseline reads who the terminal is and the ends of its journal. Before a
// reversal or a completion it also reads the original.
func (t *terminal) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	if err := t.idle(ctx); errors.Is(err, errWorking) {
		return payment.Baseline{}, payment.Refuse(payment.ReasonBusy, "%v", err)
	} else if err != nil {
		return payment.Baseline{}, err
	}
	if err := t.hide(ctx); err != nil {
		return payment.Baseline{}, err
	}
	if _, err := t.info(ctx); err != nil {
		return payment.Baseline{}, err
	}
	m, _, _, err := t.look(ctx)
	if err != nil {
		return payment.Baseline{}, err
	}
	if m.Count < t.records { // somebody else has closed the batch
		t.forget()
	}
	t.records = m.Count
	if tx.Operation.NeedsOriginal() {
		r, err := t.original(ctx, tx)
		if err != nil {
			return payment.Baseline{}, err
		}
		m.Taken = r.taken()
	}
	b := payment.Baseline{Identity: t.identity, Fingerprint: m.bytes()}
	if m.Batch != 0 {
		b.Batch = fmt.Sprint(m.Batch)
	}
	return b, nil
}

// taken says whether a record was taken back, by a reversal or by the terminal
// itself, or is a Void, which can have the number of what it took back.
func (r record) taken() bool {
	return r.status == trnReversed || r.status == trnCanceled || r.kind == typeVoid && r.status == trnApproved
}

// original reads the record of the original of tx: it must be there, in this
// batch, and be the payment that is meant. One that the terminal took back by
// itself is as good as reversed: [terminal.taken].
func (t *terminal) original(ctx context.Context, tx payment.Transaction) (record, error) {
	o := tx.Original
	no := func(why string) (record, error) {
		return record{}, fmt.Errorf("%w: %s", link.ErrNotReversible, why)
	}
	switch {
	case invoiceOf(o) == 0:
		return no("the original has no invoice number")
	case o.Serial != "" && o.Serial != t.identity:
		return record{}, fmt.Errorf("%w: %w", link.ErrNotReversible, link.ErrSwapped)
	case t.voided[originalKey(o)]:
		return no("it has been taken back already")
	}
	who, _ := merchantOf(tx.Request, t.settings.Merchant)
	r, ok, err := t.byInvoice(ctx, invoiceOf(o), who)
	switch {
	case err != nil:
		return record{}, err
	case !ok:
		return no("its record is not in this batch")
	case !sameRecord(r, o):
		return no("that record is another payment")
	case r.status == trnDeclined:
		return no("that record was declined")
	case r.taken() && tx.Operation != payment.Reversal:
		return no("it has been taken back already")
	case tx.Operation == payment.Reversal && !tx.Amount.IsZero() && r.add == 0 && tx.Amount.Minor != r.amount:
		return no("the terminal takes a payment back in full only")
	case tx.Operation == payment.Completion && tx.Amount.Minor > r.amount:
		return no("the completion is more than was reserved")
	}
	return r, nil
}

// sameRecord says whether a record can be the one of a reference.
func sameRecord(r record, o payment.Reference) bool {
	return (o.RRN == "" || r.rrn == "" || r.rrn == o.RRN) && (o.Batch == "" || r.batch == 0 || fmt.Sprint(r.batch) == o.Batch) && (o.RRN != "" || o.Batch != "" || o.Auth == r.auth)
}
