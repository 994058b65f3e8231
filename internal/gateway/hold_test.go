package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
)

// A hold refuses new payments with a reason of its own, and ends.
func TestHold(t *testing.T) {
	bubble(t, []string{"approve"}, func(w *world) {
		synctest.Wait()
		if err := w.g.Hold(context.Background(), 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		if r := w.sell("A1", 1000); r.Status != payment.ReplyRefused || r.Reason != payment.ReasonUpdating {
			t.Errorf("a sale during an update: %s %s", r.Status, r.Reason)
		}
		if st := w.g.Status(); st.Sellable {
			t.Error("the box says that it sells")
		}
		w.g.Release()
		w.accepted("A2", 1000)
		w.result("A2", payment.Approved)

		if err := w.g.Hold(context.Background(), 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Minute + time.Second) // whoever held is gone
		w.accepted("A3", 1000)
		w.result("A3", payment.Approved)
	})
}

// Nobody holds while a payment is running, in doubt, or waiting for its goods.
func TestHoldWaitsForMoney(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		edit   func(*payment.Command)
		wait   func(w *world)
	}{
		"running":     {"slow", func(*payment.Command) {}, func(*world) {}},
		"lost answer": {"lost-answer", func(*payment.Command) {}, func(w *world) { synctest.Wait(); w.pull(true); time.Sleep(time.Second) }},
		"waits for goods": {"approve", func(c *payment.Command) { c.FulfilWithin = payment.InMillis(time.Minute) }, func(w *world) {
			w.until("A1", time.Minute, func(r payment.Record) bool { return r.State == payment.StateAuthorised })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []string{tt.script}, func(w *world) {
				synctest.Wait()
				w.accepted("A1", 1000, tt.edit)
				tt.wait(w)
				begun := time.Now()
				err := w.g.Hold(context.Background(), 0)
				if took := time.Since(begun); took > 0 {
					t.Errorf("nobody could sell for %v", took)
				}
				if r := payment.ReasonOf(err); r != payment.ReasonBusy && r != payment.ReasonUnsettled {
					t.Fatalf("it holds: %v", err)
				}
				for _, term := range w.g.Status().Terminals {
					for _, r := range term.Reasons {
						if r == payment.ReasonUpdating {
							t.Error("what was refused is held all the same")
						}
					}
				}
				w.pull(false)
				w.final("A1", 10*time.Minute)
			})
		})
	}
}
