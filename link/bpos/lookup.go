package bpos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxNews bounds how many new records of the terminal's journal are read to find
// one of ours.
const maxNews = 16

// taken answers a reversal of a payment that the terminal took back by itself,
// since nobody confirmed it. Nothing is sent that moves money.
func (t *terminal) taken(ctx context.Context, tx payment.Transaction) (payment.Outcome, bool, error) {
	who, _ := merchantOf(tx.Request, t.settings.Merchant)
	r, ok, err := t.byInvoice(ctx, invoiceOf(tx.Original), who)
	if err != nil {
		return payment.Outcome{}, false, &link.Error{Op: "GetTxnDataByInv", Err: errors.Unwrap(err)}
	}
	if !ok || !r.taken() || !sameRecord(r, tx.Original) {
		return payment.Outcome{}, false, nil
	}
	t.unconfirmed = ""
	t.voided[originalKey(tx.Original)] = true
	o := t.outcome(tx, r, r.add, payment.SourceLookup)
	o.Signature, o.Amount = false, reversedAmount(tx, r, o.Amount)
	o.Text = "the terminal took the payment back by itself"
	return o, true, nil
}

// Lookup asks what became of tx:
//
//  1. A reversal is done when its original shows it.
//  2. Anything else is looked for among the records that the terminal's journal
//     has now and did not have at the baseline: the one with our operation and
//     amount, if there is just one, and with keypad: locked. Reversed and canceled
//     ones were taken back; an approved one counts when the terminal can no longer
//     be waiting for a Confirm: when a payment can no longer last, and its wait is
//     over. Until then: [link.ErrInProgress].
//  3. Nothing of that: [link.ErrInProgress] until the longest time a payment can
//     take has passed. Then [link.ErrNotFound] if terminal and journal are what
//     they were, otherwise [link.ErrUnproven]. An empty journal proves nothing:
//     its batch can have been closed meanwhile.
func (t *terminal) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	waiting := quiet <= t.longest+t.settings.ConfirmWait
	return t.unhurried(tx, waiting, quiet > t.longest, func() (payment.Outcome, error) { return t.examine(ctx, tx, quiet, waiting) })
}

// lookEvery is how often a terminal is asked about a payment that cannot be
// settled yet: each look is half a dozen questions to it.
const lookEvery = 5 * time.Second

// unhurried looks, unless it did so in vain a moment ago and time alone can tell.
func (t *terminal) unhurried(tx payment.Transaction, waiting, over bool, look func() (payment.Outcome, error)) (payment.Outcome, error) {
	if waiting && t.looked.attempt == tx.Attempt && t.looked.over == over && time.Since(t.looked.at) < lookEvery {
		return payment.Outcome{}, link.ErrInProgress
	}
	o, err := look()
	t.looked.attempt = ""
	if errors.Is(err, link.ErrInProgress) {
		t.looked.attempt, t.looked.over, t.looked.at = tx.Attempt, over, time.Now()
	}
	return o, err
}

// examine reads the terminal and judges what it shows.
func (t *terminal) examine(ctx context.Context, tx payment.Transaction, quiet time.Duration, waiting bool) (payment.Outcome, error) {
	if err := t.sameTerminal(ctx, tx); err != nil {
		return payment.Outcome{}, err
	}
	if tx.Operation == payment.Reversal {
		return t.reversed(ctx, tx, quiet)
	}
	before, ok := readMark(tx.Baseline.Fingerprint)
	if !ok {
		return payment.Outcome{}, t.early(quiet, link.ErrUnproven)
	}
	news, now, known, err := t.news(ctx, before)
	if err != nil {
		return payment.Outcome{}, err
	}
	if tx.Operation == payment.Reconciliation && before.Count > 0 && now.Count == 0 {
		o := payment.Outcome{Result: payment.Approved, Source: payment.SourceLookup, Text: "the batch is empty, and was not"}
		return o, nil
	}
	if r, found := t.ours(tx, news); known && found && (t.settings.Keypad == KeypadLocked || t.seen[r.key()] == tx.Attempt) {
		return t.settled(tx, r, waiting)
	}
	if known && len(news) == 0 && now.Count > 0 && now.same(before) && t.identity != "" && t.identity == tx.Baseline.Identity {
		return payment.Outcome{}, t.early(quiet, link.ErrNotFound)
	}
	return payment.Outcome{}, t.early(quiet, link.ErrUnproven)
}

// sameTerminal makes sure that the library is idle, and the terminal the one of
// the baseline.
func (t *terminal) sameTerminal(ctx context.Context, tx payment.Transaction) error {
	if err := t.idle(ctx); errors.Is(err, errWorking) {
		return fmt.Errorf("%w: %w", link.ErrInProgress, err)
	} else if err != nil {
		return err
	}
	if err := t.hide(ctx); err != nil {
		return err
	}
	if _, err := t.info(ctx); err != nil {
		return err
	}
	if t.identity != "" && tx.Baseline.Identity != "" && t.identity != tx.Baseline.Identity {
		return link.ErrSwapped
	}
	return nil
}

// news lists the records that the journal has now and did not have before; known
// is false if it cannot be told which these are.
func (t *terminal) news(ctx context.Context, before mark) (news []record, now mark, known bool, err error) {
	now, first, last, err := t.look(ctx)
	if err != nil {
		return nil, now, false, err
	}
	more := now.Count - before.Count
	switch {
	case now.Count == 0:
		return nil, now, false, nil
	case more == 0:
		return nil, now, now.same(before), nil
	case more < 0 || more > maxNews:
		return nil, now, false, nil
	}
	from := int64(0)
	switch {
	case before.Count == 0 || now.First == before.First && now.Last != before.Last:
		from = before.Count + 1
	case now.Last == before.Last && now.First != before.First:
		from = 1
	default:
		return nil, now, false, nil
	}
	for n := from; n < from+more; n++ {
		r := last
		switch {
		case n == 1:
			r = first
		case n != now.Count:
			var ok bool
			if r, ok, err = t.byOrder(ctx, n); err != nil || !ok {
				return nil, now, false, err
			}
		}
		news = append(news, r)
	}
	return news, now, true, nil
}

// ours finds the one new record that can be the one of tx.
func (t *terminal) ours(tx payment.Transaction, news []record) (found record, ok bool) {
	for _, r := range news {
		if owner, known := t.seen[r.key()]; known && owner != tx.Attempt || !t.sameType(r.kind, tx.Operation) || !t.paid(tx, r) {
			continue
		}
		if ok {
			return record{}, false
		}
		found, ok = r, true
	}
	return found, ok
}

// paid says whether the amount of a record can be the one of tx: it, less by a
// discount of the profile, or less since the bank approved a part.
func (t *terminal) paid(tx payment.Transaction, r record) bool {
	asked := tx.Amount.Minor
	if r.code == codePartial && r.add == 0 && r.amount > 0 && r.amount < asked {
		return true
	}
	if r.add == 0 {
		return r.amount == asked || t.known(asked, asked-r.amount)
	}
	return t.known(asked, r.add) && (r.amount == asked || r.amount == asked-r.add)
}

// known says whether a discount is one of the profile's.
func (t *terminal) known(asked, discount int64) bool {
	for name := range t.settings.Discounts {
		if discount > 0 && t.settings.discount(name, asked) == discount {
			return true
		}
	}
	return false
}

// reversed says whether a reversal was carried out, by the record of its
// original. A payment is taken back once, so it does not matter by whom.
func (t *terminal) reversed(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	who, _ := merchantOf(tx.Request, t.settings.Merchant)
	r, ok, err := t.byInvoice(ctx, invoiceOf(tx.Original), who)
	switch {
	case err != nil:
		return payment.Outcome{}, err
	case !ok || !sameRecord(r, tx.Original):
		return payment.Outcome{}, t.early(quiet, link.ErrUnproven)
	case !r.taken():
		return payment.Outcome{}, t.early(quiet, link.ErrNotFound)
	}
	t.voided[originalKey(tx.Original)] = true
	o := t.outcome(tx, r, r.add, payment.SourceLookup)
	o.Signature, o.Amount = false, reversedAmount(tx, r, o.Amount)
	return o, nil
}

// unreversed judges a Void that the terminal did not do. If the original shows
// that it was taken back all the same, it was; if it does not, and the code is a
// clear one, it was not.
func (t *terminal) unreversed(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	o, ok, err := t.taken(ctx, tx)
	if ok || err != nil {
		return o, err
	}
	if judge(a.code) == doubtful {
		return payment.Outcome{}, a.doubt()
	}
	return t.declined(ctx, a), nil
}

// readBack judges an operation that the terminal itself ended. The bank may have
// approved before it did; then the terminal owes a reversal, and its journal has
// the record. Without an approved record that is new, it was not done.
func (t *terminal) readBack(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	before, ok := readMark(tx.Baseline.Fingerprint)
	if !ok {
		return payment.Outcome{}, a.doubt()
	}
	news, now, known, err := t.news(ctx, before)
	switch {
	case err != nil:
		return payment.Outcome{}, fmt.Errorf("%w; asked at once: %w", a.doubt(), err)
	case !known && !(now.Count == 0 && before.Count == 0):
		return payment.Outcome{}, a.doubt()
	}
	for _, r := range news {
		if r.status == trnApproved || r.status == 0 {
			return payment.Outcome{}, a.doubt()
		}
	}
	return t.declined(ctx, a), nil
}
