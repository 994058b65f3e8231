package ssi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Lookup asks what became of tx, in this order:
//
//  1. A terminal that is not idle may still be at it: [link.ErrInProgress].
//     One that waits for the second step of a purchase is told to stop:
//     nothing sends that step any more, and a first one pays nothing.
//  2. Another terminal than that of the baseline: [link.ErrSwapped].
//  3. A result that GetResultByUid finds is ours, and so is a last result with
//     our transactionUid. What it says counts.
//  4. A last result without one is ours only with keypad: locked, or if it is
//     the void of our original. It must be newer than the baseline, and have
//     our operation and amount.
//  5. A doubtful result of ours stays so, unless the profile has takes_back and
//     the longest time a payment can take has passed.
//  6. Nothing of ours: [link.ErrInProgress] until that time has passed. Then
//     [link.ErrNotFound] if the same terminal shows the same last result as
//     before, since each accepted command overwrites it; else
//     [link.ErrUnproven].
func (t *terminal) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	if idle, err := t.settled(ctx); err != nil || !idle {
		return payment.Outcome{}, orInProgress(err)
	}
	if tx.Operation == payment.Reconciliation {
		return t.lookupReport(ctx, tx, quiet)
	}
	own, last, err := t.evidence(ctx, tx)
	switch {
	case err != nil:
		return payment.Outcome{}, unbroken(err)
	case own == nil:
		return payment.Outcome{}, t.unproven(last.Params.result, tx, quiet)
	}
	return t.settle(*own, tx, quiet)
}

// evidence reads the result of tx, or nil, and the last result of the terminal,
// which must be that of the baseline.
func (t *terminal) evidence(ctx context.Context, tx payment.Transaction) (own *answer, last answer, err error) {
	if t.identity, err = t.identify(ctx); err != nil {
		return nil, last, err
	}
	if last, err = t.last(ctx); err != nil { // first: without a serial number it tells who answers
		return nil, last, err
	}
	if t.swapped(tx) {
		return nil, last, link.ErrSwapped
	}
	if own, err = t.byUID(ctx, tx); err == nil && own == nil && t.proves(last.Params.result, tx) {
		own = &last
	}
	return own, last, err
}

// swapped says whether another terminal answers than that of the baseline.
func (t *terminal) swapped(tx payment.Transaction) bool {
	now, then := t.identity.String(), tx.Baseline.Identity
	return now != "" && then != "" && now != then
}

// same makes sure that the terminal still is that of the baseline.
func (t *terminal) same(ctx context.Context, tx payment.Transaction) error {
	id, err := t.identify(ctx)
	if err != nil {
		return err
	}
	if id.serial != "" {
		t.identity = id
	}
	if t.swapped(tx) {
		return link.ErrSwapped
	}
	return nil
}

// settled says whether the terminal is idle.
func (t *terminal) settled(ctx context.Context) (bool, error) {
	status, err := t.status(ctx)
	if err == nil && status == statusFirstStep {
		_, err = t.ask(ctx, request{Method: mInterrupt})
		return false, err
	}
	return over(status), err
}

func orInProgress(err error) error {
	if err == nil {
		return link.ErrInProgress
	}
	return err
}

// unbroken makes "in progress" of a refusal: a terminal that was idle and now
// refuses is busy again.
func unbroken(err error) error {
	if code := refusedWith(err); code != "" {
		return fmt.Errorf("%w: %w", link.ErrInProgress, err)
	}
	return err
}

// byUID asks for the result of our transactionUid. It returns nil if the
// terminal knows neither the question nor the answer.
func (t *terminal) byUID(ctx context.Context, tx payment.Transaction) (*answer, error) {
	uid := t.settings.uid(tx.Attempt)
	if uid == "" || t.noUID {
		return nil, nil
	}
	a, err := t.ask(ctx, request{Method: mGetResultByUid, Params: &requestParams{TransactionUid: uid}})
	if err != nil {
		return nil, err
	}
	r := a.Params.result
	switch code := a.code(); {
	case code == "E05":
		t.noUID = true
		return nil, nil
	case code == "E06":
		return nil, &refusedError{mGetResultByUid, code, a.why()}
	case judge(a) == none, a.failed() && r == (result{}), r.Uid != "" && string(r.Uid) != uid:
		return nil, nil
	case r.Uid == "" && (r.fingerprint() == markOf(tx.Baseline).Last || !t.fits(r, tx)):
		return nil, nil // a terminal that shows its last result whatever it is asked
	}
	return &a, nil
}

// proves says whether the last result is that of tx.
func (t *terminal) proves(r result, tx payment.Transaction) bool {
	if uid := t.settings.uid(tx.Attempt); uid != "" && r.Uid != "" {
		return string(r.Uid) == uid
	}
	seen := r.fingerprint()
	if seen == markOf(tx.Baseline).Last || r.Uid != "" || !t.fits(r, tx) || seen == t.took.fingerprint && t.took.attempt != tx.Attempt {
		return false
	}
	return t.settings.Keypad == KeypadLocked || strings.EqualFold(string(r.Trn), mVoid) || strings.EqualFold(string(r.Trn), mVoidPreauth)
}

// fits says whether operation and amount, and of a reversal the receipt, are
// those of tx.
func (t *terminal) fits(r result, tx payment.Transaction) bool {
	if !strings.EqualFold(string(r.Trn), t.method(tx)) || !t.agreed(r, tx) {
		return false
	}
	return tx.Operation != payment.Reversal || sameNumber(string(r.Invoice), tx.Original.Receipt)
}

// method is the name of the command that tx is.
func (t *terminal) method(tx payment.Transaction) string {
	switch {
	case tx.Operation == payment.Purchase && !tx.Cashback.IsZero():
		return mCashBack
	case tx.Operation != payment.Reversal:
		return methods[tx.Operation]
	case tx.Original.Operation == payment.Preauthorization:
		return mVoidPreauth
	case tx.Amount.Minor < markOf(tx.Baseline).Original:
		return mPartialVoid
	}
	return mVoid
}

// settle draws the conclusion from a result of ours.
func (t *terminal) settle(a answer, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	verdict := judge(a)
	over := quiet > t.longest
	switch verdict {
	case done, declined, cancelled, notDone:
		return t.outcome(a, tx, payment.SourceLookup), nil
	case firstStep:
		if over {
			return payment.Outcome{}, fmt.Errorf("%w: its second step was never begun", link.ErrNotFound)
		}
	case doubtful:
		if over && t.settings.TakesBack && lostBank(a) {
			o := t.outcome(a, tx, payment.SourceLookup)
			o.Result = payment.Failed
			return o, nil
		}
	}
	if over {
		return payment.Outcome{}, fmt.Errorf("%w: %w", link.ErrUnproven, doubt(a))
	}
	return payment.Outcome{}, fmt.Errorf("%w: %w", link.ErrInProgress, doubt(a))
}

// lostBank says whether a result is that of a terminal that heard nothing from
// its bank.
func lostBank(a answer) bool {
	r := a.Params.result
	if !r.bankSilent() {
		return false
	}
	switch spelled(r.Result) {
	case "NO_CONNECTION", "CONNECTION_ERROR", "CONNECTION_TIMEOUT":
		return true
	case "FAILED", "":
		return a.code() == "E10"
	}
	return false
}

// unproven says what it means that the terminal shows nothing of tx.
func (t *terminal) unproven(r result, tx payment.Transaction, quiet time.Duration) error {
	id := t.identity.String()
	switch {
	case quiet <= t.longest:
		return link.ErrInProgress
	case id != "" && id == tx.Baseline.Identity && len(tx.Baseline.Fingerprint) > 0 && r.fingerprint() == markOf(tx.Baseline).Last:
		return link.ErrNotFound
	}
	return link.ErrUnproven
}
