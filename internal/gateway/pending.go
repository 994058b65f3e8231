package gateway

import (
	"tillgate/internal/payment"
)

// afterwards is what follows from a final outcome that is durable: a payment that
// could not be given back is told to people, and a batch that was closed has given
// back what the terminal had kept for it.
func (l *lane) afterwards(rec payment.Record) {
	switch {
	case rec.State != payment.StateFinal:
	case rec.Outcome.Result == payment.Unreversed:
		l.g.Raise(payment.AlertUnreversed, unreversedTextOf(rec), rec.ID)
	case rec.Operation == payment.Reconciliation && rec.Outcome.Result == payment.Approved && rec.Merchant == "":
		l.readPending(rec)
	}
}

// readPending looks again at the payments whose money this terminal was to give
// back when its batch is closed, which it was now. A crash before it is made up
// for by the next reconciliation.
func (l *lane) readPending(closing payment.Record) {
	var given []payment.Record // the journal is not written while it is read
	for rec, err := range l.g.journal.Since(l.g.now().Time.Add(-lookBack)) {
		if err != nil {
			return
		}
		if givenBackBy(closing, rec) {
			given = append(given, rec)
		}
	}
	for _, rec := range given {
		b := l.g.batch().step(&rec, payment.Step{Kind: payment.StepTakenBack, Amount: rec.Outcome.Amount})
		if b.announce(payment.EventResolved, rec).commit() == nil {
			l.g.clear(payment.AlertUnreversed, rec.ID)
		}
	}
}

// givenBackBy says whether the reconciliation was one that rec waited for: of the
// same terminal, whatever is at its address now.
func givenBackBy(closing, rec payment.Record) bool {
	waits := rec.State == payment.StateFinal && rec.Outcome.Result == payment.Unreversed && rec.Outcome.Pending
	return waits && rec.Terminal == closing.Terminal && rec.Baseline.Identity == closing.Baseline.Identity
}

func unreversedTextOf(rec payment.Record) string {
	if rec.Outcome.Pending {
		return pendingText
	}
	return unreversedText
}

const pendingText = "a customer has paid and got nothing, and the terminal gives the money back when its batch is closed: reconcile it"
