package gateway

import (
	"context"
	"slices"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxReadAgain bounds about how many payments a terminal is asked after one
// reconciliation, the newest first.
const maxReadAgain = 32

// readAgain looks once more at the payments of this terminal that could not be
// given back, now that its batch is closed: that sends pending reversals. What the
// terminal was to give back by itself it has given back; about the others it is
// asked. What it says is told, never guessed; a person who was faster is not
// contradicted. A crash before it is made up for by the next reconciliation. The
// error says that the line broke.
func (l *lane) readAgain(ctx context.Context, term link.Terminal, closing payment.Record) error {
	var owed []payment.Record // the journal is not written while it is read
	for rec, err := range l.g.journal.NeedsPerson(l.g.now().Time.Add(-lookBack)) {
		if err != nil {
			return nil // a failed journal has raised its alert; the alert about the payment stays
		}
		if rec.Terminal == l.cfg.Name && rec.State == payment.StateFinal && rec.Outcome.Result == payment.Unreversed && rec.Resolution == nil {
			owed = append(owed, rec)
		}
	}
	var broken error
	asked := 0
	for _, rec := range slices.Backward(owed) {
		back := givenBackBy(closing, rec)
		if !back && broken == nil && asked < maxReadAgain {
			asked++
			back, broken = l.givenBack(ctx, term, rec)
		}
		if !back {
			continue
		}
		b := l.g.batch().step(&rec, payment.Step{Kind: payment.StepTakenBack, Amount: rec.Outcome.Amount})
		if b.announce(payment.EventResolved, rec).commit() == nil {
			l.log.Info("a payment was given back when the batch was closed", "id", string(rec.ID))
			l.g.clear(payment.AlertUnreversed, rec.ID)
		}
	}
	return broken
}

// givenBackBy says whether the reconciliation was one that rec waited for: of all
// merchants, and of the same terminal, whatever is at its address now.
func givenBackBy(closing, rec payment.Record) bool {
	return rec.Outcome.Pending && closing.Merchant == "" && rec.Baseline.Identity == closing.Baseline.Identity
}

// givenBack asks whether a payment was given back after all: about its reversal
// and its refund, and, if there was neither, about itself. The error says that
// the line broke.
func (l *lane) givenBack(ctx context.Context, term link.Terminal, rec payment.Record) (bool, error) {
	asked, want := []payment.Record{}, payment.Approved
	for _, id := range []payment.ID{payment.ReversalOf(rec.ID), payment.RefundOf(rec.ID)} {
		if back, err := l.g.journal.Find(id); err == nil {
			asked = append(asked, back)
		}
	}
	if len(asked) == 0 {
		asked, want = []payment.Record{rec}, payment.Reversed
	}
	for _, r := range asked {
		o, err := l.lookUp(ctx, term, r)
		if broken := brokenLine(err); broken != nil {
			return false, broken
		}
		if err == nil && o.Result == want && (want == payment.Reversed || o.Amount == rec.Outcome.Amount) {
			return true, nil
		}
	}
	return false, nil
}

func unreversedTextOf(rec payment.Record) string {
	if rec.Outcome.Pending {
		return pendingText
	}
	return unreversedText
}

const pendingText = "a customer has paid and got nothing, and the terminal gives the money back when its batch is closed: reconcile it"
