package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
)

// able is the simulated terminal of the other tests with powers that its
// protocol has not.
type able struct {
	link.Terminal
	link.Baseliner
	link.Diagnoser
	b *abilities
}

type abilities struct {
	blocked  atomic.Value // payment.Reason
	asked    atomic.Int32 // host diagnoses, printouts and restarts
	printed  link.Printout
	balances atomic.Int32
	hang     bool // a balance inquiry waits for ever
}

func (a able) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	d, err := a.Diagnoser.Diagnose(ctx)
	d.Blocked, _ = a.b.blocked.Load().(payment.Reason)
	return d, err
}

func (a able) DiagnoseHost(context.Context) (link.Diagnosis, error) {
	a.b.asked.Add(1)
	return link.Diagnosis{Facts: map[string]string{"host": "reached"}}, nil
}

func (a able) Print(_ context.Context, p link.Printout) ([]string, error) {
	a.b.asked.Add(1)
	a.b.printed = p
	if p.Kind == payment.PrintJournal {
		return nil, link.ErrUnsupported
	}
	return []string{"TOTAL"}, nil
}

func (a able) Restart(context.Context, bool) error {
	a.b.asked.Add(1)
	a.b.blocked.Store(payment.Reason(""))
	return nil
}

func (a able) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	if tx.Operation == payment.Reconciliation {
		a.b.blocked.Store(payment.Reason(""))
	}
	if tx.Operation != payment.Balance {
		return a.Terminal.Execute(ctx, tx, d)
	}
	a.b.balances.Add(1)
	if a.b.hang {
		<-ctx.Done()
		return payment.Outcome{}, &link.Error{Op: "balance", Sent: true, Err: ctx.Err()}
	}
	return payment.Outcome{Result: payment.Approved, Amount: vnd(777), Source: payment.SourceAnswer}, nil
}

func (a able) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	if tx.Operation == payment.Balance {
		return payment.Outcome{}, errors.New("a balance is looked up")
	}
	return a.Terminal.Lookup(ctx, tx, quiet)
}

// enable gives the world's terminal these powers.
func (w *world) enable() *abilities {
	b := &abilities{}
	open, check := w.term.Driver.Open, w.term.Driver.Check
	w.term.Driver.Check = func(settings any, r payment.Request) error {
		if r.Operation == payment.Balance {
			return nil
		}
		return check(settings, r)
	}
	w.term.Driver.Operations = append([]payment.Operation{payment.Balance}, w.term.Driver.Operations...)
	w.term.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
		t, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return able{t, t.(link.Baseliner), t.(link.Diagnoser), b}, nil
	}
	return b
}

func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "approve", "mute")
		w.term.Link.Settings.(*ecrvn.Settings).SilentWhenBusy = false
		b := w.enable()
		w.start()
		defer w.close()
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
		host := payment.Command{Verb: payment.VerbDiagnose, Host: true}
		if r := w.do(host); r.Status != payment.ReplyDone || r.Result.(link.Diagnosis).Facts["host"] != "reached" {
			t.Errorf("host: %+v", r)
		}
		slip := payment.Command{Verb: payment.VerbPrint, Request: payment.Request{ID: "A1"}}
		if r := w.do(slip); r.Status != payment.ReplyDone || b.printed.Kind != payment.PrintReceipt || b.printed.Of.Amount != vnd(1000) || b.printed.Of.Receipt == "" || b.printed.Of.Operation != payment.Purchase {
			t.Errorf("print: %+v, the terminal got %+v", r, b.printed)
		}
		for _, c := range []struct {
			edit func(*payment.Command)
			want payment.Reason
		}{
			{func(c *payment.Command) { c.ID = "nobody" }, payment.ReasonNotFound},
			{func(c *payment.Command) { c.Print = "money" }, payment.ReasonInvalid},
			{func(c *payment.Command) { c.Print = payment.PrintDocument }, payment.ReasonInvalid},
			{func(c *payment.Command) { c.Document = "<p/>" }, payment.ReasonInvalid},
			{func(c *payment.Command) { c.Print = payment.PrintJournal }, payment.ReasonUnsupported},
		} {
			bad := slip
			c.edit(&bad)
			if r := w.do(bad); r.Reason != c.want {
				t.Errorf("%+v: %+v, want %s", bad, r, c.want)
			}
		}
		before := b.asked.Load()
		w.accepted("A2", 1000) // is not answered
		w.until("A2", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		for _, c := range []payment.Command{host, {Verb: payment.VerbRestart}, {Verb: payment.VerbPrint, Print: payment.PrintTotals}} {
			if r := w.do(c); r.Reason != payment.ReasonUnsettled || b.asked.Load() != before {
				t.Errorf("%s while evidence is needed: %+v", c.Verb, r)
			}
		}
	})
}

// A command about a payment that names none is told so, and not that the payment
// "" is not in the journal.
func TestCommandsThatNameNoPayment(t *testing.T) {
	bubble(t, []string{"approve"}, func(w *world) {
		for _, verb := range []payment.Verb{payment.VerbLookup, payment.VerbDispense, payment.VerbCommit, payment.VerbRollback, payment.VerbAbort, payment.VerbResolve, payment.VerbPrint} {
			if r := w.do(payment.Command{Verb: verb}); r.Reason != payment.ReasonInvalid || r.Text != "id is required: that of the payment" {
				t.Errorf("%s: %+v", verb, r)
			}
		}
	})
}

func TestPowersThatATerminalHasNot(t *testing.T) {
	bubble(t, []string{"approve"}, func(w *world) {
		for _, c := range []payment.Command{
			{Verb: payment.VerbPrint, Print: payment.PrintTotals}, {Verb: payment.VerbRestart}, {Verb: payment.VerbDiagnose, Host: true}, {Verb: payment.VerbBalance, Request: payment.Request{ID: "B1"}},
			{Verb: payment.VerbPurchase, Request: payment.Request{ID: "P1", Amount: vnd(1000), Cashback: vnd(100)}},
			{Verb: payment.VerbPurchase, Request: payment.Request{ID: "P2", Amount: vnd(1000), Merchant: "2"}},
		} {
			if r := w.do(c); r.Reason != payment.ReasonUnsupported {
				t.Errorf("%s: %+v", c.Verb, r)
			}
		}
	})
}

// A terminal that says that it cannot sell does not, until what was done about
// it helped.
func TestBlockedTerminal(t *testing.T) {
	for _, way := range []payment.Command{{Verb: payment.VerbReconcile, Request: payment.Request{ID: "Z1"}}, {Verb: payment.VerbRestart}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "approve")
			b := w.enable()
			b.blocked.Store(payment.ReasonReconcile)
			w.start()
			defer w.close()
			buy := payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: "A1", Amount: vnd(1000)}}
			if r := w.do(buy); r.Reason != payment.ReasonReconcile || w.g.Status().Sellable {
				t.Errorf("a blocked terminal sells: %+v", r)
			}
			if r := w.do(way); r.Status == payment.ReplyRefused {
				t.Fatalf("%s: %+v", way.Verb, r)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if r := w.do(buy); r.Status != payment.ReplyAccepted {
				t.Errorf("after %s: %+v", way.Verb, r)
			}
			w.result("A1", payment.Approved)
		})
	}
}

// A balance inquiry is an attempt like any other, but nobody is asked about one
// that a restart cut short.
func TestBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "approve")
		b := w.enable()
		w.start()
		defer w.close()
		ask := payment.Command{Verb: payment.VerbBalance, Request: payment.Request{ID: "B1"}}
		if r := w.do(ask); r.Status != payment.ReplyAccepted {
			t.Fatalf("balance: %+v", r)
		}
		if rec := w.final("B1", time.Minute); rec.Outcome.Result != payment.Approved || rec.Outcome.Amount != vnd(777) {
			t.Errorf("balance: %+v", rec.Outcome)
		}
		if r := w.do(ask); !r.Known || b.balances.Load() != 1 {
			t.Errorf("the same balance again: %+v, asked %d times", r, b.balances.Load())
		}
		b.hang, ask.ID = true, "B2"
		w.do(ask)
		w.stop()
		w.start()
		if rec := w.final("B2", time.Minute); rec.Outcome.Result != payment.Failed {
			t.Errorf("cut short: %+v", rec.Outcome)
		}
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
	})
}
