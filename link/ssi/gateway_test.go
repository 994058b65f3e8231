package ssi

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/store"
)

// box is a gateway with its journal before simulated terminals of this
// protocol, one lane each. It lives in a bubble.
type box struct {
	t     *testing.T
	g     *gateway.Gateway
	store *store.Store
	sims  []*Simulator
}

// newBox serves a terminal for each script. All belong to device, which may be
// "".
func newBox(t *testing.T, device string, scripts ...string) *box {
	t.Helper()
	now := func() payment.Moment { return payment.Moment{Time: time.Now(), Clock: payment.ClockSynced} }
	b := &box{t: t}
	var err error
	if b.store, err = store.Open(store.Options{Dir: t.TempDir(), SegmentSize: 256 << 10, Destinations: []string{"local"}, Now: now}); err != nil {
		t.Fatal(err)
	}
	opt := gateway.Options{Journal: b.store, Now: now}
	for i, script := range scripts {
		name := string(rune('a' + i))
		sim, err := NewSimulator(link.SimulatorConfig{Name: name, Script: strings.Split(script, ","), Pace: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		b.sims = append(b.sims, sim)
		opt.Terminals = append(opt.Terminals, gateway.Terminal{
			Name: name, Device: device, Driver: Driver(), MaxAmount: payment.Money{Minor: 100_000, Currency: "UAH"}, Test: true, Heartbeat: 10 * time.Second,
			Recovery: gateway.Ladder{Rungs: []gateway.Rung{{Name: "restart-app"}, {Name: "restart", Deep: true}}},
			Link:     link.Config{Address: "tcp://" + name + ":3000", Currency: "UAH", Settings: defaults(), Dial: pipeTo(sim)},
		})
	}
	if b.g, err = gateway.New(opt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		for _, s := range b.sims {
			s.Close()
		}
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(5 * time.Second)
	return b
}

func (b *box) do(verb payment.Verb, r payment.Request, edit ...func(*payment.Command)) payment.Reply {
	c := payment.Command{Verb: verb, Request: r}
	for _, e := range edit {
		e(&c)
	}
	return b.g.Do(context.Background(), c)
}

func (b *box) sell(terminal string, id payment.ID) payment.Reply {
	return b.do(payment.VerbPurchase, payment.Request{ID: id, Terminal: terminal, Amount: payment.Money{Minor: 500, Currency: "UAH"}})
}

// final waits until id is over.
func (b *box) final(id payment.ID) payment.Record {
	b.t.Helper()
	for range 18000 {
		synctest.Wait()
		if rec, err := b.store.Find(id); err == nil && rec.State == payment.StateFinal {
			return rec
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%s is never over: %+v", id, b.g.Status())
	return payment.Record{}
}

// TestTwoApplications: two payment applications of one terminal have a port and
// a lane each. They show one serial number, and never work at the same time.
func TestTwoApplications(t *testing.T) {
	for device, conflict := range map[string]bool{"kiosk-1": false, "": true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t, device, "approve+serial:X1", "approve+serial:X1")
			twins := slices.ContainsFunc(b.g.Status().Alerts, func(a payment.Alert) bool { return a.Code == payment.AlertDevice })
			if twins != conflict {
				t.Fatalf("device %q: alerts %+v", device, b.g.Status().Alerts)
			}
			if conflict {
				return
			}
			if r := b.sell("a", "one"); r.Status != payment.ReplyAccepted {
				t.Fatalf("got %+v", r)
			}
			if r := b.sell("b", "two"); r.Reason != payment.ReasonBusy {
				t.Errorf("the other application meanwhile: got %+v", r)
			}
			b.final("one")
			if r := b.sell("b", "three"); r.Status != payment.ReplyAccepted {
				t.Errorf("afterwards: got %+v", r)
			}
			if rec := b.final("three"); rec.Outcome.Result != payment.Approved || len(b.sims[0].Ledger()) != 1 || len(b.sims[1].Ledger()) != 1 {
				t.Errorf("got %+v", rec)
			}
		})
	}
}

// TestTwoTerminals: simulators of two names are two terminals.
func TestTwoTerminals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "", "approve", "approve")
		all := b.g.Status().Terminals
		if all[0].Identity == "" || all[0].Identity == all[1].Identity || b.sims[0].tid() == b.sims[1].tid() || len(b.g.Status().Alerts) != 0 {
			t.Errorf("got %+v", b.g.Status())
		}
	})
}

// TestSellable: S06 is shown in sellable, and a Z report ends it.
func TestSellable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "", "approve+needs-z,approve")
		reasons := func() []payment.Reason { return b.g.Status().Terminals[0].Reasons }
		time.Sleep(15 * time.Second)
		if !slices.Contains(reasons(), payment.ReasonReconcile) {
			t.Fatalf("sellable although the batch is full: %+v", b.g.Status())
		}
		if r := b.sell("a", "one"); r.Reason != payment.ReasonReconcile {
			t.Errorf("got %+v", r)
		}
		if r := b.do(payment.VerbReconcile, payment.Request{ID: "z"}); r.Status != payment.ReplyAccepted {
			t.Errorf("Z: got %+v", r)
		}
		if rec := b.final("z"); rec.Outcome.Result != payment.Approved {
			t.Errorf("Z: got %+v", rec.Outcome)
		}
		time.Sleep(15 * time.Second)
		if len(reasons()) != 0 {
			t.Errorf("after Z: %v", reasons())
		}
		if r := b.sell("a", "two"); r.Status != payment.ReplyAccepted || b.final("two").Outcome.Result != payment.Approved {
			t.Errorf("after Z: got %+v", r)
		}
	})
}

// TestVerbs reaches every method that has a verb of its own through the gateway,
// and shows that Echo is not sent while a payment is unsettled.
func TestVerbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "", "approve")
		accepted := func(id payment.ID, verb payment.Verb, r payment.Request) payment.Record {
			t.Helper()
			r.ID = id
			if got := b.do(verb, r); got.Status != payment.ReplyAccepted {
				t.Fatalf("%s: got %+v", verb, got)
			}
			rec := b.final(id)
			if rec.Outcome.Result != payment.Approved {
				t.Fatalf("%s: got %+v", verb, rec.Outcome)
			}
			return rec
		}
		done := func(verb payment.Verb, edit func(*payment.Command)) payment.Reply {
			t.Helper()
			got := b.do(verb, payment.Request{}, edit)
			if got.Status != payment.ReplyDone {
				t.Fatalf("%s: got %+v", verb, got)
			}
			return got
		}
		uah := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }
		accepted("hold", payment.VerbPreauthorization, payment.Request{Amount: uah(5000)})
		accepted("complete", payment.VerbCompletion, payment.Request{Amount: uah(4000), Original: payment.Reference{Payment: "hold"}})
		accepted("hold2", payment.VerbPreauthorization, payment.Request{Amount: uah(3000)})
		accepted("release", payment.VerbReversal, payment.Request{Original: payment.Reference{Payment: "hold2"}})
		accepted("balance", payment.VerbBalance, payment.Request{})
		accepted("sale", payment.VerbPurchase, payment.Request{Amount: uah(700)})
		accepted("part", payment.VerbReversal, payment.Request{Amount: uah(200), Original: payment.Reference{Payment: "sale"}})
		done(payment.VerbTotals, func(*payment.Command) {})
		if d, ok := done(payment.VerbDiagnose, func(c *payment.Command) { c.Host = true }).Result.(link.Diagnosis); !ok || d.Facts["host"] != "reached" {
			t.Errorf("host: got %+v", d)
		}
		done(payment.VerbPrint, func(c *payment.Command) { c.Print = payment.PrintJournal })
		done(payment.VerbRestart, func(c *payment.Command) { c.Deep = true })
		time.Sleep(2 * time.Minute)
		if r := b.sell("a", "after"); r.Status != payment.ReplyAccepted || b.final("after").Outcome.Result != payment.Approved {
			t.Errorf("after a restart: got %+v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "", "approve,lost-ack+v1.1.10,approve+v1.1.10")
		b.sell("a", "one")
		b.final("one")
		if r := b.sell("a", "two"); r.Status != payment.ReplyAccepted {
			t.Fatalf("got %+v", r)
		}
		time.Sleep(time.Minute) // nobody knows what became of it
		last := *b.sims[0].state.Last
		for _, verb := range []payment.Verb{payment.VerbDiagnose, payment.VerbRestart, payment.VerbBalance} {
			if r := b.do(verb, payment.Request{ID: "x"}, func(c *payment.Command) { c.Host = verb == payment.VerbDiagnose }); r.Status != payment.ReplyRefused {
				t.Errorf("%s while a payment is unsettled: got %+v", verb, r)
			}
		}
		if *b.sims[0].state.Last != last {
			t.Errorf("the evidence is gone: %+v", b.sims[0].state.Last)
		}
	})
}

// TestLadder: a terminal that hangs at a payment for longer than one can last is
// restarted, the application first, each once; never while it asks its bank.
func TestLadder(t *testing.T) {
	for script, want := range map[string][]string{
		"approve+stuck":       {mRestartPaymentApp},
		"approve+stuck+linux": {mRestart},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t, "", script+",approve")
			b.sell("a", "one")
			if rec := b.final("one"); rec.Outcome.Result != payment.Approved || rec.Outcome.Source != payment.SourceLookup || !slices.Equal(b.sims[0].starts, want) {
				t.Errorf("%s: got %+v, restarts %v", script, rec.Outcome, b.sims[0].starts)
			}
			time.Sleep(time.Minute)
			if r := b.sell("a", "two"); r.Status != payment.ReplyAccepted || b.final("two").Outcome.Result != payment.Approved {
				t.Errorf("%s: afterwards: got %+v", script, r)
			}
		})
	}
	hang := func(b *box, status string) {
		b.sims[0].mu.Lock()
		defer b.sims[0].mu.Unlock()
		b.sims[0].status = status
	}
	restarts := func(b *box) []string {
		b.sims[0].mu.Lock()
		defer b.sims[0].mu.Unlock()
		return slices.Clone(b.sims[0].starts)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "", "approve+hopeless,approve")
		b.sell("a", "one")
		time.Sleep(30 * time.Second)
		hang(b, statusHost)
		time.Sleep(time.Hour)
		if got := restarts(b); len(got) != 0 {
			t.Errorf("restarted in S04: %v", got)
		}
		if r := b.do(payment.VerbRestart, payment.Request{}); r.Reason != payment.ReasonUnsettled {
			t.Errorf("restart of an unsettled terminal: got %+v", r)
		}
		hang(b, statusBusy)
		time.Sleep(time.Hour)
		if got := restarts(b); !slices.Equal(got, []string{mRestartPaymentApp, mRestart}) {
			t.Errorf("restarts of a terminal that hangs for good: %v", got)
		}
		if rec, err := b.store.Find("one"); err != nil || rec.State != payment.StateInDoubt {
			t.Errorf("got %+v, %v", rec, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // somebody sells on the keypad
		b := newBox(t, "", "approve")
		hang(b, statusHost)
		for _, deep := range []bool{false, true} {
			if r := b.do(payment.VerbRestart, payment.Request{}, func(c *payment.Command) { c.Deep = deep }); r.Reason != payment.ReasonBusy || len(restarts(b)) != 0 {
				t.Errorf("restart in S04: got %+v", r)
			}
		}
	})
}
