package gateway

import (
	"context"
	"errors"
	"slices"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxRepeats bounds how often one reversal is sent. Only a reversal by receipt
// number is ever sent again, and only after the terminal has shown, in the
// same batch, that the receipt is still there.
const maxRepeats = 3

// maxUnsent bounds how often the line may break before one reversal is sent.
// With the pauses between connections that is some four minutes.
const maxUnsent = 20

// payBack gives back the money of a payment whose reversal is owed: by a
// reversal, else by a refund where the protocol has one, else it is said that
// it cannot be done. Both are payments of their own.
func (l *lane) payBack(soft, hard context.Context, term link.Terminal, orig payment.Record) error {
	for _, way := range []struct {
		op payment.Operation
		id payment.ID
	}{
		{payment.Reversal, payment.ReversalOf(orig.ID)},
		{payment.Refund, payment.RefundOf(orig.ID)},
	} {
		if !slices.Contains(l.cfg.Driver.Operations, way.op) {
			continue
		}
		rec, err := l.g.journal.Find(way.id)
		switch {
		case err == nil && (rec.Unsettled() || rec.State == payment.StateAuthorised):
			return nil // begun by an earlier round: it is looked up like any other payment
		case err == nil:
			continue // it was tried, and did not succeed
		case payment.ReasonOf(err) != payment.ReasonNotFound:
			return nil
		}
		tried, err := l.payBackBy(soft, hard, term, orig, way.op, way.id)
		if tried || err != nil {
			return err
		}
	}
	return l.unreversed(orig)
}

// payBackBy begins one reversal or refund. It was not tried if the terminal
// says beforehand that it cannot be made.
func (l *lane) payBackBy(soft, hard context.Context, term link.Terminal, orig payment.Record, op payment.Operation, id payment.ID) (tried bool, err error) {
	r := payment.Request{ID: id, Order: orig.Order, Terminal: orig.Terminal, Operation: op, Amount: orig.Outcome.Amount, Merchant: orig.Merchant, Original: orig.AsOriginal()}
	tx := payment.Transaction{Request: r, Attempt: newAttempt(), Started: l.g.now(), Test: l.cfg.Test}
	tx.Baseline, err = l.baseline(soft, term, tx)
	if errors.Is(err, link.ErrNotReversible) {
		return false, nil
	}
	if err != nil {
		return true, brokenLine(err)
	}
	rec, known, err := l.g.journal.Begin(tx)
	if err != nil || known {
		if err != nil {
			l.log.Error("reversal not begun", "id", string(id), "err", err)
		}
		return true, nil
	}
	return true, l.execute(hard, term, rec)
}

func (l *lane) baseline(ctx context.Context, term link.Terminal, tx payment.Transaction) (payment.Baseline, error) {
	b, ok := term.(link.Baseliner)
	if !ok {
		return payment.Baseline{}, nil
	}
	l.pulse.within(exchange)
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	return b.Baseline(ctx, tx)
}

// mayRepeat says whether an unanswered reversal may be sent once more.
func (l *lane) mayRepeat(rec payment.Record) bool {
	return rec.Operation == payment.Reversal && !rec.EvidenceOwed && l.repeats[rec.ID] < maxRepeats
}

// notYet keeps a reversal or refund that is owed begun, although nothing of it
// was sent: it is not over because a line broke before it. Settling sends it. One
// that had been sent before is looked up again: the terminal may have heard that.
func (l *lane) notYet(rec payment.Record) bool {
	if l.repeats[rec.ID] > 0 {
		return true
	}
	if !rec.ID.Derived() || l.unsent[rec.ID] >= maxUnsent {
		return false
	}
	l.unsent[rec.ID]++
	l.toSend[rec.ID] = true
	return true
}

// send sends what was begun and certainly not sent, if the terminal still can.
func (l *lane) send(soft, hard context.Context, term link.Terminal, rec payment.Record) error {
	if _, err := l.baseline(soft, term, rec.Transaction); errors.Is(err, link.ErrNotReversible) {
		return l.conclude(hard, term, rec, payment.Outcome{Result: payment.Failed, Source: payment.SourceGateway, Condition: payment.CondNotAllowed, Text: err.Error()})
	} else if err != nil {
		return brokenLine(err)
	}
	delete(l.toSend, rec.ID)
	return l.execute(hard, term, rec)
}

// repeat sends a reversal again whose first answer was lost, if the terminal
// still shows the receipt. If it does not, nobody knows.
func (l *lane) repeat(soft, hard context.Context, term link.Terminal, rec payment.Record) error {
	l.repeats[rec.ID]++
	if _, err := l.baseline(soft, term, rec.Transaction); err != nil {
		if brokenLine(err) == nil {
			l.repeats[rec.ID] = maxRepeats
			l.giveUp(rec, err)
		}
		return brokenLine(err)
	}
	return l.execute(hard, term, rec)
}

// unreversed says that the customer's money cannot be given back from here.
func (l *lane) unreversed(orig payment.Record) error {
	o := orig.Outcome
	o.Result, o.Text = payment.Unreversed, orig.OwedReason+"; the terminal can no longer give it back"
	b := l.g.batch().step(&orig, payment.Step{Kind: payment.StepFinished, Outcome: &o})
	b.announce(payment.EventUnreversed, orig).announce(payment.EventFinal, orig)
	if b.commit() == nil {
		l.forget(orig)
		l.g.Raise(payment.AlertUnreversed, unreversedText, orig.ID)
	}
	return nil
}

const unreversedText = "a customer has paid and got nothing, and the terminal can no longer give the money back: give it back by other means, then `tillgate resolve`"
