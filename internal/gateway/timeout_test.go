package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// patient is a terminal that can be asked to stop while it waits for a card. At
// the bank it cannot: then its answer takes two minutes.
type patient struct {
	scripted
	bank bool // the card is there at once
}

func (p *patient) Execute(_ context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	d.Report(payment.StageWaitingCard, payment.VendorCode{})
	if p.bank {
		d.Report(payment.StageHost, payment.VendorCode{})
		select {
		case <-d.Abort:
			return payment.Outcome{Result: payment.Cancelled}, nil
		case <-time.After(2 * time.Minute):
			return payment.Outcome{Result: payment.Approved, Amount: tx.Amount}, nil
		}
	}
	<-d.Abort
	return payment.Outcome{Result: payment.Cancelled}, nil
}

// The time-out is the customer's, until the card is read. It asks the terminal
// to stop and cancels nothing itself.
func TestTimeoutIsASignal(t *testing.T) {
	for _, tt := range []struct {
		bank bool
		want payment.Result
		last time.Duration // at least
	}{
		{false, payment.Cancelled, 30 * time.Second},
		{true, payment.Approved, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.term.Driver.Open = func(context.Context, link.Config) (link.Terminal, error) { return &patient{bank: tt.bank}, nil }
			w.start()
			defer w.close()
			begun := time.Now()
			w.accepted("A1", 1000, func(c *payment.Command) { c.Timeout = payment.InMillis(30 * time.Second) })
			w.result("A1", tt.want)
			if d := time.Since(begun); d < tt.last || d > tt.last+time.Second {
				t.Errorf("at the bank %v: over after %v, want %v", tt.bank, d, tt.last)
			}
		})
	}
}

// A twin box stops selling here until it is gone.
func TestTwinStopsSelling(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.g.Raise(payment.AlertTwin, "another gateway uses this name")
		if r := w.sell("A1", 1000); r.Reason != payment.ReasonTwin {
			t.Errorf("beside a twin: %+v", r)
		}
		w.g.Clear(payment.AlertTwin)
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
	})
}
