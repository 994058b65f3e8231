package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
)

// labelled is the simulated terminal of the other tests with a label that says
// what it is.
type labelled struct {
	link.Terminal
	link.Baseliner
	link.Diagnoser
	label *label
}

type label struct {
	mu    sync.Mutex
	says  payment.Inventory
	asked int
}

func (l *label) set(i payment.Inventory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says = i
}

func (t labelled) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	d, err := t.Diagnoser.Diagnose(ctx)
	t.label.mu.Lock()
	defer t.label.mu.Unlock()
	t.label.asked++
	d.Identity, d.Inventory = "", t.label.says
	return d, err
}

// withLabel runs a story on a terminal with a label.
func withLabel(t *testing.T, story func(w *world, l *label)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &label{says: payment.Inventory{Serial: "S1", TID: "T1", Software: "2.0"}}
		w := newWorld(t)
		open := w.term.Driver.Open
		w.term.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
			term, err := open(ctx, c)
			if err != nil {
				return nil, err
			}
			return labelled{term, term.(link.Baseliner), term.(link.Diagnoser), l}, nil
		}
		w.start()
		defer func() { w.close() }()
		story(w, l)
	})
}

// changes lists the states of the events about what a terminal is.
func (w *world) changes() (states []string) {
	w.t.Helper()
	for _, e := range w.events() {
		if e.Type != payment.EventTerminalChanged {
			continue
		}
		var data struct {
			State   string   `json:"state"`
			Differs []string `json:"differs"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.t.Error(err)
		}
		states = append(states, strings.TrimSpace(data.State+" "+strings.Join(data.Differs, ",")))
	}
	return states
}

func (w *world) paired(differs bool, events ...string) {
	w.t.Helper()
	if got := w.alerted(payment.AlertChanged); got != differs {
		w.t.Errorf("alert: got %v, want %v", got, differs)
	}
	if st := w.g.Status().Terminals[0]; (st.Paired != nil) != differs || !st.Sellable {
		w.t.Errorf("status: got %+v", st)
	}
	if got := w.changes(); !slices.Equal(got, events) {
		w.t.Errorf("events: got %q, want %q", got, events)
	}
}

func (w *world) beat() { time.Sleep(31 * time.Second); synctest.Wait() }

// A change is found at the next heartbeat, told once, and stands until somebody
// accepts it, also over restarts. The terminal sells all the while.
func TestInventoryChange(t *testing.T) {
	withLabel(t, func(w *world, l *label) {
		w.paired(false)
		w.beat()
		w.paired(false)

		l.set(payment.Inventory{Serial: "S1", TID: "T1", Software: "2.1"})
		w.beat()
		w.beat()
		w.paired(true, "changed software")
		w.stop()
		w.start()
		w.paired(true, "changed software")

		r := w.do(payment.Command{Verb: payment.VerbAccept, By: "Lan", Reason: "update of the bank"})
		if r.Status != payment.ReplyDone || !strings.Contains(r.Text, "software") {
			t.Errorf("accept: got %+v", r)
		}
		w.paired(false, "changed software", "accepted software")
		w.stop()
		w.start()
		w.beat()
		w.paired(false, "changed software", "accepted software")
		w.accepted("P1", 1000)
		w.result("P1", payment.Approved)
	})
}

// A terminal that was swapped while the box was off is found at the start, and
// one that comes back is told too. What is told less often is no change.
func TestInventorySwap(t *testing.T) {
	withLabel(t, func(w *world, l *label) {
		l.set(payment.Inventory{Serial: "S1"})
		w.beat()
		w.paired(false)
		w.stop()
		l.set(payment.Inventory{Serial: "S2", TID: "T1", Software: "2.0"})
		w.start()
		w.paired(true, "changed serial")
		l.set(payment.Inventory{Serial: "S2", TID: "T7", Software: "2.0"})
		w.beat()
		w.paired(true, "changed serial", "changed serial,tid")
		l.set(payment.Inventory{Serial: "S1", TID: "T1", Software: "2.0"})
		w.beat()
		w.beat()
		w.paired(false, "changed serial", "changed serial,tid", "back")
	})
}

// Nobody asks a terminal what it is while a customer pays.
func TestInventoryNotDuringAPayment(t *testing.T) {
	withLabel(t, func(w *world, l *label) {
		w.accepted("P1", 1000)
		asked := func() int {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.asked
		}
		before := asked()
		w.until("P1", time.Minute, func(r payment.Record) bool {
			if r.State == payment.StateBegun && asked() != before {
				t.Error("it was asked in the middle of a payment")
			}
			return r.State == payment.StateFinal
		})
		w.beat()
		if asked() == before {
			t.Error("it is not asked afterwards either")
		}
	})
}

// What is not written down is not accepted.
func TestInventoryAcceptIsDurable(t *testing.T) {
	broken := false
	withLabel(t, func(w *world, l *label) {
		w.stop()
		w.wrap = func(j gateway.Journal) gateway.Journal { return noteless{j, &broken} }
		w.start()
		l.set(payment.Inventory{Serial: "S2"})
		w.beat()
		broken = true
		if r := w.do(payment.Command{Verb: payment.VerbAccept, By: "Lan"}); r.Reason != payment.ReasonJournal {
			t.Errorf("got %+v", r)
		}
		broken = false
		if !w.alerted(payment.AlertChanged) {
			t.Error("the alert is gone, and nobody would know after a restart")
		}
	})
}
