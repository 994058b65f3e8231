package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
)

// Every way in which the answer to a sale can be lost or say too little, with
// what the terminal really did.
func TestDoubtIsSettledByTheTerminal(t *testing.T) {
	for _, tt := range []struct {
		behaviour string
		want      payment.Result
		charges   int
	}{
		{"lost-answer", payment.Approved, 1},
		{"half-answer", payment.Approved, 1},
		{"garbage", payment.Approved, 1},
		{"reboot", payment.Approved, 1},
		{"reboot-before", payment.Failed, 0},
		{"cancel-charged", payment.Approved, 1},
		{"charged:08", payment.Approved, 1},
		{"charged:68", payment.Approved, 1},
		{"charged:", payment.Approved, 1},
		{"mute", payment.Failed, 0},
		{"cancel", payment.Cancelled, 0}, // CANCELED excludes nothing: it takes the lookup to know
		{"late-approval", payment.Approved, 1},
		{"late-approval:20s", payment.Approved, 1},
		{"busy", payment.Failed, 0},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			bubble(t, []string{"approve", tt.behaviour, "approve"}, func(w *world) {
				w.accepted("A0", 1000) // the same amount, so that a stale read-back would fit
				w.result("A0", payment.Approved)
				w.accepted("A1", 1000)
				w.result("A1", tt.want)
				if w.charges() != tt.charges+1 {
					t.Errorf("%d charges, want %d", w.charges(), tt.charges+1)
				}
				if n := w.count(payment.EventFinal, "A1"); n != 1 {
					t.Errorf("%d final events, want 1", n)
				}
				if w.alerted(payment.AlertInDoubt) {
					t.Error("the alert stands although the doubt is over")
				}
				w.accepted("A2", 2000)
				w.result("A2", payment.Approved)
			})
		})
	}
}

// What the terminal shows afterwards proves nothing (an empty batch neither): nobody is told "paid", or
// "not paid", and nothing is sold, until a person decides.
func TestDoubtThatOnlyAPersonEnds(t *testing.T) {
	for _, behaviour := range []string{"swapped", "batch-closed", "hand-sale+no-inner-ids", "wrong-amount", "mute"} {
		t.Run(behaviour, func(t *testing.T) {
			bubble(t, []string{behaviour, "approve"}, func(w *world) {
				w.accepted("A1", 1000)
				w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
				if r := w.sell("A2", 2000); r.Reason != payment.ReasonUnsettled {
					t.Errorf("sells while in doubt: %+v", r)
				}
				if !w.alerted(payment.AlertInDoubt) || w.count(payment.EventInDoubt, "A1") != 1 {
					t.Error("nobody was told")
				}
				resolve := payment.Command{Verb: payment.VerbResolve, Request: payment.Request{ID: "A1"}, Result: payment.Approved, By: "an", Reason: "slip"}
				bad := resolve
				bad.By = ""
				if r := w.do(bad); r.Reason != payment.ReasonInvalid {
					t.Errorf("resolved by nobody: %+v", r)
				}
				if r := w.do(resolve); r.Status != payment.ReplyDone {
					t.Fatalf("resolve: %+v", r)
				}
				resolve.Result = payment.Failed
				if r := w.do(resolve); r.Reason != payment.ReasonState || r.Text != "payment A1 is approved: there is no doubt to end" {
					t.Errorf("resolved again: %+v", r)
				}
				rec := w.result("A1", payment.Approved)
				if rec.Resolution == nil || rec.Resolution.By != "an" || w.alerted(payment.AlertInDoubt) {
					t.Errorf("resolution %+v", rec.Resolution)
				}
				w.until("A1", time.Minute, func(r payment.Record) bool { return !r.EvidenceOwed })
				w.accepted("A2", 2000)
				w.final("A2", 10*time.Minute)
			})
		})
	}
}

// By default nothing is known of how this terminal behaves while it is busy:
// silence never proves that nobody paid.
func TestNothingProvesNonPaymentByDefault(t *testing.T) {
	bubble(t, []string{"mute"}, func(w *world) {
		w.stop()
		w.term.Link.Settings = w.term.Driver.Settings()
		w.start()
		w.accepted("A1", 1000)
		w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		time.Sleep(time.Hour)
		w.until("A1", 0, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
	})
}

// "Not paid" needs a lookup since the doubt began, or force.
func TestResolveAsNotPaid(t *testing.T) {
	bubble(t, []string{"lost-answer"}, func(w *world) {
		w.accepted("A1", 1000)
		time.Sleep(2 * time.Second)
		w.pull(true)
		w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		resolve := payment.Command{Verb: payment.VerbResolve, Request: payment.Request{ID: "A1"}, Result: payment.Failed, By: "an", Reason: "customer says no"}
		if r := w.do(resolve); r.Reason != payment.ReasonState {
			t.Errorf("resolved as not paid without a lookup: %+v", r)
		}
		resolve.Force = true
		if r := w.do(resolve); r.Status != payment.ReplyDone {
			t.Errorf("forced: %+v", r)
		}
		w.pull(false) // the terminal knows better, and is heard, and overwrites nothing
		rec := w.until("A1", time.Minute, func(r payment.Record) bool { return !r.EvidenceOwed })
		if rec.Outcome.Result != payment.Failed || rec.Contradicted == nil || rec.Contradicted.Result != payment.Approved {
			t.Errorf("after the evidence: %s, contradicted by %+v", rec.Outcome.Result, rec.Contradicted)
		}
		if !w.alerted(payment.AlertContradicted) || w.count(payment.EventContradicted, "A1") != 1 {
			t.Error("nobody was told of the contradiction")
		}
	})
}

// The cable is out while the customer pays, for a moment and for long.
func TestCable(t *testing.T) {
	for name, gap := range map[string]time.Duration{"moment": time.Second, "minutes": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []string{"approve"}, func(w *world) {
				w.accepted("A1", 1000)
				time.Sleep(500 * time.Millisecond)
				w.pull(true)
				time.Sleep(gap)
				if st := w.g.Status(); st.Sellable {
					t.Errorf("sells without a cable: %+v", st)
				}
				w.pull(false)
				w.result("A1", payment.Approved)
				if w.charges() != 1 {
					t.Errorf("%d charges, want 1", w.charges())
				}
			})
		})
	}
}

// The process dies at some moment of a sale and comes back.
func TestRestartInTheMiddle(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, []string{"approve"}, func(w *world) {
				w.accepted("A0", 1000)
				w.result("A0", payment.Approved)
				w.accepted("A1", 1000)
				time.Sleep(after)
				w.pull(true) // the process's end of the cable is gone with it
				w.stop()
				time.Sleep(3 * time.Second)
				w.pull(false)
				w.start()
				rec := w.final("A1", 10*time.Minute)
				if (rec.Outcome.Result == payment.Approved) != (w.charges() == 2) || w.charges() > 2 {
					t.Errorf("%s with %d charges", rec.Outcome.Result, w.charges())
				}
				if n := w.count(payment.EventFinal, "A1"); n != 1 {
					t.Errorf("%d final events, want 1", n)
				}
			})
		})
	}
}

func TestAbortIsAWish(t *testing.T) {
	bubble(t, []string{"approve+slow:30s"}, func(w *world) {
		w.accepted("A1", 1000)
		time.Sleep(time.Second)
		if r := w.do(payment.Command{Verb: payment.VerbAbort, Request: payment.Request{ID: "A1"}}); r.Status != payment.ReplyDone || r.Text == "" {
			t.Errorf("abort: %+v", r)
		}
		w.result("A1", payment.Approved) // the terminal's answer is the truth
		if r := w.do(payment.Command{Verb: payment.VerbAbort, Request: payment.Request{ID: "A1"}}); r.Reason != payment.ReasonState {
			t.Errorf("abort of a finished payment: %+v", r)
		}
	})
}

// eager is a journal whose reader acts as soon as a payment is durable.
type eager struct {
	gateway.Journal
	begun func(payment.ID)
}

func (e eager) Begin(tx payment.Transaction) (payment.Record, bool, error) {
	rec, known, err := e.Journal.Begin(tx)
	e.begun(tx.ID)
	return rec, known, err
}

// A payment that is in the journal can be aborted, and is at the terminal: nobody
// else ends it.
func TestAbortAtOnce(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.stop()
		w.wrap = func(j gateway.Journal) gateway.Journal {
			return eager{j, func(id payment.ID) {
				if r := w.do(payment.Command{Verb: payment.VerbAbort, Request: payment.Request{ID: id}}); r.Status != payment.ReplyDone {
					t.Errorf("abort: %+v", r)
				}
				if r := w.do(payment.Command{Verb: payment.VerbResolve, Request: payment.Request{ID: id}, By: "an", Reason: "seen", Result: payment.Failed, Force: true}); r.Reason != payment.ReasonBusy {
					t.Errorf("resolve: %+v", r)
				}
			}}
		}
		w.start()
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
	})
}

// slow is a journal that is read while a payment is being written.
type slow struct {
	gateway.Journal
	write, written chan struct{} // a payment begins once write is closed; closed by whoever began it
	reading        atomic.Bool
}

func (s *slow) Begin(tx payment.Transaction) (payment.Record, bool, error) {
	<-s.write
	return s.Journal.Begin(tx)
}

func (s *slow) Find(id payment.ID) (payment.Record, error) {
	rec, err := s.Journal.Find(id)
	if s.reading.Load() {
		close(s.write)
		<-s.written
	}
	return rec, err
}

// A payment that comes into the journal while an abort looks for it there is not
// denied.
func TestAbortDuringTheBegin(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.stop()
		j := &slow{write: make(chan struct{}), written: make(chan struct{})}
		w.wrap = func(inner gateway.Journal) gateway.Journal { j.Journal = inner; return j }
		w.start()
		go func() {
			defer close(j.written)
			w.accepted("A1", 1000)
		}()
		synctest.Wait()
		j.reading.Store(true)
		if r := w.do(payment.Command{Verb: payment.VerbAbort, Request: payment.Request{ID: "A1"}}); r.Reason != payment.ReasonBusy {
			t.Errorf("abort: %+v", r)
		}
		j.reading.Store(false)
		w.result("A1", payment.Approved)
	})
}

// vague answers, and its answer excludes nothing.
type vague struct{ scripted }

func (vague) Execute(context.Context, payment.Transaction, link.Dialogue) (payment.Outcome, error) {
	said := &link.Answered{Condition: payment.CondUnreachableHost, Vendor: payment.VendorCode{Code: "1004", Text: "no host"}, Err: errors.New("1004 excludes nothing")}
	return payment.Outcome{}, &link.Error{Op: "sale", Sent: true, Err: said}
}

func (vague) Lookup(context.Context, payment.Transaction, time.Duration) (payment.Outcome, error) {
	return payment.Outcome{}, link.ErrUnproven
}

// Whoever has to find out what became of a payment sees what the terminal said.
func TestDoubtKeepsWhatTheTerminalSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.term.Driver.Open = func(context.Context, link.Config) (link.Terminal, error) { return &vague{}, nil }
		w.start()
		defer w.close()
		w.accepted("A1", 1000)
		w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		rec, err := w.store.Find("A1")
		if o := rec.Outcome; err != nil || o.Condition != payment.CondUnreachableHost || o.Vendor.Code != "1004" || o.Vendor.Text != "no host" {
			t.Errorf("in doubt: %+v, %v", o, err)
		}
	})
}
