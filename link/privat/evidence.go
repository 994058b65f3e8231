package privat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Lookup asks what became of tx, in this order:
//
//  1. An answer to tx itself that came late is conclusive, if it is done or not
//     done. On the connection of the command it is known whose it is; on
//     another one it is the answer to the command that was sent after the
//     terminal was last seen idle, which is what a baseline sees.
//  2. A terminal that says deviceBusy is still at it: [link.ErrInProgress].
//  3. The last receipt proves a payment if it came with an answer to tx, or with
//     keypad: locked. It must come from the terminal of the baseline, be newer
//     than it, be no other attempt's, and have our operation and amount. A void
//     needs no locked keypad if it names the original.
//  4. Nothing of that: [link.ErrInProgress] until the longest time a payment can
//     take has passed. Then [link.ErrNotFound] if terminal and last receipt are
//     what they were before, otherwise [link.ErrUnproven]. A terminal without a
//     last receipt proves nothing: its batch can have been closed meanwhile.
func (t *terminal) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	t.collect()
	if o, ok := t.lateAnswer(tx); ok {
		return o, nil
	}
	o, err := t.examine(ctx, tx, quiet)
	if err != nil {
		if late, ok := t.lateAnswer(tx); ok { // it came while we asked
			return late, nil
		}
	}
	return o, err
}

// lateAnswer finds the conclusive answer to tx among those that came late.
func (t *terminal) lateAnswer(tx payment.Transaction) (payment.Outcome, bool) {
	for i, s := range t.strays {
		v := judge(s.answer)
		if s.attempt != tx.Attempt && (s.attempt != "" || !t.fits(s.answer, tx)) || v != done && v != notDone {
			continue
		}
		if v == done && s.attempt == "" && !t.agrees(s.answer, tx) {
			continue
		}
		if v == done && t.checkCash(tx, s.answer) != nil {
			continue
		}
		t.strays = append(t.strays[:i:i], t.strays[i+1:]...)
		t.claim(s.answer, tx.Attempt)
		o := t.outcome(s.answer, v, payment.SourceLookup)
		o.Discount = t.agreed(tx, s.answer)
		return o, true
	}
	return payment.Outcome{}, false
}

// fits says whether an answer from an earlier connection can be the one to tx.
func (t *terminal) fits(a answer, tx payment.Transaction) bool {
	b := tx.Baseline
	if t.identity != "" && b.Identity != "" && t.identity != b.Identity || t.method(tx) != a.method {
		return false
	}
	owner, known := t.seen[a.key()]
	old := readMark(b.Fingerprint)
	return !(known && owner != tx.Attempt) && (a.rrn == "" || a.rrn != old.RRN || a.txnType != old.Type)
}

// agrees says whether the amount of an approval can be the one of tx. Less is a
// partial approval; what is done about it is not the driver's.
func (t *terminal) agrees(a answer, tx payment.Transaction) bool {
	m := t.money(a.amount)
	if a.code == codePartial {
		return !m.IsZero() && m.Minor < tx.Amount.Minor
	}
	return m == tx.Amount || tx.Amount.IsZero() || !t.agreed(tx, a).IsZero()
}

// examine reads the terminal and judges what it shows.
func (t *terminal) examine(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	last, err := t.look(ctx, tx)
	if err != nil {
		return payment.Outcome{}, err
	}
	if o, ok, err := t.proven(ctx, last, tx); ok || err != nil {
		return o, err
	}
	unchanged := sameReceipt(last.mark(), readMark(tx.Baseline.Fingerprint))
	switch {
	case quiet <= t.longest:
		return payment.Outcome{}, link.ErrInProgress
	case unchanged && last.kind == kindReceipt && t.identity != "" && t.identity == tx.Baseline.Identity:
		return payment.Outcome{}, link.ErrNotFound
	}
	return payment.Outcome{}, link.ErrUnproven
}

// look reads identity and last receipt.
func (t *terminal) look(ctx context.Context, tx payment.Transaction) (receipt, error) {
	_, err := t.info(ctx)
	var last receipt
	if err == nil {
		last, err = t.receipt(ctx, "")
	}
	switch {
	case errors.Is(err, errBusy):
		return receipt{}, fmt.Errorf("%w: %w", link.ErrInProgress, err)
	case errors.Is(err, errUnknownMethod):
		return receipt{}, fmt.Errorf("%w: %w", link.ErrUnproven, err)
	case err == nil && t.identity != "" && tx.Baseline.Identity != "" && t.identity != tx.Baseline.Identity:
		return receipt{}, link.ErrSwapped
	}
	return last, err
}

// proven says what the last receipt proves about tx, if anything.
func (t *terminal) proven(ctx context.Context, last receipt, tx payment.Transaction) (payment.Outcome, bool, error) {
	before := readMark(tx.Baseline.Fingerprint)
	if tx.Operation == payment.Reconciliation {
		closed := before.Kind == kindReceipt && last.kind == kindEmpty && tx.Merchant == ""
		return payment.Outcome{Result: payment.Approved, Source: payment.SourceLookup, Text: "the batch is empty, and was not"}, closed, nil
	}
	a := last.as(t.method(tx))
	if last.kind == kindReceipt && isType(last.txnType, tx) && t.ours(last, before, tx) {
		switch v := judge(a); {
		case v == done && !last.void(tx) && t.agrees(a, tx), v == notDone:
			t.claim(a, tx.Attempt)
			o := t.outcome(a, v, payment.SourceLookup)
			o.Discount = t.agreed(tx, a)
			return o, true, nil
		case last.cancelled() && (t.agrees(a, tx) || a.amount == ""):
			t.claim(a, tx.Attempt)
			return t.takenBack(last, payment.SourceLookup), true, nil
		}
	}
	if tx.Operation != payment.Reversal {
		return payment.Outcome{}, false, nil
	}
	return t.voided(ctx, before, tx)
}

// void says whether a receipt shows a payment that was taken back.
func (r receipt) void(tx payment.Transaction) bool {
	return tx.Operation != payment.Reversal && r.taken()
}

// ours says whether a receipt of our operation is the one of tx.
func (t *terminal) ours(last receipt, before mark, tx payment.Transaction) bool {
	if owner, known := t.seen[last.key()]; known {
		return owner == tx.Attempt
	}
	if sameReceipt(last.mark(), before) || t.identity == "" || t.identity != tx.Baseline.Identity {
		return false
	}
	if tx.Operation == payment.Reversal && (last.rrn != "" && last.rrn == tx.Original.RRN || sameNumber(last.invoice, tx.Original.Receipt)) {
		return true
	}
	return t.settings.Keypad == KeypadLocked && (before.Kind == kindReceipt || before.Kind == kindEmpty)
}

// voided asks for the receipt of the original itself. A receipt is voided once,
// so it does not matter by whom, if all of it was to be taken back.
func (t *terminal) voided(ctx context.Context, before mark, tx payment.Transaction) (payment.Outcome, bool, error) {
	whole := t.money(before.OriginalAmount)
	if whole.IsZero() || !tx.Amount.IsZero() && tx.Amount != whole {
		return payment.Outcome{}, false, nil
	}
	r, err := t.receipt(ctx, tx.Original.Receipt)
	if errors.Is(err, errBusy) {
		return payment.Outcome{}, false, link.ErrInProgress
	}
	if err != nil || r.kind != kindReceipt || !r.taken() || r.rrn != tx.Original.RRN {
		return payment.Outcome{}, false, tolerate(err)
	}
	o := t.outcome(r.as(methodVoid), done, payment.SourceLookup)
	o.Amount = whole
	return o, true, nil
}

// readBack judges a command that the terminal answered, but not with an outcome:
// it ended it by itself, or says what excludes nothing. The last receipt is read
// at once, on the same connection. If it is ours the command was done. If the
// terminal ended the command, and terminal and last receipt are what they were
// before, or the new one says the same code, two statements agree that nothing
// was booked, and nothing will be. Everything else stays doubtful.
func (t *terminal) readBack(ctx context.Context, tx payment.Transaction, a answer, v verdict) (payment.Outcome, error) {
	last, err := t.look(ctx, tx)
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("%w; asked at once: %w", doubt(a), err)
	}
	o, ok, err := t.proven(ctx, last, tx)
	switch {
	case err != nil:
		return payment.Outcome{}, fmt.Errorf("%w; asked at once: %w", doubt(a), err)
	case ok:
		return o, nil
	case v != ended || t.identity == "" || t.identity != tx.Baseline.Identity:
		return payment.Outcome{}, doubt(a)
	case sameReceipt(last.mark(), readMark(tx.Baseline.Fingerprint)):
		return t.outcome(a, notDone, payment.SourceAnswer), nil
	case last.kind == kindReceipt && last.code == a.code && last.cancelled():
		t.claim(last.answer, tx.Attempt)
		return t.takenBack(last, payment.SourceAnswer), nil
	case last.kind == kindReceipt && last.code == a.code:
		return t.outcome(a, notDone, payment.SourceAnswer), nil
	}
	return payment.Outcome{}, doubt(a)
}
