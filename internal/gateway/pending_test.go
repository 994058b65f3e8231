package gateway_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/privat"
)

// A terminal has cancelled what the bank approved, and gives the money back when
// its batch is closed: not paid, not given back, and then given back.
func TestPendingReversal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.sim.Close()
		sim, err := privat.Driver().Simulate(link.SimulatorConfig{Script: []string{"approve", "taken-back:1002+pending", "approve"}})
		if err != nil {
			t.Fatal(err)
		}
		w.sim, w.term.Driver, w.term.MaxAmount = sim, privat.Driver(), payment.Money{Minor: 1e6, Currency: "UAH"}
		w.term.Link.Currency, w.term.Link.Settings = "UAH", privat.Driver().Settings()
		w.start()
		defer func() { w.close() }()
		buy := func(id payment.ID) {
			t.Helper()
			c := payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Amount: payment.Money{Minor: 500, Currency: "UAH"}}}
			if r := w.do(c); r.Status != payment.ReplyAccepted {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		buy("A1")
		w.result("A1", payment.Approved)
		buy("A2")
		if rec := w.final("A2", 10*time.Minute); rec.Outcome.Result != payment.Unreversed || !rec.Outcome.Pending || !w.alerted(payment.AlertUnreversed) {
			t.Errorf("cancelled by the terminal: %+v", rec.Outcome)
		}
		w.stop()
		w.start()
		synctest.Wait()
		if !w.alerted(payment.AlertUnreversed) {
			t.Error("a restart forgets the alert")
		}
		w.until("A2", time.Minute, func(payment.Record) bool { return w.g.Status().Sellable })
		if r := w.do(payment.Command{Verb: payment.VerbReconcile, Request: payment.Request{ID: "Z1"}}); r.Status != payment.ReplyAccepted {
			t.Fatalf("reconcile: %+v", r)
		}
		w.result("Z1", payment.Approved)
		w.until("A2", time.Minute, func(r payment.Record) bool { return r.Outcome.Result == payment.Reversed && !r.Outcome.Pending })
		if w.alerted(payment.AlertUnreversed) {
			t.Error("the alert stays")
		}
		if rec := w.final("A1", time.Minute); rec.Outcome.Result != payment.Approved {
			t.Errorf("the other one: %+v", rec.Outcome)
		}
		if back := slices.Collect(func(yield func(bool) bool) {
			for _, e := range sim.Ledger() {
				yield(e.Reversed)
			}
		}); !slices.Equal(back, []bool{false, true}) {
			t.Errorf("the bank gave back %v", back)
		}
		buy("A3")
		w.result("A3", payment.Approved)
	})
}
