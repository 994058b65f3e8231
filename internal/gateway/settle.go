package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// needsSettling says whether a record has to be dealt with before anything is
// sold: its outcome is unknown, a reversal is owed, evidence is owed, or the
// terminal may not know that it was confirmed.
func (l *lane) needsSettling(r payment.Record) bool {
	return r.Unsettled() || r.EvidenceOwed || (r.State == payment.StateAuthorised && r.FulfilWithin == 0)
}

// settle finds out what became of everything that is unfinished, and serves
// nothing meanwhile. The error says that the line broke.
func (l *lane) settle(soft, hard context.Context, term link.Terminal) error {
	for first := true; soft.Err() == nil; first = false {
		open, err := l.open()
		open = slices.DeleteFunc(open, func(r payment.Record) bool { return !l.needsSettling(r) && !l.unheld(term, r) })
		if err == nil && len(open) == 0 && l.g.journalHealthy() {
			return nil
		}
		l.showSettling(open)
		if !first {
			l.wait(soft, term, l.cfg.Pace)
		}
		if !l.g.journalHealthy() {
			continue
		}
		if err := l.settleAll(soft, hard, term, open); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) settleAll(soft, hard context.Context, term link.Terminal, open []payment.Record) error {
	l.pulse.within(l.longest(payment.MaxTimeout)) // another lane's customer on the same device
	if l.takeDevice(soft) != nil {
		return nil
	}
	defer l.freeDevice()
	for _, stale := range open {
		rec, err := l.g.journal.Find(stale.ID) // an earlier one of this round, or a person, may have ended it
		if err != nil || soft.Err() != nil {
			continue
		}
		if rec.State == payment.StateOwed {
			err = l.payBack(soft, hard, term, rec)
		} else if l.needsSettling(rec) || l.unheld(term, rec) {
			err = l.find(soft, hard, term, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unheld says whether an authorised payment was left by an earlier connection
// of a protocol that takes unconfirmed payments back: it is asked about, and
// never confirmed twice.
func (l *lane) unheld(term link.Terminal, r payment.Record) bool {
	_, confirmer := term.(link.Confirmer)
	return confirmer && r.State == payment.StateAuthorised && !l.held[r.ID]
}

func (l *lane) showSettling(open []payment.Record) {
	l.show(func(t *payment.TerminalStatus) {
		t.Link, t.Stage, t.Error, t.Next, t.Reasons = payment.LinkSettling, payment.StageIdle, "", "", []payment.Reason{payment.ReasonUnsettled}
		if len(open) > 0 {
			t.Payment = open[0].ID
		}
	})
}

// find asks the terminal what became of one payment and draws the conclusion.
func (l *lane) find(soft, hard context.Context, term link.Terminal, rec payment.Record) error {
	if o, ok := l.answers[rec.ID]; ok {
		if rec.State != payment.StateAuthorised {
			return l.conclude(hard, term, rec, o)
		}
		delete(l.answers, rec.ID) // the journal took it, although it said that it did not
	}
	if l.toSend[rec.ID] {
		return l.send(soft, hard, term, rec)
	}
	if rec.Operation.ReadsCard() {
		text := "interrupted; no money moves by it: ask again"
		return l.conclude(hard, term, rec, payment.Outcome{Result: payment.Failed, Source: payment.SourceGateway, Condition: payment.CondAborted, Text: text})
	}
	o, err := l.lookUp(soft, term, rec)
	if soft.Err() != nil {
		return nil
	}
	if broken := brokenLine(err); broken != nil {
		return broken
	}
	l.wasAsked(rec.ID)
	if rec.State == payment.StateInDoubt { // after a restart nobody has been told yet
		l.g.Raise(payment.AlertInDoubt, doubtText, rec.ID)
	}
	if errors.Is(err, link.ErrSwapped) {
		l.g.Raise(payment.AlertSwapped, "terminal "+l.cfg.Name+" is not the one the payment was made on: "+err.Error(), rec.ID)
	}
	if errors.Is(err, link.ErrNotFound) {
		o, err = payment.Outcome{Result: payment.Failed, Source: payment.SourceLookup, Condition: payment.CondNotFound, Text: err.Error()}, nil
	}
	if t, ok := l.toldInstead(rec, o, err); ok {
		return l.conclude(hard, term, rec, t)
	}
	switch {
	case rec.EvidenceOwed:
		return l.evidence(rec, o, err)
	case rec.State == payment.StateAuthorised:
		return l.foundAuthorised(rec, o, err)
	case err == nil && o.Result == payment.Failed && rec.Operation == payment.Reversal && l.mayRepeat(rec):
		return l.repeat(soft, hard, term, rec)
	case err == nil && o.Result != payment.InDoubt:
		return l.conclude(hard, term, rec, o)
	case errors.Is(err, link.ErrInProgress):
		l.age()
		return l.climb(soft, term)
	case rec.Operation == payment.Reversal && l.mayRepeat(rec):
		return l.repeat(soft, hard, term, rec)
	case rec.Operation == payment.Reconciliation: // it moves no money: say so and go on
		text := "the terminal cannot tell whether the batch was closed"
		return l.conclude(hard, term, rec, payment.Outcome{Result: payment.InDoubt, Source: payment.SourceGateway, Text: text})
	}
	l.giveUp(rec, err)
	return nil
}

// lookUp asks about one payment, within the time of one exchange: an approval that
// may not be confirmed by what it said, where the driver can.
func (l *lane) lookUp(ctx context.Context, term link.Terminal, rec payment.Record) (payment.Outcome, error) {
	l.pulse.within(exchange)
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	if r, ok := term.(link.Rechecker); ok && rec.State == payment.StateAuthorised {
		return r.Recheck(ctx, rec.Transaction, rec.Outcome, l.quiet(rec))
	}
	return term.Lookup(ctx, rec.Transaction, l.quiet(rec))
}

// toldInstead is what an acquirer has told of a payment in doubt by its name, if
// the terminal cannot tell: its answer was o or err. As long as the terminal may
// still be at it, the terminal is waited for.
func (l *lane) toldInstead(rec payment.Record, o payment.Outcome, err error) (payment.Outcome, bool) {
	doubtful := rec.State == payment.StateInDoubt || (rec.State == payment.StateBegun && !errors.Is(err, link.ErrInProgress))
	silent := err != nil || o.Result == payment.InDoubt || (takesBack(rec.Operation) && o.Result == payment.Failed)
	if !doubtful || !silent || rec.EvidenceOwed {
		return payment.Outcome{}, false
	}
	return told(rec)
}

// foundAuthorised ends the doubt whether the terminal kept a payment that it
// wanted to be confirmed.
func (l *lane) foundAuthorised(rec payment.Record, o payment.Outcome, err error) error {
	switch {
	case err != nil:
		l.log.Warn("authorised payment not found yet", "id", string(rec.ID), "err", err)
	case o.Result == payment.Approved && rec.FulfilWithin > 0:
		l.held[rec.ID] = true
	default:
		b := l.g.batch()
		l.g.finish(b, &rec, o)
		if b.commit() == nil {
			l.forget(rec)
		}
	}
	return nil
}

// broken notes that the exchange about a payment has just broken.
func (l *lane) broken(id payment.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quietFrom[id] = time.Now()
}

// quiet is how long ago the last byte of the money command can have been sent.
func (l *lane) quiet(rec payment.Record) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.quietFrom[rec.ID]; ok {
		return time.Since(t)
	}
	return time.Since(l.g.started)
}

// age gives up on what has been unknown for longer than a payment can last.
func (l *lane) age() {
	open, err := l.open()
	if err != nil {
		return
	}
	for _, rec := range open {
		if rec.State == payment.StateBegun && l.quiet(rec) > l.cfg.Link.Longest {
			l.giveUp(rec, errors.New("no conclusive answer within "+l.cfg.Link.Longest.String()))
		}
	}
}

// giveUp says that nobody knows. Looking up goes on; a person may end it.
func (l *lane) giveUp(rec payment.Record, why error) {
	text := "the terminal cannot tell"
	if why != nil {
		text = why.Error()
	}
	said := l.said[rec.ID]
	b := l.g.batch()
	l.g.doubt(b, &rec, payment.Outcome{Result: payment.InDoubt, Source: payment.SourceGateway, Text: text, Condition: said.Condition, Vendor: said.Vendor})
	if len(b.steps) > 0 {
		_ = b.commit() // a failed journal has raised its alert; the next round comes here again
	}
}

func (l *lane) wasAsked(id payment.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[id] = true
}
