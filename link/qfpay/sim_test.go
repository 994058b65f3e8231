package qfpay

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// TestTwoTerminals: simulators of two names are two terminals.
func TestTwoTerminals(t *testing.T) {
	sold := map[string]string{}
	bubble(t, func(t *testing.T) {
		for _, name := range []string{"", "left", "right"} {
			w := newWorld(t, nil)
			sim, err := NewSimulator(link.SimulatorConfig{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			w.sim.Close()
			w.sim = sim
			term := w.mustOpen()
			tx := w.purchase(100)
			o, err := w.sell(term, tx)
			if err != nil {
				t.Fatal(err)
			}
			found, err := term.Lookup(context.Background(), tx, time.Second)
			if err != nil || found.Reference.TID != o.Reference.TID {
				t.Errorf("%q: lookup got %+v, %v", name, found, err)
			}
			for _, own := range []string{o.Reference.TID, o.Reference.Receipt, found.Reference.RRN} {
				if other, known := sold[own]; known || own == "" {
					t.Errorf("%q and %q both have %q", name, other, own)
				}
				sold[own] = name
			}
			term.Close()
			sim.Close()
		}
	})
}

// TestLedgerFile: a terminal that lost its power knows what it sold.
func TestLedgerFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.json")
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var tx payment.Transaction
		for i := range 3 {
			sim, err := NewSimulator(link.SimulatorConfig{Ledger: file, Script: []string{"approve+nameless"}})
			if err != nil {
				t.Fatal(err)
			}
			w.sim = sim
			term := w.mustOpen()
			if i == 0 {
				tx = w.purchase(100)
				if _, err := w.sell(term, tx); err != nil {
					t.Fatal(err)
				}
			}
			if o, err := term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved || len(sim.Ledger()) != 1 {
				t.Errorf("run %d: got %+v, %v, ledger %+v", i, o, err, sim.Ledger())
			}
			term.Close()
			sim.Close()
		}
	})
	if _, err := NewSimulator(link.SimulatorConfig{Ledger: file, Currency: "CNY"}); err == nil {
		t.Error("a ledger in another currency is accepted")
	}
	for _, script := range []string{"no-such", "way:north", "error:36", "split:0", "key:1", "late-approval:x", "plain:1", "approve+cancel"} {
		if _, err := NewSimulator(link.SimulatorConfig{Script: []string{script}}); err == nil {
			t.Errorf("%s: no error", script)
		}
	}
	if _, err := NewSimulator(link.SimulatorConfig{Currency: "HKDX"}); err == nil {
		t.Error("an unknown currency is accepted")
	}
}

// TestWrongAmount: what was charged is reported, and not what was asked for.
func TestWrongAmount(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		in(t, func(s *Settings) { s.Wire = wire }, []string{"wrong-amount", "wrong-amount:-1"}, func(w *world, term *terminal) {
			for _, want := range []int64{1001, 999} {
				tx := w.purchase(1000)
				o, err := w.sell(term, tx)
				if err != nil || o.Result != payment.Approved || o.Amount != hkd(want) {
					t.Errorf("%s: got %+v, %v, want %d", wire, o, err, want)
				}
				if o, err = term.Lookup(context.Background(), tx, time.Second); err != nil || o.Amount != hkd(want) {
					t.Errorf("%s: lookup got %+v, %v, want %d", wire, o, err, want)
				}
			}
		})
	}
}

// TestResultBeforeAcknowledgement: a result that comes while the acknowledgement
// is missing, late or of another number is the result all the same.
func TestResultBeforeAcknowledgement(t *testing.T) {
	for _, script := range []string{"no-ack", "late-ack", "wrong-number", "no-ack+split:50", "late-ack+duplicate"} {
		in(t, nil, []string{script, "approve"}, func(w *world, term *terminal) {
			if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
			time.Sleep(10 * time.Second)
			if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved || len(w.sim.Ledger()) != 2 {
				t.Errorf("%s: next sale: got %+v, %v", script, o, err)
			}
		})
	}
}

// TestChannels: each way to pay over each wire, with what may be refunded of it
// on the same day: all of it, and a part of what is no card.
func TestChannels(t *testing.T) {
	for channel, card := range channels {
		for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
			in(t, func(s *Settings) { s.Channel, s.Wire = channel, wire }, []string{"approve"}, func(w *world, term *terminal) {
				o, err := w.sell(term, w.purchase(1000))
				if err != nil || o.Result != payment.Approved || (o.Card.Entry == payment.EntryQR) == card || o.Card.Scheme == "" {
					t.Errorf("%s %s: got %+v, %v", channel, wire, o, err)
				}
				if got := w.sim.state.Trades[0].Channel; got != channel {
					t.Errorf("%s %s: the terminal heard %q", channel, wire, got)
				}
				if channel == noRefunds {
					_, err = w.sell(term, w.refund(o, 1000))
					if refused := payment.ReasonOf(check(w.settings, w.refund(o, 1000).Request)); !errors.Is(err, link.ErrNotReversible) || refused != payment.ReasonUnsupported {
						t.Errorf("%s %s: a refund: got %v, and %s", channel, wire, err, refused)
					}
					return
				}
				_, err = w.sell(term, w.refund(o, 400))
				if refused := errors.Is(err, link.ErrNotReversible); refused != card || !card && err != nil {
					t.Errorf("%s %s: a refund in part, the same day: got %v", channel, wire, err)
				}
				left := int64(1000)
				if !card {
					left = 600
				}
				if back, err := w.sell(term, w.refund(o, left)); err != nil || back.Result != payment.Approved || !w.sim.Ledger()[0].Reversed {
					t.Errorf("%s %s: a refund of the rest: got %+v, %v", channel, wire, back, err)
				}
			})
		}
	}
}
