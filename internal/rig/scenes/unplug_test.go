package scenes

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// moment is when a plug is pulled: instead of the n-th transfer of a payment,
// or so long after it.
type moment struct {
	transfer int
	after    time.Duration
}

func (m moment) String() string {
	if m.after > 0 {
		return fmt.Sprintf("%v after transfer %d", m.after, m.transfer)
	}
	return fmt.Sprintf("before transfer %d", m.transfer)
}

// moments are spread over a payment of so many transfers: before each of them,
// and while the customer is at the terminal, which is after the request.
func moments(transfers int) []moment {
	var all []moment
	for n := range transfers {
		all = append(all, moment{n, 0})
	}
	for _, part := range []time.Duration{pace / 2, pace * 3 / 2, pace * 5 / 2, pace * 7 / 2} {
		all = append(all, moment{transfers - 2, part})
	}
	return all
}

// quick is how many moments are played on each of the four wires in the quick
// rig: 20 in all. RIG_MOMENTS=all plays every one.
const quick = 5

// The plug is pulled in the middle of payments and put in again. Each payment
// ends, with the outcome that the bank knows.
func TestUnplugged(t *testing.T) {
	inMachine(t)
	usb, _ := wires(t)
	for _, x := range usb {
		x.plug(t)
	}
	b := start(t, usb...)
	played := make(chan int, len(usb))
	t.Run("wire", func(t *testing.T) {
		for i, x := range usb {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				b.sellable(t, x)
				var before int
				id := ""
				for n := 1; ; n++ { // until a starved machine takes one
					b.sellable(t, x)
					before, id = x.transfers(), fmt.Sprintf("whole-%s-%d", x.name, n)
					r := b.begin(t, x, id)
					if r.Status == payment.ReplyAccepted {
						break
					}
					if n == 8 {
						t.Fatalf("undisturbed, and refused: %s, %s", r.Reason, r.Text)
					}
				}
				if r := b.final(t, id); r.Outcome.Result != payment.Approved {
					t.Fatalf("undisturbed: %+v", r.Outcome)
				}
				all := moments(x.transfers() - before)
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
				played <- len(all)
			})
		}
	})
	close(played)
	n := 0
	for k := range played {
		n += k
	}
	t.Logf("the plug was pulled at %d moments", n)
	if n < 4*quick && !t.Failed() {
		t.Errorf("want %d", 4*quick)
	}
}

func (b *box) pulled(t *testing.T, x *terminal, id string, m moment) {
	charged := x.charged()
	r := b.during(t, x, id, m)
	x.unplug(t)
	x.plug(t)
	if r.Status != payment.ReplyAccepted {
		if n := x.charged(); n != charged {
			t.Errorf("%v: refused, and the bank charged %d times", m, n-charged)
		}
		t.Logf("%v: refused (%s), nothing was journalled", m, r.Reason)
		return
	}
	rec := b.final(t, id)
	judge(t, x, rec)
	t.Logf("%v: %s", m, rec.Outcome.Result)
}

// during begins a payment and returns when the plug is out. A lane that still
// comes back from the last time refuses, and moves what is not counted: again.
func (b *box) during(t *testing.T, x *terminal, id string, m moment) payment.Reply {
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		b.sellable(t, x)
		if m.after == 0 {
			x.pullAt(m.transfer)
		} else {
			x.tellAt(m.transfer, func() { time.AfterFunc(m.after, x.cut) })
		}
		r := b.begin(t, x, id)
		switch {
		case r.Status == payment.ReplyAccepted, r.Reason == payment.ReasonBaseline:
			select {
			case <-x.unplugged():
			case <-time.After(patience):
				t.Fatalf("%v: nothing moved, so the plug was not pulled", m)
			}
			return r
		case time.Now().After(until):
			t.Fatalf("%v: no payment is taken: %s, %s", m, r.Reason, r.Text)
		}
		x.tellAt(-1, nil)
		select {
		case <-x.unplugged():
			x.unplug(t)
			x.plug(t)
		default:
		}
	}
}
