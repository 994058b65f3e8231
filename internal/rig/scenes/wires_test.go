package scenes

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/internal/usbip"
)

// usbWires makes four terminals that are plugged into vhci_hcd. Each scene has
// devices of its own, since scenes are played at the same time: their numbers
// begin behind base, their names with prefix.
func usbWires(t *testing.T, prefix string, base uint16) []*terminal {
	t.Helper()
	tty := "/tmp/dev/" + prefix + "acm"
	usb := func(n uint16) string { return fmt.Sprintf("usb:1209:%04x", base+n) }
	return []*terminal{
		newUSB(t, prefix+"libusb", "ecrvn", usb(1), usbip.CDCACM, base+1, ""),
		newUSB(t, prefix+"acm", "ecrvn", tty, usbip.CDCACM, base+2, tty),
		newUSB(t, prefix+"bulk", "qfpay", usb(3), usbip.Bulk, base+3, ""),
		newUSB(t, prefix+"hid", "ecrvn", usb(4)+"?as=hid", usbip.HID, base+4, ""),
	}
}

// cableWires makes the terminals behind a UART and behind an FTDI adapter.
func cableWires(t *testing.T) []*terminal {
	t.Helper()
	if !hasPCI() {
		t.Log("this machine has no PCI, and so no cables between serial ports")
		return nil
	}
	near := "/dev/ttyAMA0"
	if machineName() == "x86_64" {
		near = uart(t, "10")
	}
	h := newHand(t)
	all := []*terminal{
		newCable(t, h, "uart", near, uart(t, "11"), ""),
		newCable(t, h, "ftdi", "/tmp/dev/ftdi", uart(t, "13"), "/tmp/dev/ftdi"),
	}
	go h.listen()
	return all
}

// A payment over each wire, by the command line; then the plug is pulled in the
// middle of payments and put in again. Each payment ends, with the outcome that
// the bank knows.
func TestWires(t *testing.T) {
	inMachine(t)
	t.Parallel()
	all := usbWires(t, "", 0)
	all = append(all, newGadget(t, "gadget", "/tmp/dev/gadget", "0x0005"))
	all = append(all, cableWires(t)...)
	for _, x := range all {
		x.in(t)
	}
	b := start(t, all...)
	played := make(chan int, len(all))
	t.Run("wire", func(t *testing.T) {
		for i, x := range all {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				b.sellable(t, x)
				before := x.moved(t)
				b.payOnce(t, x)
				played <- b.pulls(t, x, i, x.moved(t)-before)
			})
		}
	})
	close(played)
	n := 0
	for k := range played {
		n += k
	}
	t.Logf("plugs were pulled at %d moments", n)
	if n < 20 && !t.Failed() {
		t.Errorf("want 20")
	}
}

// moments are spread over a payment of so many units: before each of them, or
// 16 of them where there are many, and while the customer is at the terminal.
func moments(units int) []moment {
	var all []moment
	steps := min(units, 16)
	for n := range steps {
		all = append(all, moment{n * units / steps, 0})
	}
	// After the request, or after the first byte of the question before it.
	from := units - 2
	if steps < units {
		from = 0
	}
	for _, part := range []time.Duration{pace / 2, pace * 3 / 2, pace * 5 / 2, pace * 7 / 2} {
		all = append(all, moment{from, part})
	}
	return all
}

// quick is how many moments are played on each wire in the quick rig;
// RIG_MOMENTS=all plays every one.
const quick = 4

// pulls pulls the plug of wire i at moments of payments of so many units, and
// returns at how many.
func (b *box) pulls(t *testing.T, x *terminal, i, units int) int {
	t.Helper()
	all := moments(units)
	if os.Getenv("RIG_MOMENTS") != "all" {
		var some []moment
		for k := range quick { // each wire begins elsewhere, so that together they meet more of them
			some = append(some, all[(i+k*len(all)/quick)%len(all)])
		}
		all = some
	}
	for k, m := range all {
		b.pulled(t, x, fmt.Sprintf("pulled-%s-%d", x.name, k), m)
	}
	return len(all)
}

// pulled pulls the plug at one moment of a payment. A moment that the payment
// does not come to is halved: a starved machine had moved more in the first one.
func (b *box) pulled(t *testing.T, x *terminal, id string, m moment) {
	t.Helper()
	charged := x.charged()
	begun := time.Now()
	r, out := b.during(t, x, id, m)
	x.pull(t)
	x.in(t)
	if r.Status != payment.ReplyAccepted {
		if n := x.charged(); n != charged {
			t.Errorf("%v: refused, and the bank charged %d times", m, n-charged)
		}
		t.Logf("%v: refused (%s), nothing was journalled", m, r.Reason)
		return
	}
	rec := b.final(t, id)
	b.judge(t, x, rec)
	if !out {
		b.pulled(t, x, id+"-", moment{m.unit / 2, m.after})
		return
	}
	t.Logf("%v: %s after %.1fs", m, rec.Outcome.Result, time.Since(begun).Seconds())
}

// during begins a payment and returns when the plug is out, or the payment over.
// A lane that still comes back from the last time refuses, and moves what is not
// counted: again.
func (b *box) during(t *testing.T, x *terminal, id string, m moment) (r payment.Reply, out bool) {
	t.Helper()
	isOut := func() bool { return isClosed(x.out()) }
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		b.sellable(t, x)
		x.arm(t, m)
		r = b.begin(t, x, id)
		switch {
		case r.Status == payment.ReplyAccepted:
			await(t, "the plug of "+x.name+" is out", func() bool { return isOut() || m.unit > 0 && b.isOver(t, id) })
			return r, isOut()
		case r.Reason == payment.ReasonBaseline:
			await(t, "the plug of "+x.name+" is out", isOut)
			return r, true
		case time.Now().After(until):
			t.Fatalf("%v: no payment is taken: %s, %s", m, r.Reason, r.Text)
		}
		x.disarm(t)
		if isOut() {
			x.pull(t)
			x.in(t)
		}
	}
}
