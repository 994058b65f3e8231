package ssi

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// TestFaults breaks the answer to a purchase in every way that the simulator
// knows, on each wire and with both generations of firmware, after a sale of the
// same amount: what the customer before paid is never taken for this one's.
func TestFaults(t *testing.T) {
	const unknown = payment.Result("") // an error after sending
	for _, tt := range []struct {
		fault, script string
		charged       bool
		now, later    payment.Result // of Execute, and of a lookup after the longest time; later "" is no answer
		old           payment.Result // of a lookup of firmware without transactionUid
	}{
		{"silence", "mute", false, unknown, "", ""},
		{"close", "reboot", true, payment.Approved, payment.Approved, ""},
		{"close before the bank is asked", "reboot-before", false, unknown, "", ""},
		{"bad LRC", "bad-lrc", true, payment.Approved, payment.Approved, ""},
		{"bad JSON", "bad-json", true, payment.Approved, payment.Approved, ""},
		{"bad length", "bad-length", true, payment.Approved, payment.Approved, ""},
		{"noise", "garbage", true, payment.Approved, payment.Approved, ""},
		{"half an answer", "half-ack", true, payment.Approved, payment.Approved, ""},
		{"fragments", "approve+fragments", true, payment.Approved, payment.Approved, ""},
		{"unknown status", "slow:5s+odd-status", true, payment.Approved, payment.Approved, ""},
		{"busy", "refuse:E06", false, payment.Failed, "", ""},
		{"previous result after a lost refusal", "lost-refusal", false, unknown, "", ""},
		{"previous result after a lost acknowledgement", "lost-ack", true, payment.Approved, payment.Approved, ""},
	} {
		for _, wire := range []string{ConnectionKept, ConnectionEach, WireHTTP} {
			for _, generation := range []string{"", "+v1.1.10"} {
				t.Run(strings.Join([]string{tt.fault, wire, generation}, ", "), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, "approve"+generation+","+tt.script+generation)
						defer w.sim.Close()
						set := func(s *Settings) {
							if s.Connection = wire; wire == WireHTTP {
								s.Wire, s.Connection = WireHTTP, ConnectionAuto
							}
						}
						w.open("tcp://x:1", set, pipeTo(w.sim))
						w.sell(500)
						tx := w.tx(payment.Purchase, 500)
						o, err := w.do(&tx, nil)
						acknowledged := strings.HasPrefix(tt.script, "approve") || strings.HasPrefix(tt.script, "slow") || tt.now == payment.Failed
						want := tt.now
						if !acknowledged && generation != "" {
							want = unknown // nothing says whose the last result is
						}
						kept := wire == ConnectionKept && tt.script == "reboot" // the line is gone, and with it the dialogue
						switch {
						case kept || want == unknown:
							if err == nil || !link.Sent(err) {
								t.Errorf("got %+v, %v, want an error after sending", o, err)
							}
						case err != nil || o.Result != want:
							t.Errorf("got %+v, %v, want %s", o, err, want)
						}
						if charged := len(w.sim.Ledger()) == 2; charged != tt.charged {
							t.Errorf("ledger: %+v", w.sim.Ledger())
						}
						w.term.Close()
						w.open("tcp://x:1", set, pipeTo(w.sim))
						defer w.term.Close()
						later := tt.later
						if generation != "" {
							later = tt.old
						}
						o, err = w.term.Lookup(context.Background(), tx, link.DefaultLongest+1)
						if later == "" && (err == nil || errors.Is(err, link.ErrNotFound) && tt.charged) || later != "" && (err != nil || o.Result != later) {
							t.Errorf("lookup: got %+v, %v, want %q", o, err, later)
						}
					})
				})
			}
		}
	}
}

// TestBusyTerminal: a terminal that serves somebody refuses everybody else, and
// goes on.
func TestBusyTerminal(t *testing.T) {
	simulated(t, "approve+slow:1m", nil, func(w *world) {
		say := func(c command) any { return w.sim.hear(c).say["errorCode"] }
		sale := command{Method: mPurchase, Params: requestParams{TransAmount: "500", TransCurrency: "980"}}
		if code := say(sale); code != "" {
			t.Fatalf("got %v", code)
		}
		for _, c := range []command{sale, {Method: mGetLastResult}, {Method: mGetTerminalInfo}, {Method: mXReport}, {Method: mPrintXml}, {Method: mZReport}} {
			if code := say(c); code != "E06" {
				t.Errorf("%s: got %v", c.Method, code)
			}
		}
		for _, c := range []command{{Method: mGetStatus}, {Method: mPingDevice}} {
			if code := say(c); code != "" {
				t.Errorf("%s: got %v", c.Method, code)
			}
		}
		tx := w.tx(payment.Purchase, 700)
		if _, err := w.do(&tx, nil); payment.ReasonOf(err) != payment.ReasonBusy {
			t.Errorf("baseline: got %v", err)
		}
		if o, err := w.term.Execute(context.Background(), tx, link.Dialogue{}); err != nil || o.Result != payment.Failed || o.Vendor.Code != "E06" {
			t.Errorf("a purchase all the same: got %+v, %v", o, err)
		}
		time.Sleep(2 * time.Minute)
		if l := w.sim.Ledger(); len(l) != 1 || l[0].Amount.Minor != 500 {
			t.Errorf("ledger: %+v", l)
		}
	})
}

// TestBuffersPersist: results, reports and the open batch outlive the terminal's
// power, as the ledger of its bank does.
func TestBuffersPersist(t *testing.T) {
	for _, generation := range []string{"", "+v1.1.10"} {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ledger.json")
			start := func() *world {
				sim, err := NewSimulator(link.SimulatorConfig{Name: "pos1", Script: []string{"approve" + generation, "lost-ack" + generation, "approve+needs-z" + generation}, Ledger: file})
				if err != nil {
					t.Fatal(err)
				}
				w := &world{t: t, sim: sim}
				w.open("", func(s *Settings) { s.Keypad = KeypadLocked }, pipeTo(sim))
				return w
			}
			w := start()
			first := w.sell(500)
			if _, err := w.term.Totals(context.Background()); err != nil {
				t.Fatal(err)
			}
			tx := w.tx(payment.Purchase, 700)
			b, err := w.term.Baseline(context.Background(), tx)
			if err != nil {
				t.Fatal(err)
			}
			tx.Baseline = b
			ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the gateway has a power cut too
			if o, err := w.term.Execute(ctx, tx, link.Dialogue{}); err == nil || !link.Sent(err) {
				t.Errorf("got %+v, %v", o, err)
			}
			cancel()
			w.term.Close()
			w.sim.Close()

			again := start()
			defer again.sim.Close()
			defer again.term.Close()
			if o, err := again.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved || o.Amount.Minor != 700 {
				t.Errorf("after a power cut: got %+v, %v", o, err)
			}
			if a, err := again.term.lastReport(context.Background()); err != nil || a.Params.SaleCount != "1" {
				t.Errorf("the report: got %+v, %v", a.Params.report, err)
			}
			back := again.back(first, 500)
			if o, err := again.do(&back, nil); err != nil || o.Result != payment.Approved || !again.sim.Ledger()[0].Reversed {
				t.Errorf("the batch: got %+v, %v", o, err)
			}
		})
	}
	if err := (&state{}).Check(); err == nil {
		t.Error("a file without a batch is taken")
	}
}

// TestUIDVanishes: a result that is shown with its transactionUid before, and
// without it afterwards, is still that of the customer before.
func TestUIDVanishes(t *testing.T) {
	simulated(t, "approve,mute+v1.1.10", func(s *Settings) { s.Keypad = KeypadLocked }, func(w *world) {
		w.sell(500)
		tx := w.tx(payment.Purchase, 500)
		if o, err := w.do(&tx, nil); err == nil || !link.Sent(err) {
			t.Errorf("got %+v, %v", o, err)
		}
		if o, err := w.term.Lookup(context.Background(), tx, link.DefaultLongest+1); !errors.Is(err, link.ErrNotFound) {
			t.Errorf("got %+v, %v, want %v", o, err, link.ErrNotFound)
		}
	})
}
