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
	first := newUSB(t, "first", "ecrvn", tty, usbip.CDCACM, 0x41, "")
	second := newUSB(t, "second", "ecrvn", tty, usbip.CDCACM, 0x42, "")
	port := func(x *terminal) name { return name{path: tty, serial: x.plug.(*usbPlug).name.serial} }
	first.in(t)
	port(first).follow(t)
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
	port(second).follow(t)
	await(t, "the alert about another terminal", func() bool {
		s, err := b.client.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Alerts, func(a payment.Alert) bool { return a.Code == payment.AlertSwapped })
	})
	if r := b.record(t, "swapped"); !r.Open() {
		t.Errorf("with another terminal at its port the payment is %s", r.Outcome.Result)
	}
	if s := b.status(t, "first"); s.Sellable {
		t.Error("while a payment is open, the other terminal sells")
	}
	second.pull(t)
	first.in(t)
	port(first).follow(t)
	rec := b.final(t, "swapped")
	b.judge(t, first, rec)
	if rec.Outcome.Result != payment.Approved {
		t.Errorf("the payment is %s, and the customer was not disturbed", rec.Outcome.Result)
	}
	if n := second.charged(); n != before {
		t.Errorf("the other terminal's bank charged %d times", n-before)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
