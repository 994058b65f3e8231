package gateway_test

import (
	"errors"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
)

func TestSale(t *testing.T) {
	bubble(t, []string{"approve", "decline:51", "cancel"}, func(w *world) {
		w.accepted("A1", 123456)
		rec := w.result("A1", payment.Approved)
		if rec.Outcome.Amount != vnd(123456) || rec.Outcome.Reference.RRN == "" || rec.Outcome.Card.PAN.IsZero() {
			t.Errorf("outcome is incomplete: %+v", rec.Outcome)
		}
		w.accepted("A2", 1000)
		if rec := w.result("A2", payment.Declined); rec.Outcome.Response != "51" {
			t.Errorf("response code %q, want 51", rec.Outcome.Response)
		}
		for _, id := range []payment.ID{"A1", "A2"} {
			if n := w.count(payment.EventFinal, id); n != 1 {
				t.Errorf("%s has %d final events, want 1", id, n)
			}
		}
	})
}

func TestSameIDIsTheSamePayment(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.accepted("A1", 1000)
		if r := w.sell("A1", 1000); r.Status != payment.ReplyAccepted || !r.Known {
			t.Errorf("repeated: %+v", r)
		}
		if r := w.sell("A1", 2000); r.Reason != payment.ReasonConflict {
			t.Errorf("other content: %+v", r)
		}
		w.result("A1", payment.Approved)
		if r := w.sell("A1", 1000); !r.Known || r.Payment.Outcome.Result != payment.Approved {
			t.Errorf("repeated afterwards: %+v", r)
		}
		time.Sleep(25 * time.Hour)
		if r := w.sell("A1", 1000); r.Reason != payment.ReasonExpired {
			t.Errorf("repeated a day later: %+v", r)
		}
		if w.charges() != 1 {
			t.Errorf("%d charges, want 1", w.charges())
		}
	})
}

// Two commands with one id at the same moment are one payment, and both are
// told so: a second one that hears "busy" would be read as "not paid".
func TestSameIDAtTheSameMoment(t *testing.T) {
	bubble(t, nil, func(w *world) {
		replies := make(chan payment.Reply, 2)
		for range 2 {
			go func() { replies <- w.sell("A1", 1000) }()
		}
		for range 2 {
			if r := <-replies; r.Status != payment.ReplyAccepted {
				t.Errorf("%+v", r)
			}
		}
		w.result("A1", payment.Approved)
		if w.charges() != 1 {
			t.Errorf("%d charges, want 1", w.charges())
		}
	})
}

func TestRefusalsLeaveNoTrace(t *testing.T) {
	bubble(t, nil, func(w *world) {
		before := w.store.LastSeq()
		for _, tt := range []struct {
			name string
			edit func(*payment.Command)
			want payment.Reason
		}{
			{"no id", func(c *payment.Command) { c.ID = "" }, payment.ReasonInvalid},
			{"derived id", func(c *payment.Command) { c.ID = "X~rev" }, payment.ReasonInvalid},
			{"unknown terminal", func(c *payment.Command) { c.Terminal = "t9" }, payment.ReasonUnknownTerminal},
			{"currency", func(c *payment.Command) { c.Amount.Currency = "USD" }, payment.ReasonCurrency},
			{"zero", func(c *payment.Command) { c.Amount.Minor = 0 }, payment.ReasonInvalid},
			{"13 digits", func(c *payment.Command) { c.Amount.Minor = 1e12 }, payment.ReasonInvalid},
			{"above the maximum", func(c *payment.Command) { c.Amount.Minor = 5_000_001 }, payment.ReasonAboveMaximum},
			{"a field the wire cannot carry", func(c *payment.Command) { c.Order = "a|b" }, payment.ReasonInvalid},
			{"an operation the wire has not", func(c *payment.Command) { c.Verb = payment.VerbRefund }, payment.ReasonUnsupported},
			{"reversal of nothing", func(c *payment.Command) { c.Verb = payment.VerbReversal; c.Original.Payment = "nope" }, payment.ReasonNotFound},
		} {
			r := w.sell("X", 1000, tt.edit)
			if r.Status != payment.ReplyRefused || r.Reason != tt.want || r.Text == "" {
				t.Errorf("%s: %s %s (%s), want %s", tt.name, r.Status, r.Reason, r.Text, tt.want)
			}
		}
		if n := len(w.sim.Ledger()); n != 0 || w.store.LastSeq() != before {
			t.Errorf("%d lines in the ledger, events %d to %d", n, before, w.store.LastSeq())
		}
		if _, err := w.store.Find("X"); payment.ReasonOf(err) != payment.ReasonNotFound {
			t.Errorf("a refused command is in the journal: %v", err)
		}
	})
}

func TestBusyAndOrder(t *testing.T) {
	order := func(c *payment.Command) { c.Order = "bill-7" }
	bubble(t, []string{"approve"}, func(w *world) {
		w.accepted("A1", 1000, order)
		if r := w.sell("A2", 1000); r.Reason != payment.ReasonBusy {
			t.Errorf("a busy terminal says %+v", r)
		}
		w.result("A1", payment.Approved)
		if r := w.sell("A3", 1000, order); r.Reason != payment.ReasonOrderBusy {
			t.Errorf("a paid order says %+v", r)
		}
		w.accepted("A4", 1000, order, func(c *payment.Command) { c.Split = true })
		w.result("A4", payment.Approved)
	})
}

func TestDailyCap(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.stop()
		w.term.DailyCap = vnd(2500)
		w.start()
		w.accepted("A1", 2000)
		w.result("A1", payment.Approved)
		if r := w.sell("A2", 1000); r.Reason != payment.ReasonDailyCap {
			t.Errorf("above the cap: %+v", r)
		}
		w.stop()
		w.start() // the cap is in the journal, not in memory
		if r := w.sell("A3", 1000); r.Reason != payment.ReasonDailyCap {
			t.Errorf("above the cap after a restart: %+v", r)
		}
		time.Sleep(25 * time.Hour)
		w.accepted("A4", 1000)
		w.result("A4", payment.Approved)
	})
}

// pastless is a journal whose past takes for ever to read.
type pastless struct{ gateway.Journal }

func (pastless) Since(time.Time) iter.Seq2[payment.Record, error] {
	return func(func(payment.Record, error) bool) { time.Sleep(time.Hour) }
}

// A terminal without a daily cap and a schedule sells at once, however much was
// sold before.
func TestPastIsNotReadInVain(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.stop()
		w.wrap = func(j gateway.Journal) gateway.Journal { return pastless{j} }
		w.start()
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
	})
}

func TestPause(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.do(payment.Command{Verb: payment.VerbPause, By: "an", Reason: "cleaning"})
		if r := w.sell("A1", 1000); r.Reason != payment.ReasonPaused {
			t.Errorf("paused: %+v", r)
		}
		w.do(payment.Command{Verb: payment.VerbResume})
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
	})
}

// A pause outlives the process, and so does its end.
func TestPauseOutlivesARestart(t *testing.T) {
	bubble(t, nil, func(w *world) {
		w.do(payment.Command{Verb: payment.VerbPause, By: "an", Reason: "cleaning"})
		w.stop()
		w.start()
		if r := w.sell("A1", 1000); r.Reason != payment.ReasonPaused {
			t.Errorf("after a restart: %+v", r)
		}
		st := w.g.Status()
		if st.Sellable || !slices.Contains(st.Reasons, payment.ReasonPaused) || st.Terminals[0].Paused != "an: cleaning" {
			t.Errorf("after a restart it shows %+v", st)
		}
		w.do(payment.Command{Verb: payment.VerbResume, By: "an"})
		w.stop()
		w.start()
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
		if why := w.g.Status().Terminals[0].Paused; why != "" {
			t.Errorf("after resume and a restart it shows %q", why)
		}
	})
}

// What cannot be written down is said, and errs on the side of not selling.
func TestPauseWithoutAJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		broken := false
		w.wrap = func(j gateway.Journal) gateway.Journal { return noteless{j, &broken} }
		w.start()
		defer w.close()
		w.do(payment.Command{Verb: payment.VerbPause, By: "an"})
		broken = true
		if r := w.do(payment.Command{Verb: payment.VerbResume}); r.Reason != payment.ReasonJournal {
			t.Errorf("resumes without a journal: %+v", r)
		}
		if r := w.do(payment.Command{Verb: payment.VerbPause, By: "an"}); r.Reason != payment.ReasonJournal {
			t.Errorf("says nothing: %+v", r)
		}
		if w.g.Status().Terminals[0].Paused != "an" {
			t.Error("a pause that was not written down is no pause")
		}
	})
}

// noteless is a journal that takes no notes while it is broken.
type noteless struct {
	gateway.Journal
	broken *bool
}

func (n noteless) Note(name, text string) error {
	if *n.broken {
		return errors.New("the disk is broken")
	}
	return n.Journal.Note(name, text)
}
