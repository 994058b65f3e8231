package gateway

import (
	"tillgate/internal/payment"
)

// batch gathers steps, and the events that announce them, for one durable
// transaction. Records are changed only in memory until commit succeeds; after
// a commit that did not, they must be read again.
type batch struct {
	g      *Gateway
	at     payment.Moment
	steps  []payment.Step
	events []payment.Event
	err    error
}

func (g *Gateway) batch() *batch { return &batch{g: g, at: g.now()} }

// step applies one step to rec.
func (b *batch) step(rec *payment.Record, s payment.Step) *batch {
	if b.err != nil {
		return b
	}
	s.ID, s.At = rec.ID, b.at
	b.err = rec.Apply(s)
	b.steps = append(b.steps, s)
	return b
}

// announce adds an event that shows rec as it stands after the steps so far.
func (b *batch) announce(t payment.EventType, rec payment.Record) *batch {
	b.events = append(b.events, payment.NewEvent(t, payment.About(rec.ID), b.at, rec.Test, rec.View()))
	return b
}

// commit makes all of it durable, or nothing. An error that is no refusal has
// been raised as an alert.
func (b *batch) commit() error {
	if b.err != nil {
		return b.err
	}
	err := b.g.journal.Append(b.steps, b.events)
	if err != nil && payment.ReasonOf(err) == "" {
		ids := make([]payment.ID, 0, len(b.steps))
		for _, s := range b.steps {
			ids = append(ids, s.ID)
		}
		b.g.journalFailed(err, ids...)
	}
	return err
}

// journalFailed stops selling until the journal can be written again. ids are
// the payments whose news could not be written down.
func (g *Gateway) journalFailed(err error, ids ...payment.ID) {
	g.board.update(func(s *state) { s.journal = err })
	g.Raise(payment.AlertJournal, "the journal cannot be written: "+err.Error()+"; nothing is sold until it can", ids...)
}

// journalBroken says whether a write failed and nobody has mended it since.
func (g *Gateway) journalBroken() bool {
	g.board.mu.Lock()
	defer g.board.mu.Unlock()
	return g.board.state.journal != nil
}

// journalHealthy asks the journal, which may reopen itself, and says so.
func (g *Gateway) journalHealthy() bool {
	err := g.journal.Healthy()
	was := g.journalBroken()
	switch {
	case err != nil && !was:
		g.journalFailed(err)
	case err == nil && was:
		g.board.update(func(s *state) { s.journal = nil })
		g.Clear(payment.AlertJournal)
	}
	return err == nil
}
