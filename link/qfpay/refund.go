package qfpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
)

// mark is the state of an original before a refund, as it lies in the journal.
type mark struct {
	Left   int64  `json:"left"` // minor units that can be refunded
	Cancel string `json:"cancel,omitempty"`
}

// Baseline reads the original of a refund: what is left of it is all by which
// the refund can be found again. A purchase has its own id and needs none.
func (t *terminal) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	if tx.Operation != payment.Refund {
		return payment.Baseline{}, nil
	}
	if t.settings.Channel == noRefunds {
		return payment.Baseline{}, fmt.Errorf("%w: Octopus has no refund", link.ErrNotReversible)
	}
	r, m, err := t.original(ctx, tx)
	no := func(why string) (payment.Baseline, error) {
		return payment.Baseline{}, fmt.Errorf("%w: %s", link.ErrNotReversible, why)
	}
	switch {
	case errors.Is(err, link.ErrNotFound):
		return no("QFPay does not know the original")
	case err != nil:
		return payment.Baseline{}, err
	case judgeRecord(r).decision != done:
		return no("the original was not approved")
	case m.Left < tx.Amount.Minor:
		return no("less than that can still be refunded")
	case t.fullOnly(r) && t.money(r, r.get("txamt")) != tx.Amount:
		return no("a card payment of the same day is refunded in full only")
	}
	b, err := json.Marshal(m)
	return payment.Baseline{Fingerprint: b}, err
}

// fullOnly says whether the original was paid by card on the day the server has
// now (chapter 3.2). Without a readable day it counts as today.
func (t *terminal) fullOnly(r record) bool {
	day := func(s string) string { return s[:min(len(s), len("2025-08-26"))] }
	paid, now := firstOf(r.get("paydtm"), r.get("sysdtm")), r.get("server_time")
	return channels[t.settings.Channel] && (len(paid) < 10 || len(now) < 10 || day(paid) == day(now))
}

// original reads the payment that a refund is about.
func (t *terminal) original(ctx context.Context, tx payment.Transaction) (record, mark, error) {
	a, err := t.ask(ctx, t.settings.query("orderId", tx.Original.Receipt), nil)
	if err != nil {
		return record{}, mark{}, err
	}
	more, err := t.others(ctx, a)
	if err != nil {
		return record{}, mark{}, err
	}
	r, m, err := t.rest(tx, a)
	for _, b := range more {
		switch o, n, again := t.rest(tx, b); {
		case again != nil:
		case err == nil && n != m:
			return record{}, mark{}, fmt.Errorf("%w: two answers about the original are not the same", link.ErrUnproven)
		default:
			r, m, err = o, n, nil
		}
	}
	return r, m, err
}

// rest is what one answer says can still be refunded of an original.
func (t *terminal) rest(tx payment.Transaction, a answer) (record, mark, error) {
	r, err := t.pick(a, func(r record) bool { return r.get("syssn") == tx.Original.Receipt })
	if err != nil {
		return record{}, mark{}, err
	}
	left := t.money(r, r.get("allow_refund_amt"))
	if left.IsZero() {
		return r, mark{}, fmt.Errorf("%w: the answer does not say what can be refunded", link.ErrUnproven)
	}
	return r, mark{left.Minor, r.get("cancel")}, nil
}

func (t *terminal) findRefund(ctx context.Context, tx payment.Transaction) (payment.Outcome, error) {
	var before mark
	if err := json.Unmarshal(tx.Baseline.Fingerprint, &before); err != nil {
		return payment.Outcome{}, fmt.Errorf("%w: it has no baseline", link.ErrUnproven)
	}
	_, now, err := t.original(ctx, tx)
	switch {
	case errors.Is(err, link.ErrNotFound): // of the original, which was there
		return payment.Outcome{}, link.ErrUnproven
	case err != nil:
		return payment.Outcome{}, err
	case now == before:
		return payment.Outcome{}, link.ErrNotFound
	case before.Left-now.Left == tx.Amount.Minor:
		o := payment.Outcome{Result: payment.Approved, Amount: tx.Amount, Source: payment.SourceLookup, Vendor: payment.VendorCode{Code: "6000"}}
		o.Reference.Receipt = tx.Original.Receipt
		return o, nil
	}
	return payment.Outcome{}, fmt.Errorf("%w: what can be refunded has changed by another amount", link.ErrUnproven)
}
