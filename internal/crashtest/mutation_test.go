package crashtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
)

// mutation plants one known fault. The zero value plants none.
type mutation struct {
	name     string
	driver   func(*link.Driver)
	terminal func(link.Terminal) link.Terminal
	journal  func(gateway.Journal) gateway.Journal
}

// mutant is a terminal with faults; what is not replaced works.
type mutant struct {
	link.Terminal
	execute func(t link.Terminal, ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error)
	lookup  func(t link.Terminal, ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error)
}

func (m mutant) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	if m.execute != nil {
		return m.execute(m.Terminal, ctx, tx, d)
	}
	return m.Terminal.Execute(ctx, tx, d)
}

func (m mutant) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	if m.lookup != nil {
		return m.lookup(m.Terminal, ctx, tx, quiet)
	}
	return m.Terminal.Lookup(ctx, tx, quiet)
}

func (m mutant) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	if b, ok := m.Terminal.(link.Baseliner); ok {
		return b.Baseline(ctx, tx)
	}
	return payment.Baseline{}, nil
}

// whole gives a mutant of a terminal that wants confirmations that power too.
func whole(mutant, sound link.Terminal) link.Terminal {
	c, ok := sound.(link.Confirmer)
	if _, has := mutant.(link.Confirmer); !ok || has {
		return mutant
	}
	if d, ok := mutant.(link.Diagnoser); ok {
		return struct {
			link.Terminal
			link.Baseliner
			link.Confirmer
			link.Diagnoser
		}{mutant, mutant.(link.Baseliner), c, d}
	}
	return struct {
		link.Terminal
		link.Baseliner
		link.Confirmer
	}{mutant, mutant.(link.Baseliner), c}
}

// fragile is a terminal whose diagnosis overwrites what a lookup reads, as an
// echo does on some. The box remembers it, since the terminal does.
type fragile struct {
	mutant
	spoiled *atomic.Bool
}

func (f fragile) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	f.spoiled.Store(false)
	return f.Terminal.Execute(ctx, tx, d)
}

func (f fragile) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	f.spoiled.Store(true)
	return f.Terminal.(link.Diagnoser).Diagnose(ctx)
}

func (f fragile) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	if f.spoiled.Load() {
		return payment.Outcome{}, link.ErrUnproven
	}
	return f.Terminal.Lookup(ctx, tx, quiet)
}

// fragileTerminal is no fault: it is a terminal that a driver has to describe
// rightly, as preserving what preserves.
func fragileTerminal(name string, preserving ...payment.Operation) mutation {
	spoiled := &atomic.Bool{}
	return mutation{
		name:     name,
		driver:   func(d *link.Driver) { d.Preserving = preserving },
		terminal: func(t link.Terminal) link.Terminal { return fragile{mutant{Terminal: t}, spoiled} },
	}
}

// A diagnosis is never sent while its evidence is needed, if the driver does
// not say that it preserves it.
func TestDiagnosisWaits(t *testing.T) {
	m := fragileTerminal("honest")
	on := onECRVN()
	for _, sc := range []scene{{saleStory, []string{"lost-answer", "approve"}}, {saleStory, []string{"reboot", "approve"}}, {rollbackStory, []string{"lost-answer", "approve"}}} {
		found, writes, _ := play(t, on, sc, m, nil)
		for n := 1; n <= writes; n++ {
			more, _, _ := play(t, on, sc, m, func(b *box) { b.countdown = n })
			found = append(found, more...)
		}
		for _, v := range found {
			t.Errorf("%s: %s", sc.story.name, v)
		}
	}
}

// splitJournal writes the steps first and the events afterwards.
type splitJournal struct{ gateway.Journal }

func (j splitJournal) Append(steps []payment.Step, events []payment.Event) error {
	if len(steps) > 0 {
		if err := j.Journal.Append(steps, nil); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	return j.Journal.Append(nil, events)
}

// lateJournal tells the lane that a payment has begun although it was not
// written down.
type lateJournal struct{ gateway.Journal }

func (j lateJournal) Begin(tx payment.Transaction) (payment.Record, bool, error) {
	rec, known, err := j.Journal.Begin(tx)
	if err != nil && payment.ReasonOf(err) == "" {
		return payment.Record{Transaction: tx, State: payment.StateBegun}, false, nil
	}
	return rec, known, err
}

// mutations are the known faults. Each must be caught by the matrix that
// passes without them.
var mutations = []mutation{
	{name: "the purchase is repeated when the line breaks", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, lookup: func(t link.Terminal, ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
			return t.Execute(ctx, tx, link.Dialogue{})
		}}
	}},
	{name: "not found is believed before the payment can be over", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, lookup: func(t link.Terminal, ctx context.Context, tx payment.Transaction, _ time.Duration) (payment.Outcome, error) {
			return t.Lookup(ctx, tx, time.Hour)
		}}
	}},
	{name: "in progress is taken for not found", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, lookup: func(t link.Terminal, ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
			o, err := t.Lookup(ctx, tx, quiet)
			if errors.Is(err, link.ErrInProgress) {
				err = link.ErrNotFound
			}
			return o, err
		}}
	}},
	{name: "a broken line is taken for a failed payment", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, execute: func(t link.Terminal, ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
			o, err := t.Execute(ctx, tx, d)
			if e, ok := errors.AsType[*link.Error](err); ok {
				e.Sent = false
			}
			return o, err
		}}
	}},
	{name: "a test sale is made while in doubt", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, lookup: func(t link.Terminal, ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
			test := payment.Transaction{Request: payment.Request{ID: "T", Operation: payment.Purchase, Amount: payment.Money{Minor: 1, Currency: tx.Amount.Currency}}, Attempt: "TESTTESTTESTTESTTEST"}
			_, _ = t.Execute(ctx, test, link.Dialogue{})
			return t.Lookup(ctx, tx, quiet)
		}}
	}},
	fragileTerminal("a diagnosis is made while in doubt", payment.Diagnosis),
	{name: "the baseline is not compared", terminal: func(t link.Terminal) link.Terminal {
		return mutant{Terminal: t, lookup: func(t link.Terminal, ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
			o, err := t.Lookup(ctx, tx, quiet)
			if errors.Is(err, link.ErrInProgress) {
				return payment.Outcome{Result: payment.Approved, Amount: tx.Amount}, nil
			}
			return o, err
		}}
	}},
	{name: "the event is not in the transaction of its outcome", journal: func(j gateway.Journal) gateway.Journal { return splitJournal{j} }},
	{name: "the money command is sent although the journal failed", journal: func(j gateway.Journal) gateway.Journal { return lateJournal{j} }},
}

// hunt plays a subject with a planted fault until the oracle notices it: first
// with a share of the breaks, then, if everything is to be played, with all.
func hunt(t *testing.T, on subject, m mutation) {
	shares := []sample{{breaks: mutationBreaks}}
	if everything() {
		shares = append(shares, sample{})
	}
	for _, of := range shares {
		for c := range matrix(t, on, m, of) {
			if len(c.violations) > 0 {
				t.Logf("%s: caught by %s: %v", on.name, c.name, c.violations[0])
				return
			}
		}
	}
	t.Errorf("%s: nothing in the matrix notices", on.name)
}

// Every planted fault is caught by the matrix, and so the matrix can fail. A
// normal run plants each in the first driver; CRASH=all plants it in all of them,
// and plays all breaks where a share does not do: a driver that makes the terminal
// stop before it says "not found" gives that fault little room.
func TestMutationsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("the faults are hunted in the runs without -short")
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			all := subjects()
			if !everything() {
				all = all[:1]
			}
			for _, on := range all {
				hunt(t, on, m)
			}
		})
	}
}
