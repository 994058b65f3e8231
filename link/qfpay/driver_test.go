package qfpay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// world is one simulator and the way to it.
type world struct {
	t        *testing.T
	sim      *Simulator
	settings *Settings
	wrap     func(link.Conn) link.Conn
	n        int
}

func newWorld(t *testing.T, edit func(*Settings), script ...string) *world {
	t.Helper()
	sim, err := NewSimulator(link.SimulatorConfig{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, sim: sim, settings: defaults()}
	if edit != nil {
		edit(w.settings)
	}
	return w
}

func (w *world) dial(context.Context) (link.Conn, error) {
	ours, theirs := net.Pipe()
	go w.sim.Serve(context.Background(), theirs)
	if w.wrap != nil {
		return w.wrap(ours), nil
	}
	return ours, nil
}

func (w *world) open() (*terminal, error) {
	term, err := Open(context.Background(), link.Config{Name: "t", Currency: "HKD", Settings: w.settings, Dial: w.dial})
	if err != nil {
		return nil, err
	}
	return term.(*terminal), nil
}

func (w *world) mustOpen() *terminal {
	w.t.Helper()
	term, err := w.open()
	if err != nil {
		w.t.Fatal(err)
	}
	return term
}

func hkd(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "HKD"} }

func (w *world) purchase(minor int64) payment.Transaction {
	w.n++
	id := fmt.Sprintf("T%d", w.n)
	return payment.Transaction{Attempt: id + strings.Repeat("A", 20-len(id)),
		Request: payment.Request{ID: payment.ID(id), Operation: payment.Purchase, Amount: hkd(minor)}}
}

func (w *world) refund(of payment.Outcome, minor int64) payment.Transaction {
	tx := w.purchase(minor)
	tx.Operation, tx.Original = payment.Refund, of.Reference
	return tx
}

func (w *world) sell(term *terminal, tx payment.Transaction) (payment.Outcome, error) {
	w.t.Helper()
	b, err := term.Baseline(context.Background(), tx)
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: "baseline", Err: err}
	}
	tx.Baseline = b
	return term.Execute(context.Background(), tx, link.Dialogue{})
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// in runs f in a bubble and closes everything.
func in(t *testing.T, edit func(*Settings), script []string, f func(w *world, term *terminal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, edit, script...)
		defer w.sim.Close()
		term := w.mustOpen()
		defer term.Close()
		f(w, term)
	})
}

// TestWays: the result comes in each of the ways that the document leaves open,
// plain or encrypted, whole or in parts, once or twice, with marks inside.
func TestWays(t *testing.T) {
	for _, way := range []string{"way:own", "way:ack", "way:second"} {
		for _, how := range []string{"", "+plain", "+split:50", "+split:1+marks", "+duplicate", "+plain+marks", "+nameless", "+slow:20s", "+list"} {
			t.Run(way+how, func(t *testing.T) {
				in(t, nil, []string{way + how, "decline:1202+" + way + how, way + how}, func(w *world, term *terminal) {
					for i, want := range []payment.Result{payment.Approved, payment.Declined, payment.Approved} {
						tx := w.purchase(1010)
						o, err := w.sell(term, tx)
						if err != nil || o.Result != want {
							t.Errorf("sale %d: got %+v, %v, want %s", i, o, err, want)
						}
						if o, err = term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != want {
							t.Errorf("lookup %d: got %+v, %v, want %s", i, o, err, want)
						}
					}
					if l := w.sim.Ledger(); len(l) != 2 || l[0].Amount != hkd(1010) {
						t.Errorf("ledger: %+v", l)
					}
				})
			})
		}
	}
}

// TestProfiles: every combination of the switches is understood by both sides.
func TestProfiles(t *testing.T) {
	for _, key := range []string{KeyASCII, KeyHex} {
		for _, syntax := range []string{SyntaxOdoo, SyntaxJSON} {
			for _, envelope := range []string{EnvelopeWhole, EnvelopeContent} {
				for _, over := range []string{DigestPlain, DigestSealed} {
					for _, plain := range []bool{false, true} {
						if over == DigestSealed && (plain || envelope == EnvelopeWhole) {
							continue
						}
						for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
							edit := func(s *Settings) {
								s.Key, s.Syntax, s.Envelope, s.DigestOver, s.Plain, s.Wire = key, syntax, envelope, over, plain, wire
							}
							in(t, edit, []string{"approve"}, func(w *world, term *terminal) {
								if o, err := w.sell(term, w.purchase(1010)); err != nil || o.Result != payment.Approved || o.Amount != hkd(1010) {
									t.Errorf("%s %s %s %s plain %v %s: got %+v, %v", key, syntax, envelope, over, plain, wire, o, err)
								}
							})
						}
					}
				}
			}
		}
	}
}

// TestErrorPackets: a request that is rejected was certainly not accepted, and
// the line is of use afterwards.
func TestErrorPackets(t *testing.T) {
	for code := byte(errUnknown); code <= errSplit; code++ {
		in(t, nil, []string{fmt.Sprintf("error:%x", code), "approve"}, func(w *world, term *terminal) {
			o, err := w.sell(term, w.purchase(100))
			if code == errUnknown {
				if err == nil || !link.Sent(err) {
					t.Errorf("0x30: got %+v, %v, want an error after sending", o, err)
				}
			} else if want := fmt.Sprintf("0x%x", code); err != nil || o.Result != payment.Failed || o.Vendor.Code != want || o.Condition != payment.CondMessageFormat {
				t.Errorf("%s: got %+v, %v", want, o, err)
			}
			if o, err := term.Lookup(context.Background(), w.purchase(100), time.Second); !errors.Is(err, link.ErrInProgress) {
				t.Errorf("lookup on the same line: got %+v, %v", o, err)
			}
			if l := w.sim.Ledger(); len(l) != 0 {
				t.Errorf("ledger: %+v", l)
			}
		})
	}
}

// TestLateAcknowledgement: after its second the device counts as gone.
func TestLateAcknowledgement(t *testing.T) {
	for _, script := range []string{"late-ack+mute", "late-ack+lost-answer", "wrong-number+lost-answer", "no-ack+lost-answer"} {
		in(t, nil, []string{script}, func(w *world, term *terminal) {
			began := time.Now()
			o, err := w.sell(term, w.purchase(100))
			if !errors.Is(err, errNoAck) || !link.Sent(err) || time.Since(began) > 2*time.Second {
				t.Errorf("%s after %v: got %+v, %v", script, time.Since(began), o, err)
			}
			if _, err := w.sell(term, w.purchase(100)); err == nil || link.Sent(err) {
				t.Errorf("%s: the line is used again: %v", script, err)
			}
		})
	}
}

// TestAbort stops a payment while the card is awaited, over each wire.
func TestAbort(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		for _, way := range []string{"way:own", "way:second"} {
			in(t, func(s *Settings) { s.Wire = wire }, []string{"slow:60s+" + way, "approve"}, func(w *world, term *terminal) {
				stop := make(chan struct{})
				time.AfterFunc(10*time.Second, func() { close(stop) })
				began := time.Now()
				o, err := term.Execute(context.Background(), w.purchase(100), link.Dialogue{Abort: stop})
				if err != nil || o.Result != payment.Cancelled || time.Since(began) > 20*time.Second || len(w.sim.Ledger()) != 0 {
					t.Errorf("%s %s after %v: got %+v, %v, ledger %+v", wire, way, time.Since(began), o, err, w.sim.Ledger())
				}
				if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved {
					t.Errorf("%s %s: next sale: got %+v, %v", wire, way, o, err)
				}
			})
		}
	}
}

// TestNotFoundIsFinal: only after the longest time, and after the terminal has
// said that it has stopped.
func TestNotFoundIsFinal(t *testing.T) {
	for _, tt := range []struct {
		name, script, idle string
		quiet              time.Duration
		want               error
	}{
		{"early", "mute", "", time.Second, link.ErrInProgress},
		{"late", "mute", "", link.DefaultLongest + 1, link.ErrNotFound},
		{"vague, early", "mute+vague:6003", "", time.Second, link.ErrInProgress},
		{"vague, late", "mute+vague:6003", "", link.DefaultLongest + 1, link.ErrUnproven},
		{"vague, promised, early", "mute+vague:6002", "", time.Second, link.ErrInProgress},
		{"vague, promised, late", "mute+vague:6002", "", link.DefaultLongest + 1, link.ErrNotFound},
		{"a transaction's code, late", "mute+vague:1136", "", link.DefaultLongest + 1, link.ErrUnproven},
		{"a transaction's code, promised, late", "mute+vague:1268", "", link.DefaultLongest + 1, link.ErrNotFound},
		{"a code of the request, promised, late", "mute+vague:4006", "", link.DefaultLongest + 1, link.ErrNotFound},
		{"still open, promised, but paid and taken back", "charged:1181", "", link.DefaultLongest + 1, nil},
		{"still open, early", "charged:1143", "", time.Second, nil},
	} {
		in(t, func(s *Settings) { s.IdleCode, s.AbsentCodes = tt.idle, []string{"6002", "1268", "4006", "1181"} }, []string{tt.script}, func(w *world, term *terminal) {
			tx := w.purchase(100)
			if _, err := w.sell(term, tx); err == nil || !link.Sent(err) {
				t.Errorf("%s: got %v", tt.name, err)
			}
			again := w.mustOpen()
			defer again.Close()
			if _, err := again.Lookup(context.Background(), tx, tt.quiet); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		})
	}
}

// TestApprovalBeforeTheStop: the last question is asked after the terminal has
// stopped, so an approval just before is found.
func TestApprovalBeforeTheStop(t *testing.T) {
	in(t, nil, []string{"late-approval:1"}, func(w *world, term *terminal) {
		tx := w.purchase(100)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		term.Execute(ctx, tx, link.Dialogue{})
		o, err := term.Lookup(context.Background(), tx, link.DefaultLongest+1)
		if err != nil || o.Result != payment.Approved || len(w.sim.Ledger()) != 1 {
			t.Errorf("got %+v, %v, ledger %+v", o, err, w.sim.Ledger())
		}
	})
}

// TestKey: the printed key is refused outside simulation, a wrong one is told
// with what to do, and a new one works without a restart.
func TestKey(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	file := filepath.Join(t.TempDir(), "key")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	s := defaults()
	if _, err := load(s, false); err == nil {
		t.Error("no key file outside simulation: no error")
	}
	s.KeyFile = file
	for name, bad := range map[string]struct {
		text string
		mode os.FileMode
	}{"printed": {defaultKey, 0o600}, "printed in capitals": {strings.ToUpper(defaultKey), 0o600}, "short": {key[1:], 0o600}, "readable by all": {key, 0o644}} {
		write(bad.text, bad.mode)
		if _, err := load(s, false); err == nil || strings.Contains(err.Error(), bad.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *Settings) { s.KeyFile = file }, "approve+key:"+key)
		defer w.sim.Close()
		write(strings.Repeat("1", 32), 0o600)
		if _, err := w.open(); err == nil || !strings.Contains(err.Error(), "POS-KEY") || strings.Contains(err.Error(), "1111") {
			t.Errorf("another key: got %v", err)
		}
		write(key, 0o600)
		term := w.mustOpen()
		defer term.Close()
		write(strings.Repeat("2", 32), 0o600)
		if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Failed || !strings.Contains(o.Text, refresh) {
			t.Errorf("a key that the terminal does not know: got %+v, %v", o, err)
		}
		write(key, 0o600)
		if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved {
			t.Errorf("after the refresh: got %+v, %v", o, err)
		}
	})
	if got := fmt.Sprintf("%v %+v %#v %s", posKey{key}, posKey{key}, posKey{key}, posKey{key}); strings.Contains(got, key) {
		t.Errorf("the key shows itself: %s", got)
	}
}

// TestCardData: nothing of a card but its last four digits comes through.
func TestCardData(t *testing.T) {
	const pan = "4720111122225184"
	a, err := decode([]byte(`{"respcd":"6000","respmsg":"card ` + pan + `","data":{"respcd":"0000","cardno":"520000******1096","track2":";` + pan +
		`=4912","x":"4720 1111 2222 5184","desc":"4720-1111-2222-5184","` + pan + `":"1","nickname":"SOMEBODY"}}`))
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%+v", a)
	if strings.Contains(all, "47201") || strings.Contains(all, "4720 1") || strings.Contains(all, "4720-1") || strings.Contains(all, "SOMEBODY") {
		t.Errorf("card data is kept: %s", all)
	}
	if a.records[0].card.Last4() != "1096" || a.records[0].get("x") == "" {
		t.Errorf("got %s", all)
	}
}
