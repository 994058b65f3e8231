package qfpay

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

// TestBrokenRefund breaks the line at every byte of a refund, then looks it up.
func TestBrokenRefund(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		for _, kind := range linktest.Kinds() {
			for n := 0; breakRefund(t, wire, kind, n); n++ {
			}
		}
	}
}

func breakRefund(t *testing.T, wire string, kind linktest.Kind, n int) (reached bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *Settings) { s.Wire = wire }, "approve")
		defer w.sim.Close()
		term := w.mustOpen()
		sale, err := w.sell(term, w.purchase(1000))
		term.Close()
		if err != nil {
			t.Fatal(err)
		}
		tx := w.refund(sale, 1000)
		var line *linktest.Breaking
		w.wrap = func(c link.Conn) link.Conn {
			if line == nil {
				line = linktest.BreakAt(c, n, kind)
			} else {
				line = line.Again(c)
			}
			return line
		}
		what := fmt.Sprintf("%s %s %d", wire, kind, n)
		var o payment.Outcome
		if term, err = w.open(); err != nil {
			err = &link.Error{Op: "open", Err: err}
		} else {
			if tx.Baseline, err = term.Baseline(context.Background(), tx); err != nil {
				err = &link.Error{Op: "baseline", Err: err}
			} else {
				o, err = term.Execute(context.Background(), tx, link.Dialogue{})
			}
			term.Close()
		}
		reached = line.Reached()
		w.wrap = nil
		synctest.Wait()
		refunded := w.sim.Ledger()[0].Reversed
		if !reached && (err != nil || !refunded) {
			t.Errorf("%s: on a sound line: got %+v, %v, and refunded is %v", what, o, err, refunded)
		}
		if err == nil && (o.Result == payment.Approved) != refunded || refunded && err != nil && !link.Sent(err) {
			t.Errorf("%s: got %+v, %v, and refunded is %v", what, o, err, refunded)
		}
		if err == nil || !link.Sent(err) {
			return
		}
		term = w.mustOpen()
		defer term.Close()
		o, err = term.Lookup(context.Background(), tx, time.Second)
		if refunded != (err == nil && o.Result == payment.Approved) || !refunded && !errors.Is(err, link.ErrInProgress) {
			t.Errorf("%s: early lookup: got %+v, %v, and refunded is %v", what, o, err, refunded)
		}
		o, err = term.Lookup(context.Background(), tx, link.DefaultLongest+1)
		if refunded != (err == nil && o.Result == payment.Approved) || !refunded && !errors.Is(err, link.ErrNotFound) {
			t.Errorf("%s: late lookup: got %+v, %v, and refunded is %v", what, o, err, refunded)
		}
	})
	return reached
}

// TestRefund: in part and in full, and what is refused before anything is sent.
func TestRefund(t *testing.T) {
	in(t, func(s *Settings) { s.Channel = "alipay" }, []string{"approve", "approve", "lost-answer", "decline", "cancel"}, func(w *world, term *terminal) {
		sale, err := w.sell(term, w.purchase(1000))
		if err != nil {
			t.Fatal(err)
		}
		if o, err := w.sell(term, w.refund(sale, 5)); err != nil || o.Result != payment.Approved || o.Amount != hkd(5) {
			t.Errorf("in part: got %+v, %v", o, err)
		}
		lost := w.refund(sale, 95)
		lost.Baseline, err = term.Baseline(context.Background(), lost)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := term.Execute(context.Background(), lost, link.Dialogue{}); err == nil || !link.Sent(err) {
			t.Errorf("lost answer: got %v", err)
		}
		if o, err := term.Lookup(context.Background(), lost, time.Second); err != nil || o.Result != payment.Approved || o.Amount != hkd(95) {
			t.Errorf("lost answer, lookup: got %+v, %v", o, err)
		}
		if _, err := term.Baseline(context.Background(), w.refund(sale, 901)); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("more than is left: got %v", err)
		}
		again := w.mustOpen()
		defer again.Close()
		if o, err := w.sell(again, w.refund(sale, 900)); err != nil || o.Result != payment.Declined {
			t.Errorf("declined: got %+v, %v", o, err)
		}
		if o, err := w.sell(again, w.refund(sale, 900)); err != nil || o.Result != payment.Cancelled {
			t.Errorf("cancelled: got %+v, %v", o, err)
		}
		unknown := w.refund(payment.Outcome{Reference: payment.Reference{Receipt: "20250101"}}, 1)
		if _, err := again.Baseline(context.Background(), unknown); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("of nothing: got %v", err)
		}
	})
}

// TestCardRefund: a card payment of the same day is refunded in full only.
func TestCardRefund(t *testing.T) {
	in(t, nil, []string{"approve"}, func(w *world, term *terminal) {
		sale, err := w.sell(term, w.purchase(1000))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := term.Baseline(context.Background(), w.refund(sale, 999)); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("in part, the same day: got %v", err)
		}
		if _, err := term.Baseline(context.Background(), w.refund(sale, 1000)); err != nil {
			t.Errorf("in full, the same day: got %v", err)
		}
		time.Sleep(25 * time.Hour)
		if _, err := term.Baseline(context.Background(), w.refund(sale, 999)); err != nil {
			t.Errorf("in part, the next day: got %v", err)
		}
	})
}

// TestModels: an A920 takes no cards, whatever the configuration let through.
func TestModels(t *testing.T) {
	for channel, card := range channels {
		s := defaults()
		s.Model, s.Channel = ModelA920, channel
		r := payment.Request{ID: "x", Operation: payment.Purchase, Amount: hkd(1)}
		if refused := payment.ReasonOf(check(s, r)) != ""; refused != card || (s.Validate() != nil) != card {
			t.Errorf("a920, %s: refused is %v, validation says %v", channel, refused, s.Validate())
		}
		s.Model = ModelA8
		if err := errors.Join(check(s, r), s.Validate()); err != nil {
			t.Errorf("a8, %s: %v", channel, err)
		}
	}
}

// TestAnswersAgain: the terminal repeats its last answer before each new one, so
// that an empty one is heard first. Nothing that was charged is not found, no
// cancellation hides it, and no refund is judged by an old rest.
func TestAnswersAgain(t *testing.T) {
	in(t, nil, []string{"lost-answer+again", "cancel-charged+again", "mute+again", "approve+again"}, func(w *world, term *terminal) {
		for _, quiet := range []time.Duration{time.Second, link.DefaultLongest + 1} {
			tx := w.purchase(1000)
			o, err := w.sell(term, tx)
			if err == nil && o.Result != payment.Approved || err != nil && !link.Sent(err) {
				t.Errorf("got %+v, %v, and it was charged", o, err)
			}
			for range 3 {
				if _, err := term.Diagnose(context.Background()); err != nil { // leaves an empty answer behind
					t.Fatal(err)
				}
				if o, err := term.Lookup(context.Background(), tx, quiet); err != nil || o.Result != payment.Approved {
					t.Errorf("lookup after %v: got %+v, %v", quiet, o, err)
				}
			}
		}
		dead := w.purchase(1000)
		if _, err := w.sell(term, dead); err == nil || !link.Sent(err) {
			t.Errorf("mute: got %v", err)
		}
		term = w.mustOpen() // without an acknowledgement the line is closed
		defer term.Close()
		if o, err := term.Lookup(context.Background(), dead, link.DefaultLongest+1); err == nil {
			t.Errorf("nothing was charged: got %+v", o)
		}
		sale, err := w.sell(term, w.purchase(1000))
		if err != nil || sale.Result != payment.Approved {
			t.Fatalf("got %+v, %v", sale, err)
		}
		back := w.refund(sale, 1000)
		if back.Baseline, err = term.Baseline(context.Background(), back); err != nil {
			t.Fatal(err)
		}
		if o, err := term.Execute(context.Background(), back, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Errorf("refund: got %+v, %v", o, err)
		}
		if o, err := term.Lookup(context.Background(), back, link.DefaultLongest+1); err == nil && o.Result != payment.Approved || errors.Is(err, link.ErrNotFound) {
			t.Errorf("lookup of the refund: got %+v, %v, and it was made", o, err)
		}
	})
}
