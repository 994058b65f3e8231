package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// telling is a terminal that wants a confirmation, tells more after it, and finds
// a payment by what its approval said.
type telling struct {
	confirming
	rechecks []payment.Outcome // what it says when it is asked, in turn; the last one stays
	asked    []payment.Outcome // with what it was asked
}

func (c *telling) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	o, err := c.confirming.Execute(ctx, tx, d)
	o.Reference.Receipt = "17"
	return o, err
}

func (c *telling) Complete(_ context.Context, _ payment.Transaction, o payment.Outcome) payment.Outcome {
	o.Receipt, o.Reference.RRN = []string{"PAID"}, "123456789012"
	return o
}

func (c *telling) Recheck(_ context.Context, _ payment.Transaction, o payment.Outcome, _ time.Duration) (payment.Outcome, error) {
	c.asked = append(c.asked, o)
	now := c.rechecks[0]
	if len(c.rechecks) > 1 {
		c.rechecks = c.rechecks[1:]
	}
	if now.Result == "" {
		return payment.Outcome{}, link.ErrInProgress
	}
	return now, nil
}

// Lookup has no part in it: the place of a payment in a journal is no proof.
func (c *telling) Lookup(context.Context, payment.Transaction, time.Duration) (payment.Outcome, error) {
	return payment.Outcome{}, link.ErrUnproven
}

// The outcome of a confirmed payment has what the terminal tells only then.
func TestComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &telling{}
		w.term.Driver.Open = func(context.Context, link.Config) (link.Terminal, error) { return c, nil }
		w.start()
		defer w.close()
		w.accepted("A1", 1000)
		rec := w.result("A1", payment.Approved)
		if o := rec.Outcome; len(o.Receipt) != 1 || o.Receipt[0] != "PAID" || o.Reference.RRN != "123456789012" || o.Reference.Receipt != "17" || c.confirmed != 1 {
			t.Errorf("got %+v after %d confirmations", o, c.confirmed)
		}
	})
}

// An approval whose confirmation was lost is asked about by what it said, and ends
// as what the terminal made of it; it is never confirmed again.
func TestRecheck(t *testing.T) {
	for _, want := range []payment.Result{payment.Approved, payment.Reversed} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			end := payment.Outcome{Result: want, Amount: vnd(1000)}
			c := &telling{rechecks: []payment.Outcome{{}, {}, end}}
			c.breaks = 1
			w.term.Driver.Open = func(context.Context, link.Config) (link.Terminal, error) { return c, nil }
			w.start()
			defer w.close()
			w.accepted("A1", 1000)
			w.result("A1", want)
			if c.confirmed != 0 || len(c.asked) != 3 || c.asked[0].Reference.Receipt != "17" {
				t.Errorf("%s: %d confirmations, asked with %+v", want, c.confirmed, c.asked)
			}
			if want != payment.Reversed {
				return
			}
			c.breaks = 0
			w.accepted("A2", 1000)
			w.result("A2", payment.Approved)
		})
	}
}
