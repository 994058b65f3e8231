package gateway

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Goods are given on a grant, never on an event:
//
//	authorised ── dispense ─► granted ── commit ──► final: approved
//	     │                       └────── rollback ─► owed ─► final: reversed
//	     └── rollback, or the deadline ────────────► owed ─► final: reversed
//
// Before the grant the deadline reverses by itself. After it only commit,
// rollback or a person decides; a missing commit is an alert.

// dispense asks for the grant of one payment.
func (g *Gateway) dispense(ctx context.Context, c payment.Command) (payment.Reply, error) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return payment.Reply{}, err
	}
	l := g.byName[rec.Terminal]
	if l == nil {
		return payment.Reply{}, payment.Refuse(payment.ReasonUnknownTerminal, "terminal %s is no longer configured", rec.Terminal)
	}
	return replyOrError(l.offer(ctx, c, 5*time.Second))
}

// grant answers a dispense command: granted exactly once per payment, since
// only an authorised payment takes the step. term is nil while the terminal is
// away; then a payment that still has to be confirmed is not granted.
func (l *lane) grant(ctx context.Context, term link.Terminal, j job) error {
	rec, err := l.g.journal.Find(j.cmd.ID)
	if err != nil {
		j.refuse(err)
		return nil
	}
	if rec.State == payment.StateGranted || (rec.State == payment.StateFinal && rec.FulfilWithin > 0 && rec.Outcome.Result == payment.Approved && rec.Resolution == nil) {
		view := rec.View()
		j.answer(payment.Reply{Status: payment.ReplyAlreadyGranted, Known: true, Payment: &view})
		return nil
	}
	if rec.State != payment.StateAuthorised || rec.FulfilWithin == 0 {
		j.refuse(payment.Refuse(payment.ReasonState, "payment %s is %s: there is nothing to grant", rec.ID, stands(rec)))
		return nil
	}
	if err := l.confirmGrant(ctx, term, rec); err != nil {
		j.refuse(payment.Refuse(payment.ReasonUnsettled, "payment %s could not be confirmed at the terminal: %v", rec.ID, err))
		return brokenLine(err)
	}
	if err := l.g.batch().step(&rec, payment.Step{Kind: payment.StepGranted, By: j.cmd.Client}).commit(); err != nil {
		j.refuse(err)
		return nil
	}
	l.deadlines[rec.ID] = time.Now().Add(rec.FulfilWithin.Duration())
	view := rec.View()
	j.answer(payment.Reply{Status: payment.ReplyGranted, Payment: &view})
	return nil
}

func (l *lane) confirmGrant(ctx context.Context, term link.Terminal, rec payment.Record) error {
	if term == nil && l.cfg.Driver.Confirms {
		return errors.New("the terminal is away, and has to be told before goods are given")
	}
	c, ok := term.(link.Confirmer)
	if !ok {
		return nil
	}
	err := c.Confirm(ctx, rec.Transaction, rec.Outcome)
	if err != nil {
		delete(l.held, rec.ID) // settling asks the terminal whether it kept the payment
		l.broken(rec.ID)
	}
	return err
}

// commit says that the goods were given: the payment is final.
func (g *Gateway) commit(c payment.Command) (payment.Reply, error) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return payment.Reply{}, err
	}
	if rec.State == payment.StateFinal && rec.FulfilWithin > 0 && rec.Outcome.Result == payment.Approved {
		view := rec.View()
		return payment.Reply{Status: payment.ReplyDone, Known: true, Payment: &view}, nil
	}
	if rec.State != payment.StateGranted {
		return payment.Reply{}, payment.Refuse(payment.ReasonState, "payment %s is %s: commit follows a grant", rec.ID, stands(rec))
	}
	b := g.batch()
	g.finish(b, &rec, rec.Outcome)
	if err := b.commit(); err != nil {
		return payment.Reply{}, err
	}
	g.clear(payment.AlertCommit, rec.ID)
	return g.changed(rec), nil
}

// rollback says that the goods were not given: the money goes back. It is
// durable when it is answered; the lane carries it out as soon as it can.
func (g *Gateway) rollback(c payment.Command) (payment.Reply, error) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return payment.Reply{}, err
	}
	if rec.State == payment.StateOwed || (rec.State == payment.StateFinal && rec.Outcome.Result == payment.Reversed) {
		view := rec.View()
		return payment.Reply{Status: payment.ReplyDone, Known: true, Payment: &view}, nil
	}
	if rec.State != payment.StateAuthorised && rec.State != payment.StateGranted {
		return payment.Reply{}, payment.Refuse(payment.ReasonState, "payment %s is %s: use reversal for a payment that is final", rec.ID, stands(rec))
	}
	reason := "rolled back"
	if c.Reason != "" {
		reason += ": " + c.Reason
	}
	if err := g.batch().step(&rec, payment.Step{Kind: payment.StepOwed, Reason: reason, By: c.Client}).commit(); err != nil {
		return payment.Reply{}, err
	}
	g.clear(payment.AlertCommit, rec.ID)
	return g.changed(rec), nil
}

// changed wakes the lane of a payment that somebody else moved on.
func (g *Gateway) changed(rec payment.Record) payment.Reply {
	if l := g.byName[rec.Terminal]; l != nil {
		l.wake()
	}
	view := rec.View()
	return payment.Reply{Status: payment.ReplyDone, Payment: &view}
}

// expect starts the deadlines of payments that have none yet: after a restart
// the full time, once a controller can be heard.
func (l *lane) expect(open []payment.Record) {
	known := map[payment.ID]bool{}
	for _, r := range open {
		if r.State != payment.StateAuthorised && r.State != payment.StateGranted {
			continue
		}
		known[r.ID] = true
		if _, ok := l.deadlines[r.ID]; !ok && (isClosed(l.g.controller) || l.held[r.ID]) {
			l.deadlines[r.ID] = time.Now().Add(r.FulfilWithin.Duration())
		}
	}
	for id := range l.deadlines {
		if !known[id] {
			delete(l.deadlines, id)
		}
	}
}

// expire acts on deadlines that have passed: before the grant the payment is
// owed back, after it somebody has to look.
func (l *lane) expire(open []payment.Record) {
	for _, rec := range open {
		t, ok := l.deadlines[rec.ID]
		if !ok || time.Now().Before(t) {
			continue
		}
		if rec.State == payment.StateGranted {
			l.g.Raise(payment.AlertCommit, "goods were granted and nobody said whether they were given: commit or roll back", rec.ID)
			l.deadlines[rec.ID] = time.Now().Add(24 * time.Hour)
			continue
		}
		err := l.g.batch().step(&rec, payment.Step{Kind: payment.StepOwed, Reason: "no goods were asked for in time"}).commit()
		if err != nil && !isJournal(err) {
			l.log.Info("deadline came too late", "id", string(rec.ID), "err", err)
		}
		delete(l.deadlines, rec.ID)
	}
}

func stands(rec payment.Record) string {
	if rec.State == payment.StateFinal {
		return string(rec.Outcome.Result)
	}
	return string(rec.State)
}
