package scenes

import (
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
)

// judge compares an outcome with what the banks did: the terminal's own, and
// those of all others here. A sale at another terminal's bank is one that went
// over the wrong wire.
func (b *box) judge(t *testing.T, x *terminal, r payment.Record) {
	t.Helper()
	charged, misheard := 0, false
	for _, y := range b.terminals {
		for _, e := range y.sim.Ledger() {
			misheard = misheard || belongs(e, r) && e.Amount != r.Amount
			switch {
			case !e.Charged || e.Reversed || !belongs(e, r):
			case y == x:
				charged++
			default:
				t.Errorf("%s on %s, attempt %s, is %s, and the bank of %s charged for it: %+v\noutcome %+v", r.ID, x.name, r.Attempt, r.Outcome.Result, y.name, e, r.Outcome)
			}
		}
	}
	want := 0
	switch result := r.Outcome.Result; {
	case result == payment.Approved:
		want = 1
	case result == payment.Failed, result == payment.Declined, result == payment.Cancelled:
	case result == payment.Reversed && misheard: // a cut line lost digits: another amount was approved, and taken back
	default:
		t.Errorf("%s on %s is %s (%s): nobody knows; the bank charged %d times", r.ID, x.name, r.Outcome.Result, r.Outcome.Text, charged)
		return
	}
	if charged != want {
		t.Errorf("%s on %s, attempt %s, is %s, and its bank charged %d times\noutcome %+v\nledger %+v", r.ID, x.name, r.Attempt, r.Outcome.Result, charged, r.Outcome, x.sim.Ledger())
	}
}

// charged is how often the bank charged and kept it.
func (x *terminal) charged() (n int) {
	for _, e := range x.sim.Ledger() {
		if e.Charged && !e.Reversed {
			n++
		}
	}
	return n
}

func belongs(e link.Entry, r payment.Record) bool {
	return e.Attempt != "" && strings.HasPrefix(r.Attempt, e.Attempt)
}
