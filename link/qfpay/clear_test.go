package qfpay

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// keyedWorld is a terminal with a key of its own, and the file that we read it
// from.
func keyedWorld(t *testing.T, edit func(*Settings), script ...string) (w *world, write func(key string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	write = func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ownKey)
	script[0] += "+key:" + ownKey
	w = newWorld(t, func(s *Settings) {
		s.KeyFile = file
		if edit != nil {
			edit(s)
		}
	}, script...)
	return w, write
}

const (
	ownKey   = "00112233445566778899aabbccddeeff"
	otherKey = "11111111111111111111111111111111"
)

// TestWrongKey: what the terminal says about a key or a digest that is not its
// own is an outcome with its code, over every wire, that tells how to refresh
// the key; and the same connection sells once it is right again.
func TestWrongKey(t *testing.T) {
	for _, tt := range []struct {
		wire, code string
		plain      bool
		condition  payment.Condition
	}{
		{WirePacket, "0x33", false, payment.CondMessageFormat}, {WireTCP, "5001", false, payment.CondMessageFormat}, {WireHTTP, "5001", false, payment.CondMessageFormat},
		{WirePacket, "4003", true, payment.CondNotAllowed}, {WireTCP, "4003", true, payment.CondNotAllowed}, {WireHTTP, "4003", true, payment.CondNotAllowed},
	} {
		t.Run(tt.wire+" "+tt.code, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, write := keyedWorld(t, func(s *Settings) { s.Wire, s.Plain = tt.wire, tt.plain }, "approve")
				defer w.sim.Close()
				term := w.mustOpen()
				defer term.Close()
				write(otherKey)
				o, err := w.sell(term, w.purchase(100))
				if err != nil || o.Result != payment.Failed || o.Condition != tt.condition || o.Vendor.Code != tt.code || !strings.Contains(o.Text, refresh) {
					t.Errorf("another key: got %+v, %v", o, err)
				}
				if _, err := term.Lookup(context.Background(), w.purchase(100), time.Second); err == nil || strings.Contains(err.Error(), otherKey) {
					t.Errorf("a question with it: got %v", err)
				}
				write(ownKey)
				if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved {
					t.Errorf("on the same connection, with the right key: got %+v, %v", o, err)
				}
				if l := w.sim.Ledger(); len(l) != 1 {
					t.Errorf("ledger: %+v", l)
				}
			})
		})
	}
}

// editing changes what the terminal says on its way to us. Each of the
// simulator's writes is read whole.
type editing struct {
	link.Conn
	edit func([]byte) []byte
	left []byte
}

func (e *editing) Read(b []byte) (int, error) {
	for len(e.left) == 0 {
		buf := make([]byte, 1<<17)
		n, err := e.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		e.left = e.edit(buf[:n])
	}
	n := copy(b, e.left)
	e.left = e.left[n:]
	return n, nil
}

// body applies f to what is encrypted in one message of a wire.
func body(wire string, b []byte, f func([]byte) []byte) []byte {
	switch wire {
	case WirePacket:
		p, _, v := parse(b)
		if v != isPacket || len(p.data) == 0 {
			return b
		}
		p.data = f(bytes.Clone(p.data))
		p.whole = len(p.data)
		return p.append(nil)
	case WireHTTP:
		head, rest, _ := bytes.Cut(b, []byte("\r\n\r\n"))
		return append(append(bytes.Clone(head), "\r\n\r\n"...), f(bytes.Clone(rest))...)
	}
	return f(bytes.Clone(b))
}

// TestUnreadableAnswers: an answer that cannot be read leaves the payment in
// doubt, with what is wrong about it; the same terminal then says what became of
// it. One as long as a packet can be is read.
func TestUnreadableAnswers(t *testing.T) {
	p := testProfile(t, nil)
	other, err := newSealer(posKey{otherKey}, false)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(b []byte) []byte {
		text, err := p.sealer.open(b)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, tt := range map[string]struct {
		edit func([]byte) []byte
		want error // nil: it is read
	}{
		"another key":      {func(b []byte) []byte { return other.seal(plain(b)) }, errCipher},
		"truncated Base64": {func(b []byte) []byte { return b[:len(b)-3] }, errCipher},
		"half a block":     {func(b []byte) []byte { return b[:len(b)-8] }, errCipher},
		"bad padding": {func(b []byte) []byte {
			raw, err := base64.StdEncoding.DecodeString(string(b))
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-17] ^= 0x40
			return []byte(base64.StdEncoding.EncodeToString(raw))
		}, errCipher},
		"no JSON":   {func([]byte) []byte { return p.sealer.seal([]byte("{respcd")) }, errAnswer},
		"no respcd": {func([]byte) []byte { return p.sealer.seal([]byte(`{"data":"{}"}`)) }, errAnswer},
		"65,535 bytes": {func(b []byte) []byte {
			b = p.sealer.seal(append(plain(b), bytes.Repeat([]byte(" "), 49136-17-len(plain(b)))...))
			return append(b, bytes.Repeat([]byte("\n"), maxPart-len(b))...)
		}, nil},
	} {
		for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
			for _, way := range []string{"way:second", "way:own"} {
				bubble(t, func(t *testing.T) {
					w := newWorld(t, func(s *Settings) { s.Wire = wire }, way, "approve")
					defer w.sim.Close()
					edits, longest := 0, 0
					w.wrap = func(c link.Conn) link.Conn {
						return &editing{Conn: c, edit: func(b []byte) []byte {
							if edits <= 0 {
								return b
							}
							out := body(wire, b, tt.edit)
							if !bytes.Equal(out, b) {
								edits--
							}
							longest = max(longest, len(out))
							return out
						}}
					}
					term := w.mustOpen()
					defer term.Close()
					edits = 1
					tx := w.purchase(1010)
					o, err := w.sell(term, tx)
					what := name + " " + wire + " " + way
					switch {
					case tt.want == nil:
						if err != nil || o.Result != payment.Approved || wire == WirePacket && longest != maxPacket {
							t.Errorf("%s, %d bytes: got %+v, %v", what, longest, o, err)
						}
					case wire == WirePacket && way == "way:own":
						// A packet of the terminal's own that cannot be read is refused with an
						// error packet. It could have been about anything.
						if !errors.Is(err, stream.ErrSilent) || !link.Sent(err) {
							t.Errorf("%s: got %+v, %v", what, o, err)
						}
					default:
						if !errors.Is(err, tt.want) || !link.Sent(err) {
							t.Errorf("%s: got %+v, %v, want %v", what, o, err, tt.want)
						}
						if said, ok := errors.AsType[*link.Answered](err); !ok || said.Condition != payment.CondMessageFormat {
							t.Errorf("%s: the condition is missing from %v", what, err)
						}
					}
					if edits != 0 {
						t.Errorf("%s: nothing was changed", what)
					}
					if o, err := term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved || o.Amount != hkd(1010) {
						t.Errorf("%s: lookup on the same connection: got %+v, %v", what, o, err)
					}
					if o, err := w.sell(term, w.purchase(1)); err != nil || o.Result != payment.Approved {
						t.Errorf("%s: next sale: got %+v, %v", what, o, err)
					}
				})
			}
		}
	}
}

// TestIdentity: terminals are told apart by their keys, which stay secret.
func TestIdentity(t *testing.T) {
	identity := func(key string, shared bool) (string, link.Diagnosis) {
		var d link.Diagnosis
		bubble(t, func(t *testing.T) {
			w, write := keyedWorld(t, func(s *Settings) { s.SharedKey = shared }, "approve")
			if key != ownKey {
				sim, err := NewSimulator(link.SimulatorConfig{Script: []string{"approve+key:" + key}})
				if err != nil {
					t.Fatal(err)
				}
				w.sim.Close()
				w.sim = sim
				write(key)
			}
			defer w.sim.Close()
			term := w.mustOpen()
			defer term.Close()
			if _, err := w.sell(term, w.purchase(100)); err != nil {
				t.Fatal(err)
			}
			var err error
			if d, err = term.Diagnose(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
		return d.Identity, d
	}
	one, d := identity(ownKey, false)
	again, _ := identity(ownKey, false)
	other, _ := identity(otherKey, false)
	if one == "" || one != again || one == other {
		t.Errorf("got %q, %q for the same and %q for another", one, again, other)
	}
	if text, err := json.Marshal(d); err != nil || strings.Contains(string(text), ownKey[:6]) || d.Facts["mid"] == "" {
		t.Errorf("got %s, %v", text, err)
	}
	if shared, _ := identity(ownKey, true); shared != "" {
		t.Errorf("a key that is shared tells %q", shared)
	}
	if printed, _ := identity(defaultKey, false); printed != "" {
		t.Errorf("the printed key tells %q", printed)
	}
}

// TestLoggedOut: a terminal whose app nobody is logged in to is there and cannot
// sell, over every wire; afterwards the same connection sells.
func TestLoggedOut(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		in(t, func(s *Settings) { s.Wire = wire }, []string{"approve+logged-out", "approve"}, func(w *world, term *terminal) {
			d, err := term.Diagnose(context.Background())
			if err != nil || d.Blocked != payment.ReasonBlocked || d.Facts["blocked"] == "" {
				t.Errorf("%s: got %+v, %v", wire, d, err)
			}
			if _, err := term.Lookup(context.Background(), w.purchase(1), link.DefaultLongest+1); err == nil || errors.Is(err, link.ErrNotFound) {
				t.Errorf("%s: lookup: got %v", wire, err)
			}
			for range 2 { // the first behaviour is the one that the terminal begins with
				if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Failed || o.Condition != payment.CondLoggedOut || o.Vendor.Code != "4007" {
					t.Errorf("%s: got %+v, %v", wire, o, err)
				}
			}
			if d, err = term.Diagnose(context.Background()); err != nil || d.Blocked != "" {
				t.Errorf("%s: after the log-in: got %+v, %v", wire, d, err)
			}
			if o, err := w.sell(term, w.purchase(100)); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: next sale: got %+v, %v", wire, o, err)
			}
		})
	}
}

// TestSwapped: a terminal that was put in another's place knows another key. It
// is not opened, over any wire, and nothing that it says is evidence.
func TestSwapped(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		in(t, func(s *Settings) { s.Wire = wire }, []string{"swapped"}, func(w *world, term *terminal) {
			tx := w.purchase(100)
			if o, err := w.sell(term, tx); err == nil || !link.Sent(err) {
				t.Errorf("%s: got %+v, %v", wire, o, err)
			}
			if o, err := term.Lookup(context.Background(), tx, link.DefaultLongest+1); err == nil || errors.Is(err, link.ErrNotFound) {
				t.Errorf("%s: lookup: got %+v, %v", wire, o, err)
			}
			if _, err := w.open(); err == nil || !strings.Contains(err.Error(), "POS-KEY") {
				t.Errorf("%s: opened: %v", wire, err)
			}
		})
	}
}
