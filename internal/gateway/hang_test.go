package gateway_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
)

// hanging is the simulated terminal of the other tests when it hangs: it answers,
// and says that it is still at its payment until restart has been satisfied.
type hanging struct {
	link.Terminal
	link.Baseliner
	link.Diagnoser
	h *hang
}

type hang struct {
	mu      sync.Mutex
	hangs   bool
	asked   []string
	restart func(n int, deep bool) error // of the n-th one; nil takes it
}

func (x hanging) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	x.h.mu.Lock()
	hangs := x.h.hangs
	x.h.mu.Unlock()
	if hangs {
		return payment.Outcome{}, link.ErrInProgress
	}
	return x.Terminal.Lookup(ctx, tx, quiet)
}

func (x hanging) Restart(_ context.Context, deep bool) error {
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.h.asked = append(x.h.asked, fmt.Sprintf("deep %v", deep))
	return x.h.restart(len(x.h.asked), deep)
}

func (h *hang) restarts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

func (w *world) hang(restart func(n int, deep bool) error) *hang {
	h := &hang{hangs: true, restart: restart}
	open := w.term.Driver.Open
	w.term.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
		t, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return hanging{t, t.(link.Baseliner), t.(link.Diagnoser), h}, nil
	}
	return h
}

// steps are those in the journal.
func (w *world) steps() (all []string) {
	w.t.Helper()
	for _, e := range w.events() {
		if e.Type == payment.EventTerminalRecovery {
			all = append(all, string(e.Data))
		}
	}
	return all
}

// A terminal that answers and hangs is asked for restarts in the ladder's order,
// and its line and power are left alone. A refusal costs nothing and is asked
// again; what it does not know is left out.
func TestLadderOfATerminalThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "mute")
		c := &climber{begun: time.Now()}
		var h *hang
		h = w.hang(func(n int, deep bool) error {
			switch {
			case n <= 3:
				return payment.Refuse(payment.ReasonBusy, "it asks its bank")
			case !deep:
				return link.ErrUnsupported
			}
			h.hangs = false
			return nil
		})
		w.term.Recovery = gateway.Ladder{Rungs: []gateway.Rung{c.rung("relay"), {Name: "restart-app"}, {Name: "restart", Deep: true}}, Every: 3 * time.Minute, PerDay: 1}
		w.start()
		defer w.close()
		time.Sleep(time.Second)
		w.accepted("A1", 1000)
		time.Sleep(2 * time.Second)
		w.pull(true)
		w.pull(false)
		w.until("A1", 2*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		if n := len(h.restarts()); n > 1 { // it may be the moment after
			t.Errorf("restarted %d times in the longest time a payment can take", n)
		}
		time.Sleep(30 * time.Minute)
		if got, want := h.restarts(), []string{"deep false", "deep false", "deep false", "deep false", "deep true"}; !slices.Equal(got, want) {
			t.Errorf("it was asked for %v, want %v", got, want)
		}
		if len(c.taken()) != 0 {
			t.Errorf("%v was done to a terminal that answers", c.taken())
		}
		step := func(name, state, text string) string {
			if text != "" {
				text = `,"error":"` + text + `"`
			}
			return fmt.Sprintf(`{"terminal":"t1","step":"%s","state":"%s"%s}`, name, state, text)
		}
		var want []string
		for range 3 {
			want = append(want, step("restart-app", "begun", ""), step("restart-app", "refused", "it asks its bank"))
		}
		want = append(want, step("restart-app", "begun", ""), step("restart-app", "unsupported", link.ErrUnsupported.Error()), step("restart", "begun", ""), step("restart", "done", ""))
		if got := w.steps(); !slices.Equal(got, want) {
			t.Errorf("the journal has %v, want %v", got, want)
		}
	})
}

// One that hangs for good is restarted once, then there is an alert until
// somebody has seen to it. What was done is not done again for its payment, but
// for the next one it is.
func TestLadderOfATerminalThatHangsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "mute")
		h := w.hang(func(int, bool) error { return nil })
		w.term.Recovery = gateway.Ladder{Rungs: []gateway.Rung{{Name: "restart-app"}, {Name: "restart", Deep: true}}}
		w.start()
		defer w.close()
		time.Sleep(time.Second)
		for i, id := range []payment.ID{"A1", "A2"} {
			w.accepted(id, 1000)
			time.Sleep(5 * time.Hour)
			if got := h.restarts()[2*i:]; !slices.Equal(got, []string{"deep false", "deep true"}) {
				t.Errorf("%s: it was asked for %v", id, got)
			}
			if !w.alerted(payment.AlertUnreachable) {
				t.Errorf("%s: no alert", id)
			}
			r := w.do(payment.Command{Verb: payment.VerbResolve, Request: payment.Request{ID: id}, Result: payment.Failed, By: "anna", Reason: "no slip", Force: true})
			if r.Status != payment.ReplyDone {
				t.Fatalf("resolve: %+v", r)
			}
			h.mu.Lock()
			h.hangs = false // somebody has pulled its plug
			h.mu.Unlock()
			time.Sleep(time.Minute)
			if w.alerted(payment.AlertUnreachable) {
				t.Errorf("%s: the alert stays", id)
			}
			h.mu.Lock()
			h.hangs = true
			h.mu.Unlock()
		}
	})
}

// Two applications of one device are two lanes: the power of the one is that of
// the other.
func TestLadderSparesTheOtherLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "mute")
		c := &climber{begun: time.Now()}
		second := w.term
		second.Name, second.Device = "t2", "kiosk"
		second.Recovery = gateway.Ladder{Rungs: []gateway.Rung{c.rung("relay")}, After: time.Second, Every: time.Second}
		second.Link.Dial = func(context.Context) (link.Conn, error) { return nil, net.ErrClosed }
		w.term.Device = "kiosk"
		w.more = []gateway.Terminal{second}
		w.start()
		defer w.close()
		time.Sleep(500 * time.Millisecond)
		w.accepted("A1", 1000, func(c *payment.Command) { c.Terminal = "t1" })
		time.Sleep(time.Second)
		w.pull(true)
		time.Sleep(58 * time.Second)
		if len(c.taken()) != 0 {
			t.Fatalf("%v while the other application's payment may be at the bank", c.taken())
		}
		time.Sleep(30 * time.Second)
		if len(c.taken()) == 0 {
			t.Error("no step after the longest time a payment can take")
		}
	})
}
