package bpos

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// Confirm is called once, by the connection that heard the approval.
func TestConfirmOnce(t *testing.T) {
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		confirms := 0
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				if method == "Confirm" {
					confirms++
				}
				return 0, false, nil
			}}
		}
		w.open()
		tx := w.sale(100)
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{})
		if err != nil {
			t.Fatal(err)
		}
		other := tx
		other.Attempt = "another"
		if err := w.term.Confirm(t.Context(), other, o); err == nil || link.Sent(err) {
			t.Errorf("another attempt: got %v", err)
		}
		for range 2 {
			if err := w.term.Confirm(t.Context(), tx, o); err != nil || confirms != 1 {
				t.Errorf("got %v after %d confirmations", err, confirms)
			}
		}
		held := w.sale(200)
		o, err = w.term.Execute(t.Context(), held, link.Dialogue{})
		if err != nil {
			t.Fatal(err)
		}
		w.open() // the process was killed between result and Confirm
		if err := w.term.Confirm(t.Context(), held, o); err == nil || link.Sent(err) || confirms != 1 {
			t.Errorf("on another connection: got %v after %d confirmations", err, confirms)
		}
		for _, op := range []payment.Operation{payment.Reversal, payment.Refund} {
			w.set.ConfirmRefund = false
			if err := w.term.Confirm(t.Context(), w.of(op, 1, payment.Reference{}), o); err != nil || confirms != 1 {
				t.Errorf("%s: got %v after %d confirmations", op, err, confirms)
			}
		}
	})
}

// After a crash between result and Confirm the terminal is asked what it kept: at
// once nobody knows, then it has taken the payment back, and with pending it says
// that the money returns with the batch.
func TestCrashBeforeConfirm(t *testing.T) {
	for script, canceled := range map[string]bool{"approve": false, "approve+pending": true} {
		inWorld(t, []string{script}, nil, func(t *testing.T, w *world) {
			tx := w.sale(100)
			o, err := w.term.Execute(t.Context(), tx, link.Dialogue{})
			if err != nil {
				t.Fatal(err)
			}
			w.open()
			if again, err := w.term.Recheck(t.Context(), tx, o, time.Second); !errors.Is(err, link.ErrInProgress) {
				t.Errorf("at once: got %+v, %v", again, err)
			}
			time.Sleep(simConfirmWithin + time.Second)
			again, err := w.term.Recheck(t.Context(), tx, o, simConfirmWithin)
			if err != nil || again.Result != payment.Reversed || strings.Contains(again.Text, "batch") != canceled {
				t.Errorf("later: got %+v, %v", again, err)
			}
			if found, err := w.term.Lookup(t.Context(), tx, simConfirmWithin); err != nil || found.Result != payment.Reversed {
				t.Errorf("without the outcome: got %+v, %v", found, err)
			}
			if l := w.sim.Ledger(); l[0].Reversed == canceled {
				t.Errorf("ledger: %+v", l)
			}
			closing := w.begin(w.of(payment.Reconciliation, 0, payment.Reference{}))
			w.term.Execute(t.Context(), closing, link.Dialogue{})
			if l := w.sim.Ledger(); !l[0].Reversed {
				t.Errorf("after the reconciliation: %+v", l)
			}
			if again, err := w.term.Recheck(t.Context(), tx, o, time.Hour); !errors.Is(err, link.ErrUnproven) {
				t.Errorf("in the next batch: got %+v, %v", again, err)
			}
		})
	}
}

// A Confirm whose answer, or which itself, was lost.
func TestConfirmLost(t *testing.T) {
	for script, want := range map[string]payment.Result{"confirm-mute": payment.Approved, "confirm-lost": payment.Reversed} {
		inWorld(t, []string{script}, nil, func(t *testing.T, w *world) {
			tx := w.sale(100)
			o, err := w.term.Execute(t.Context(), tx, link.Dialogue{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.term.Confirm(t.Context(), tx, o); err == nil || !link.Sent(err) {
				t.Errorf("%s: got %v", script, err)
			}
			w.open()
			if again, err := w.term.Recheck(t.Context(), tx, o, time.Second); !errors.Is(err, link.ErrInProgress) {
				t.Errorf("%s: at once: got %+v, %v", script, again, err)
			}
			time.Sleep(link.DefaultLongest + time.Second)
			again, err := w.term.Recheck(t.Context(), tx, o, link.DefaultLongest+time.Second)
			if err != nil || again.Result != want {
				t.Errorf("%s: got %+v, %v", script, again, err)
			}
			if want == payment.Approved {
				if err := w.term.Confirm(t.Context(), tx, again); err != nil {
					t.Errorf("what the terminal kept needs no confirmation: %v", err)
				}
			}
		})
	}
}

// SignVerif 1 at a kiosk is reversed, by Void or by the terminal itself; with
// signature: accept it is not.
func TestSignature(t *testing.T) {
	inWorld(t, []string{"signature", "approve"}, nil, func(t *testing.T, w *world) {
		for _, wait := range []time.Duration{0, time.Minute} {
			tx := w.sale(100)
			o, err := w.term.Execute(t.Context(), tx, link.Dialogue{})
			if err != nil || !o.Signature && wait == 0 {
				t.Fatalf("got %+v, %v", o, err)
			}
			time.Sleep(wait)
			back := w.begin(w.of(payment.Reversal, 100, o.Reference))
			again, err := w.term.Execute(t.Context(), back, link.Dialogue{})
			if err != nil || again.Result != payment.Approved || again.Amount != uah(100) {
				t.Errorf("reversal after %v: got %+v, %v", wait, again, err)
			}
			if found, err := w.term.Lookup(t.Context(), back, time.Second); err != nil || found.Result != payment.Approved {
				t.Errorf("lookup after %v: got %+v, %v", wait, found, err)
			}
		}
		for _, e := range w.sim.Ledger() {
			if !e.Reversed {
				t.Errorf("ledger: %+v", e)
			}
		}
	})
	inWorld(t, []string{"signature"}, func(s *Settings) { s.Signature = SignatureAccept }, func(t *testing.T, w *world) {
		if _, o := w.mustSell(100); o.Signature {
			t.Errorf("got %+v", o)
		}
	})
}

// What the terminal takes back while nobody looks is no decline, and a code that
// excludes nothing is none either.
func TestDoubtfulCodes(t *testing.T) {
	for _, c := range []struct {
		script string
		want   payment.Result // "" is doubt
	}{
		{"ended:1000", ""}, {"ended:1004", ""}, {"ended:1005", ""}, {"ended:1008", ""},
		{"ended:1001", payment.Cancelled}, {"ended:1002", payment.Declined}, {"ended:1003", payment.Failed}, {"ended:1006", payment.Failed}, {"ended:1007", payment.Failed},
		{"taken-back:1001", payment.Cancelled}, {"taken-back:1002", payment.Declined}, {"taken-back:1004", ""},
		{"charged:1001", ""}, {"charged:20", ""}, {"charged:999", ""}, {"lost-answer", ""},
		{"decline:51", payment.Declined}, {"decline:91", payment.Declined}, {"decline:68", ""}, {"decline:20", ""},
	} {
		inWorld(t, []string{c.script}, nil, func(t *testing.T, w *world) {
			tx := w.sale(100)
			o, err := w.term.Execute(t.Context(), tx, link.Dialogue{})
			switch {
			case c.want == "" && (err == nil || !link.Sent(err)):
				t.Errorf("%s: got %+v, %v, want doubt", c.script, o, err)
			case c.want != "" && (err != nil || o.Result != c.want || o.Vendor.Code == "" || o.Text == ""):
				t.Errorf("%s: got %+v, %v, want %s", c.script, o, err, c.want)
			}
		})
	}
}

// The library says done before it has begun, and shows the sale before; or shows
// something else than was asked.
func TestStaleResult(t *testing.T) {
	for name, get := range map[string]func(string, any) any{
		"another type": func(name string, v any) any {
			return map[bool]any{true: int64(typeRefund), false: v}[name == "TxnType"]
		},
		"a code": func(name string, v any) any {
			return map[bool]any{true: int64(codeGeneral), false: v}[name == "ResponseCode"]
		},
		"a decline": func(name string, v any) any { return map[bool]any{true: int64(51), false: v}[name == "ResponseCode"] },
		"a reversed one": func(name string, v any) any {
			return map[bool]any{true: int64(trnReversed), false: v}[name == "TrnStatus"]
		},
		"the one before": nil,
		"nothing about it": func(name string, v any) any {
			return map[bool]any{true: nil, false: v}[name == "RRN" || name == "InvoiceNum"]
		},
	} {
		inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
			w.mustSell(100)
			begun := false
			w.wrap = func(l bridge.Library) bridge.Library {
				return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
					if begun = begun || method == "Purchase"; begun && get == nil {
						return 0, true, nil // accepted, and nothing happens
					}
					return 0, false, nil
				}, get: func(name string, v any) any {
					if begun && get != nil {
						return get(name, v)
					}
					return v
				}}
			}
			w.open()
			tx := w.sale(100)
			if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || !link.Sent(err) {
				t.Errorf("%s: got %+v, %v", name, o, err)
			}
		})
	}
}

// The guide does not say whether order 1 of the journal is the oldest or the
// newest: a sale is found either way, and never mistaken for another.
func TestJournalOrder(t *testing.T) {
	for _, newest := range []bool{false, true} {
		for before := range 4 {
			t.Run(fmt.Sprint(newest, before), func(t *testing.T) {
				inWorld(t, []string{"approve", "approve", "approve", "lost-answer", "approve"}[3-before:], nil, func(t *testing.T, w *world) {
					w.wrap = func(l bridge.Library) bridge.Library {
						return altered{Library: l, call: func(method string, args []any) (int, bool, error) {
							if method == "GetTxnDataByOrder" && newest {
								args[0] = int64(len(w.sim.term.Slips())) + 1 - args[0].(int64)
							}
							return 0, false, nil
						}}
					}
					w.open()
					for i := range before {
						w.mustSell(int64(1000 + i))
					}
					tx := w.sale(777)
					if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || !link.Sent(err) {
						t.Fatalf("got %+v, %v", o, err)
					}
					w.mustSell(888) // what nobody confirmed is taken back now
					w.mustSell(999)
					if o, err := w.term.Lookup(t.Context(), tx, time.Second); err != nil || o.Result != payment.Reversed || o.Amount != uah(777) {
						t.Errorf("got %+v, %v", o, err)
					}
				})
			})
		}
	}
}

// Somebody who can sell on the keypad can make a record that looks like ours.
func TestKeypad(t *testing.T) {
	for keypad, found := range map[string]bool{KeypadOpen: false, KeypadLocked: true} {
		inWorld(t, []string{"lost-answer", "approve"}, func(s *Settings) { s.Keypad = keypad }, func(t *testing.T, w *world) {
			tx := w.sale(777)
			w.term.Execute(t.Context(), tx, link.Dialogue{})
			w.open()
			time.Sleep(time.Minute)
			o, err := w.term.Lookup(t.Context(), tx, time.Hour)
			if found && (err != nil || o.Result != payment.Reversed) || !found && !errors.Is(err, link.ErrUnproven) {
				t.Errorf("%s: got %+v, %v", keypad, o, err)
			}
		})
	}
	inWorld(t, []string{"hand-sale"}, nil, func(t *testing.T, w *world) { // which is why locked has to be true
		w.sim.term.Slips()
		tx := w.sale(500)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || !link.Sent(err) {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

// Originals that cannot be taken back are told beforehand.
func TestNotReversible(t *testing.T) {
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		_, o := w.mustSell(100)
		for name, edit := range map[string]func(*payment.Transaction){
			"another RRN":        func(tx *payment.Transaction) { tx.Original.RRN = "000000000000" },
			"another batch":      func(tx *payment.Transaction) { tx.Original.Batch = "9" },
			"another number":     func(tx *payment.Transaction) { tx.Original.Receipt = "77" },
			"no number":          func(tx *payment.Transaction) { tx.Original.Receipt = "" },
			"another terminal":   func(tx *payment.Transaction) { tx.Original.Serial = "X" },
			"a part":             func(tx *payment.Transaction) { tx.Amount = uah(50) },
			"nothing to compare": func(tx *payment.Transaction) { tx.Original.RRN, tx.Original.Batch, tx.Original.Auth = "", "", "x" },
		} {
			tx := w.of(payment.Reversal, 100, o.Reference)
			edit(&tx)
			if b, err := w.term.Baseline(t.Context(), tx); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: got %+v, %v", name, b, err)
			}
		}
		more := w.of(payment.Completion, 101, o.Reference)
		if b, err := w.term.Baseline(t.Context(), more); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("a completion of more: got %+v, %v", b, err)
		}
	})
}

// A Void that the terminal does not do.
func TestVoidRefused(t *testing.T) {
	for _, c := range []struct {
		script string
		want   payment.Result
	}{{"decline", ""}, {"ended:1001", payment.Cancelled}, {"ended:1004", ""}, {"lost-answer", ""}} {
		inWorld(t, []string{"approve", c.script}, nil, func(t *testing.T, w *world) {
			_, o := w.mustSell(100)
			back := w.begin(w.of(payment.Reversal, 100, o.Reference))
			got, err := w.term.Execute(t.Context(), back, link.Dialogue{})
			if c.want == "" && (err == nil || !link.Sent(err)) || c.want != "" && (err != nil || got.Result != c.want) {
				t.Errorf("%s: got %+v, %v", c.script, got, err)
			}
			reversed := w.sim.Ledger()[0].Reversed
			got, err = w.term.Lookup(t.Context(), back, time.Second)
			if reversed != (err == nil && got.Result == payment.Approved) || !reversed && !errors.Is(err, link.ErrInProgress) {
				t.Errorf("%s: lookup got %+v, %v, and reversed is %v", c.script, got, err, reversed)
			}
			if got, err = w.term.Lookup(t.Context(), back, time.Hour); !reversed && !errors.Is(err, link.ErrNotFound) {
				t.Errorf("%s: late lookup got %+v, %v", c.script, got, err)
			}
		})
	}
}

// What a connection knows of a batch goes with the batch, whoever closes it.
func TestForget(t *testing.T) {
	known := func(w *world) int { return len(w.term.seen) + len(w.term.kept) }
	inWorld(t, nil, nil, func(t *testing.T, w *world) {
		for _, close := range []func(){
			func() {
				w.term.Execute(t.Context(), w.begin(w.of(payment.Reconciliation, 0, payment.Reference{})), link.Dialogue{})
			},
			func() { // staff do
				l := w.sim.Library()
				l.Call("CommOpenAuto", []any{int64(115200)})
				l.Call("Settlement", []any{int64(0)})
				w.sale(1) // the next baseline sees it
			},
		} {
			for range 3 {
				w.mustSell(100)
			}
			if known(w) != 6 {
				t.Errorf("%d facts of three sales", known(w))
			}
			if close(); known(w) != 0 {
				t.Errorf("%d facts of a closed batch", known(w))
			}
		}
	})
}
