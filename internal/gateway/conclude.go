package gateway

import (
	"context"
	"sync"

	"tillgate/internal/payment"
	"tillgate/link"
)

// conclude writes down a conclusive outcome of rec, which is begun or in
// doubt, and what follows from it. If the journal does not take it, the answer
// is kept and written when it can be. The error says that the line broke.
func (l *lane) conclude(ctx context.Context, term link.Terminal, rec payment.Record, o payment.Outcome) error {
	confirm := false
	b := l.g.batch()
	if o.Result == payment.Approved && rec.Operation.MovesMoney() {
		confirm = l.approve(b, term, &rec, o)
	} else {
		l.g.finish(b, &rec, o)
	}
	if err := b.commit(); err != nil {
		if isJournal(err) {
			l.answers[rec.ID] = o
		} else {
			l.log.Error("outcome contradicts the journal", "id", string(rec.ID), "err", err)
		}
		return nil
	}
	l.forget(rec)
	if rec.State == payment.StateFinal && rec.Outcome.Result == payment.Unreversed {
		l.g.Raise(payment.AlertUnreversed, unreversedTextOf(rec), rec.ID)
	}
	if confirm {
		return l.confirm(ctx, term, rec)
	}
	if rec.Operation == payment.Reconciliation && rec.Outcome.Result == payment.Approved {
		return l.readAgain(ctx, term, rec)
	}
	return nil
}

// approve judges an approval: the amount, offline, what has to happen before
// it is final. It says whether the terminal is waiting to be told that the
// outcome is written down.
func (l *lane) approve(b *batch, term link.Terminal, rec *payment.Record, o payment.Outcome) (confirm bool) {
	_, confirmer := term.(link.Confirmer)
	reversible := rec.Operation == payment.Purchase || rec.Operation == payment.Preauthorization
	owe := func(reason string) {
		b.step(rec, payment.Step{Kind: payment.StepOwed, Outcome: &o, Reason: reason})
	}
	switch agreement := payment.Compare(rec.Amount, o.Discount, o.Amount); {
	case agreement == payment.AmountDoubtful:
		l.g.Raise(payment.AlertAmount, "the terminal approved "+o.Amount.String()+" where "+rec.Amount.String()+" was asked", rec.ID)
		o.Result, o.Text = payment.InDoubt, "approved for an amount that was not asked: "+o.Amount.String()
		l.g.doubt(b, rec, o)
	case agreement == payment.AmountPartial && reversible && !l.cfg.AcceptPartial:
		owe("approved for " + o.Amount.String() + " only")
	case o.Offline && reversible && l.cfg.ReverseOffline:
		owe("approved without the bank")
	case o.Signature && reversible:
		owe("approved against a signature, which nobody looks at here")
	case rec.FulfilWithin > 0 && rec.Operation == payment.Purchase:
		b.step(rec, payment.Step{Kind: payment.StepAuthorised, Outcome: &o}).announce(payment.EventAuthorised, *rec)
		l.held[rec.ID] = true
	case confirmer:
		b.step(rec, payment.Step{Kind: payment.StepAuthorised, Outcome: &o})
		return true
	default:
		l.g.finish(b, rec, o)
	}
	return false
}

// confirm tells the terminal that an approved payment is written down, and
// finishes it. If the line breaks here, settling looks it up.
func (l *lane) confirm(ctx context.Context, term link.Terminal, rec payment.Record) error {
	if err := term.(link.Confirmer).Confirm(ctx, rec.Transaction, rec.Outcome); err != nil {
		l.broken(rec.ID)
		return err
	}
	o := rec.Outcome
	if c, ok := term.(link.Completer); ok {
		o = c.Complete(ctx, rec.Transaction, o)
	}
	b := l.g.batch()
	l.g.finish(b, &rec, o)
	if b.commit() == nil {
		l.forget(rec)
	}
	return nil
}

// finish gives rec its final outcome and announces it. An approved reversal or
// refund changes its original in the same transaction.
func (g *Gateway) finish(b *batch, rec *payment.Record, o payment.Outcome) {
	b.step(rec, payment.Step{Kind: payment.StepFinished, Outcome: &o})
	event := payment.EventFinal
	if rec.Operation == payment.Reconciliation {
		event = payment.EventReconciliation
	}
	if o.Result == payment.Unreversed {
		b.announce(payment.EventUnreversed, *rec)
	}
	b.announce(event, *rec)
	g.takeBack(b, *rec)
}

// takeBack marks the original of an approved reversal or refund.
func (g *Gateway) takeBack(b *batch, rec payment.Record) {
	if rec.Outcome.Result != payment.Approved || rec.Original.Payment == "" {
		return
	}
	orig, err := g.journal.Find(rec.Original.Payment)
	if err != nil {
		g.log.Error("original of a reversal not found", "id", string(rec.ID), "err", err)
		return
	}
	switch {
	case orig.State == payment.StateOwed:
		o := orig.Outcome
		o.Result, o.Text = payment.Reversed, orig.OwedReason
		b.step(&orig, payment.Step{Kind: payment.StepFinished, Outcome: &o}).announce(payment.EventFinal, orig)
	case orig.State == payment.StateFinal && rec.Operation == payment.Reversal:
		b.step(&orig, payment.Step{Kind: payment.StepTakenBack, Amount: rec.Outcome.Amount})
	}
}

// doubt marks rec as in doubt, once, and announces it.
func (g *Gateway) doubt(b *batch, rec *payment.Record, o payment.Outcome) {
	if rec.State != payment.StateBegun {
		return
	}
	b.step(rec, payment.Step{Kind: payment.StepDoubted, Outcome: &o}).announce(payment.EventInDoubt, *rec)
	g.Raise(payment.AlertInDoubt, doubtText, rec.ID)
}

const doubtText = "nobody knows whether the customer paid: look at the terminal, then `tillgate resolve`"

// forget drops what the lane kept in memory about a payment that is settled.
func (l *lane) forget(rec payment.Record) {
	l.mu.Lock()
	delete(l.quietFrom, rec.ID)
	l.mu.Unlock()
	delete(l.said, rec.ID)
	delete(l.answers, rec.ID)
	if rec.State != payment.StateFinal {
		return
	}
	delete(l.deadlines, rec.ID)
	delete(l.held, rec.ID)
	delete(l.repeats, rec.ID)
	delete(l.unsent, rec.ID)
	delete(l.toSend, rec.ID)
	l.mu.Lock()
	delete(l.asked, rec.ID)
	l.mu.Unlock()
	l.count(rec)
	l.g.clear(payment.AlertInDoubt, rec.ID)
	l.g.clear(payment.AlertAmount, rec.ID)
}

func onceClose(c chan struct{}) func() { return sync.OnceFunc(func() { close(c) }) }
