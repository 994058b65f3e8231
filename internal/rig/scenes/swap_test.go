package scenes

import (
	"context"
	"slices"
	"testing"

	"tillgate/internal/payment"
	"tillgate/internal/usbip"
)

// A terminal is pulled out in the middle of a payment, and the name of its port
// goes to another one, as /dev/ttyACM0 does. What the other terminal says proves
// nothing: the payment stays in doubt until its own terminal is back. Neither is
// the other one's bank asked for money.
func TestAnotherTerminalTakesTheName(t *testing.T) {
	inMachine(t)
	t.Parallel()
	const tty = "/tmp/dev/swapped"
	first := newUSB(t, "first", "ecrvn", tty, usbip.CDCACM, 0x41, tty)
	second := newUSB(t, "second", "ecrvn", tty, usbip.CDCACM, 0x42, tty)
	first.in(t)
	b := start(t, first)
	b.terminals = append(b.terminals, second) // for its bank
	b.sellable(t, first)
	before := second.charged()

	// Units 0 and 1 are the question before the sale and its answer, 2 the sale.
	r, out := b.during(t, first, "swapped", moment{2, pace})
	if r.Status != payment.ReplyAccepted || !out {
		t.Fatalf("not pulled in the middle of the payment: %+v", r)
	}
	first.pull(t)
	second.in(t)
	b.alerted(t, payment.AlertSwapped)
	if r := b.record(t, "swapped"); !r.Open() {
		t.Errorf("with another terminal at its port the payment is %s", r.Outcome.Result)
	}
	if s := b.status(t, "first"); s.Sellable {
		t.Error("while a payment is open, the other terminal sells")
	}
	second.pull(t)
	first.in(t)
	rec := b.final(t, "swapped")
	b.judge(t, first, rec)
	if rec.Outcome.Result != payment.Approved {
		t.Errorf("the payment is %s, and the customer was not disturbed", rec.Outcome.Result)
	}
	if n := second.charged(); n != before {
		t.Errorf("the other terminal's bank charged %d times", n-before)
	}
}

// The same while nobody pays: the terminal behind the name is another one. The
// gateway tells so and sells on it, as its owner may have changed it, and the
// books agree with the bank of the terminal that took the payment. Who looks at
// the first terminal's bank alone sees a payment that was approved and not
// charged.
func TestTerminalsChangePlaces(t *testing.T) {
	inMachine(t)
	t.Parallel()
	const tty = "/tmp/dev/changed"
	first := newUSB(t, "was", "ecrvn", tty, usbip.CDCACM, 0x43, tty)
	second := newUSB(t, "is", "ecrvn", tty, usbip.CDCACM, 0x44, tty)
	first.in(t)
	b := start(t, first)
	b.sellable(t, first)
	first.pull(t)
	await(t, "the terminal is offline", func() bool { return b.status(t, "was").Link == payment.LinkOffline })
	second.in(t)
	b.alerted(t, payment.AlertChanged)
	b.sellable(t, first)
	if r := b.begin(t, first, "elsewhere"); r.Status != payment.ReplyAccepted {
		t.Fatalf("refused: %s, %s", r.Reason, r.Text)
	}
	rec := b.final(t, "elsewhere")
	charged := func(x *terminal) (n int) {
		for _, e := range x.sim.Ledger() {
			if e.Charged && !e.Reversed && belongs(e, rec) {
				n++
			}
		}
		return n
	}
	if rec.Outcome.Result != payment.Approved || charged(first) != 0 || charged(second) != 1 {
		t.Errorf("the payment is %s; the first terminal's bank charged %d times, want none, and the second's %d times, want once", rec.Outcome.Result, charged(first), charged(second))
	}
}

// alerted waits for an alert.
func (b *box) alerted(t *testing.T, code payment.AlertCode) {
	t.Helper()
	await(t, "the alert "+string(code), func() bool {
		s, err := b.client.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Alerts, func(a payment.Alert) bool { return a.Code == code })
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
