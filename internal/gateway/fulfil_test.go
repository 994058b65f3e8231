package gateway_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func fulfil(within time.Duration) func(*payment.Command) {
	return func(c *payment.Command) { c.FulfilWithin = payment.InMillis(within) }
}

func verb(v payment.Verb, id payment.ID) payment.Command {
	return payment.Command{Verb: v, Request: payment.Request{ID: id}}
}

func (w *world) authorised(id payment.ID) {
	w.t.Helper()
	w.accepted(id, 1000, fulfil(time.Minute))
	w.until(id, time.Minute, func(r payment.Record) bool { return r.State == payment.StateAuthorised })
}

func TestGrantOnce(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.authorised("A1")
		if r := w.sell("A2", 1000); r.Reason != payment.ReasonAwaiting {
			t.Errorf("sells while goods are waited for: %+v", r)
		}
		if r := w.do(verb(payment.VerbCommit, "A1")); r.Reason != payment.ReasonState {
			t.Errorf("commit before the grant: %+v", r)
		}
		replies := make(chan payment.ReplyStatus, 3)
		for range 3 {
			go func() { replies <- w.do(verb(payment.VerbDispense, "A1")).Status }()
		}
		got := map[payment.ReplyStatus]int{}
		for range 3 {
			got[<-replies]++
		}
		if got[payment.ReplyGranted] != 1 || got[payment.ReplyAlreadyGranted] != 2 {
			t.Errorf("three dispense commands: %v", got)
		}
		w.stop()
		w.start()
		if r := w.do(verb(payment.VerbDispense, "A1")); r.Status != payment.ReplyAlreadyGranted {
			t.Errorf("dispense after a restart: %+v", r)
		}
		if r := w.do(verb(payment.VerbCommit, "A1")); r.Status != payment.ReplyDone {
			t.Errorf("commit: %+v", r)
		}
		w.result("A1", payment.Approved)
		if r := w.do(verb(payment.VerbDispense, "A1")); r.Status != payment.ReplyAlreadyGranted {
			t.Errorf("dispense after the commit: %+v", r)
		}
		if n := w.count(payment.EventFinal, "A1"); n != 1 {
			t.Errorf("%d final events, want 1", n)
		}
	})
}

func TestDeadlineReverses(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.authorised("A1")
		time.Sleep(2 * time.Minute)
		w.result("A1", payment.Reversed)
		if w.charges() != 0 || w.count(payment.EventFinal, payment.ReversalOf("A1")) != 1 {
			t.Errorf("%d charges stand", w.charges())
		}
		if r := w.do(verb(payment.VerbDispense, "A1")); r.Reason != payment.ReasonState {
			t.Errorf("dispense after the reversal: %+v", r)
		}
	})
}

func TestRollback(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.authorised("A1")
		w.do(verb(payment.VerbDispense, "A1"))
		if r := w.do(verb(payment.VerbRollback, "A1")); r.Status != payment.ReplyDone {
			t.Fatalf("rollback: %+v", r)
		}
		w.result("A1", payment.Reversed)
		if w.charges() != 0 {
			t.Errorf("%d charges stand", w.charges())
		}
	})
}

func TestMissingCommitIsAnAlert(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.authorised("A1")
		w.do(verb(payment.VerbDispense, "A1"))
		time.Sleep(5 * time.Minute)
		w.until("A1", 0, func(r payment.Record) bool { return r.State == payment.StateGranted })
		if !w.alerted(payment.AlertCommit) {
			t.Error("nobody was told")
		}
		w.accepted("A2", 1000) // the next customer is served
		w.result("A2", payment.Approved)
		w.do(verb(payment.VerbCommit, "A1"))
		if w.alerted(payment.AlertCommit) {
			t.Error("the alert stands after the commit")
		}
	})
}

// After a restart the full time begins when a controller can be heard.
func TestDeadlineWaitsForTheController(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.authorised("A1")
		w.stop()
		w.opt.AwaitController = true
		w.start()
		time.Sleep(10 * time.Minute)
		w.until("A1", 0, func(r payment.Record) bool { return r.State == payment.StateAuthorised })
		w.g.ControllerConnected()
		time.Sleep(50 * time.Second)
		w.until("A1", 0, func(r payment.Record) bool { return r.State == payment.StateAuthorised })
		time.Sleep(20 * time.Second)
		w.result("A1", payment.Reversed)
	})
}

// The answer to the reversal is lost, once or always; the terminal cannot make
// it any more; the bank declines it.
func TestOwedReversal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script []string
		want   payment.Result
	}{
		{"lost once", []string{"approve", "lost-answer"}, payment.Reversed},
		{"half once", []string{"approve", "half-answer"}, payment.Reversed},
		{"line breaks before the bank", []string{"approve", "reboot-before", "approve"}, payment.Reversed},
		{"declined", []string{"approve", "decline:12"}, payment.Unreversed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.script, func(w *world) {
				w.authorised("A1")
				w.do(verb(payment.VerbRollback, "A1"))
				w.result("A1", tt.want)
				if stands := w.charges() == 1; stands != (tt.want == payment.Unreversed) {
					t.Errorf("%d charges stand", w.charges())
				}
				if (tt.want == payment.Unreversed) != w.alerted(payment.AlertUnreversed) {
					t.Errorf("alerts: %+v", w.g.Status().Alerts)
				}
				if tt.want == payment.Unreversed {
					w.stop() // nobody forgets it over a restart
					w.start()
					if !w.alerted(payment.AlertUnreversed) {
						t.Error("forgotten after a restart")
					}
					resolve := verb(payment.VerbResolve, "A1")
					resolve.Result, resolve.By, resolve.Reason = payment.Reversed, "an", "cash from the drawer"
					if r := w.do(resolve); r.Status != payment.ReplyDone || w.alerted(payment.AlertUnreversed) {
						t.Errorf("resolve: %+v, alerts %+v", r, w.g.Status().Alerts)
					}
				}
				if n := w.count(payment.EventFinal, "A1"); n != 1 {
					t.Errorf("%d final events, want 1", n)
				}
			})
		})
	}
}

// A payment of a terminal that is no longer configured is not forgotten.
func TestOrphan(t *testing.T) {
	bubble(t, []string{"mute"}, func(w *world) {
		w.accepted("A1", 1000)
		w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
		w.stop()
		w.term.Name = "t9"
		w.start()
		if !w.alerted(payment.AlertOrphan) {
			t.Error("nobody was told")
		}
		resolve := verb(payment.VerbResolve, "A1")
		resolve.Result, resolve.By, resolve.Reason, resolve.Force = payment.Failed, "an", "terminal was returned", true
		if r := w.do(resolve); r.Status != payment.ReplyDone {
			t.Errorf("resolve: %+v", r)
		}
		w.result("A1", payment.Failed)
		w.accepted("A2", 1000)
	})
}

func TestReversalByCommand(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.accepted("A1", 1000, func(c *payment.Command) { c.Order = "bill-7" })
		w.result("A1", payment.Approved)
		back := payment.Command{Verb: payment.VerbReversal, Request: payment.Request{ID: "R1", Original: payment.Reference{Payment: "A1"}}}
		if r := w.do(back); r.Status != payment.ReplyAccepted {
			t.Fatalf("reversal: %+v", r)
		}
		w.result("R1", payment.Approved)
		w.result("A1", payment.Reversed)
		if r := w.do(back); !r.Known {
			t.Errorf("the same reversal again: %+v", r)
		}
		back.ID = "R2"
		if r := w.do(back); r.Status != payment.ReplyRefused {
			t.Errorf("a second reversal: %+v", r)
		}
		w.accepted("A2", 1000, func(c *payment.Command) { c.Order = "bill-7" }) // the order is free again
		w.result("A2", payment.Approved)
		if w.charges() != 1 {
			t.Errorf("%d charges stand, want 1", w.charges())
		}
	})
}

// unsendable is a terminal whose line breaks before a reversal is sent.
type unsendable struct {
	link.Terminal
	link.Baseliner
	left *int // how often it still does
}

func (u unsendable) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	if tx.Operation == payment.Reversal && *u.left > 0 {
		*u.left--
		return payment.Outcome{}, &link.Error{Op: "void", Err: io.ErrClosedPipe}
	}
	return u.Terminal.Execute(ctx, tx, d)
}

// A reversal that is owed is not over because the line broke before it was sent:
// it is sent on the next line, at once. One that can never be sent ends.
func TestOwedReversalIsSentLater(t *testing.T) {
	for breaks, want := range map[int]payment.Result{1: payment.Reversed, 5: payment.Reversed, 1000: payment.Unreversed} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			open, left := w.term.Driver.Open, breaks
			w.term.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
				term, err := open(ctx, c)
				if err != nil {
					return nil, err
				}
				return unsendable{term, term.(link.Baseliner), &left}, nil
			}
			w.start()
			defer w.close()
			w.authorised("A1")
			began := time.Now()
			w.do(verb(payment.VerbRollback, "A1"))
			w.result("A1", want)
			if took := time.Since(began); breaks == 1 && took > 5*time.Second {
				t.Errorf("with one broken line it took %v", took)
			}
			if (w.charges() == 0) != (want == payment.Reversed) || w.count(payment.EventFinal, payment.ReversalOf("A1")) != 1 {
				t.Errorf("%d breaks: %d charges stand", breaks, w.charges())
			}
		})
	}
}
