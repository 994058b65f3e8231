package bpos

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/store"
)

// TestMerchants: what was sold for one of several merchants is taken back from
// that one, by whatever road, and its receipt is its own. The terminal finds a
// record by invoice number and merchant.
func TestMerchants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, g, journal := newBox(t)
		do := func(verb payment.Verb, r payment.Request) payment.Reply {
			t.Helper()
			reply := g.Do(t.Context(), payment.Command{Verb: verb, Request: r})
			time.Sleep(10 * time.Second)
			return reply
		}
		sell := func(id payment.ID, fulfil time.Duration) {
			t.Helper()
			if r := do(payment.VerbPurchase, payment.Request{ID: id, Amount: uah(1000), Merchant: "2", FulfilWithin: payment.InMillis(fulfil)}); r.Status != payment.ReplyAccepted {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		reversed := func(n int) {
			t.Helper()
			if l := sim.Ledger(); len(l) != n || !l[n-1].Reversed {
				t.Errorf("the bank's ledger is %+v", l)
			}
		}
		sell("A1", 0)
		if r := do(payment.VerbPrint, payment.Request{ID: "A1"}); r.Status != payment.ReplyDone || fmt.Sprint(r.Result) == "[]" {
			t.Errorf("print: %+v", r)
		}
		back := payment.Request{ID: "R1", Original: payment.Reference{Payment: "A1"}}
		if r := do(payment.VerbReversal, back); r.Status != payment.ReplyAccepted {
			t.Errorf("reversal: %+v", r)
		}
		reversed(1)
		if r := do(payment.VerbReversal, back); !r.Known {
			t.Errorf("the same reversal again: %+v", r)
		}

		sell("A2", 14*time.Second)
		do(payment.VerbDispense, payment.Request{ID: "A2"})
		do(payment.VerbRollback, payment.Request{ID: "A2"})
		reversed(2)
		if back, err := journal.Find(payment.ReversalOf("A2")); err != nil || back.Outcome.Result != payment.Approved { // a refund would need the card
			t.Errorf("the reversal after the rollback: %+v, %v", back.Outcome, err)
		}
	})
}

// newBox is a gateway with its journal before a simulated terminal.
func newBox(t *testing.T) (*Simulator, *gateway.Gateway, *store.Store) {
	t.Helper()
	now := func() payment.Moment { return payment.Moment{Time: time.Now(), Clock: payment.ClockSynced} }
	journal, err := store.Open(store.Options{Dir: t.TempDir(), SegmentSize: 256 << 10, Destinations: []string{"local"}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	sim, err := NewSimulator(link.SimulatorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Journal: journal, Now: now, Terminals: []gateway.Terminal{{
		Name: "front", Driver: Driver(), MaxAmount: uah(100_000),
		Link: link.Config{Address: "sim://bpos", Currency: "UAH", Settings: defaults(), Dial: func(context.Context) (link.Conn, error) {
			ours, theirs := net.Pipe()
			go sim.Serve(context.Background(), theirs)
			return ours, nil
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		sim.Close()
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(5 * time.Second)
	return sim, g, journal
}
