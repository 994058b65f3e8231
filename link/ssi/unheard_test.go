package ssi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// TestLostAcknowledgement: the command was accepted, its acknowledgement is
// lost. The customer still sees what the terminal does, and can be sent away.
func TestLostAcknowledgement(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		abort  time.Duration // after the beginning; 0: never
		locked bool
		want   payment.Result // "" is an error after sending
	}{
		"served to the end":               {"lost-ack+slow:60s", 0, false, payment.Approved},
		"declined":                        {"lost-ack:51+slow:60s", 0, false, payment.Declined},
		"stopped":                         {"lost-ack+slow:60s", 30 * time.Second, false, payment.Cancelled},
		"old firmware proves nothing":     {"lost-ack+slow:60s+v1.1.10", 0, false, ""},
		"old firmware, locked keypad":     {"lost-ack+slow:60s+v1.1.10", 0, true, payment.Approved},
		"old firmware, stopped":           {"lost-ack+slow:60s+v1.1.10", 30 * time.Second, true, ""},
		"never arrived":                   {"mute", 0, false, ""},
		"a sale on the keypad is not it":  {"hand-sale", 0, false, ""},
		"another terminal comes up":       {"swapped+v1.1.10", 0, true, ""},
		"the last one was not this one's": {"mute+v1.1.10", 0, true, ""},
	} {
		for _, connection := range []string{ConnectionKept, ConnectionEach} {
			t.Run(name+", "+connection, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, "approve"+features110(tt.script)+","+tt.script)
					w.sim.pace = time.Second
					defer w.sim.Close()
					w.open("tcp://x:1", func(s *Settings) {
						s.Connection = connection
						if tt.locked {
							s.Keypad = KeypadLocked
						}
					}, pipeTo(w.sim))
					defer w.term.Close()
					w.sell(500)
					w.stages = nil
					abort := make(chan struct{})
					if tt.abort > 0 {
						time.AfterFunc(tt.abort, func() { close(abort) })
					}
					tx := w.tx(payment.Purchase, 500)
					o, err := w.do(&tx, abort)
					if tt.want == "" && (err == nil || !link.Sent(err)) || tt.want != "" && (err != nil || o.Result != tt.want || o.Source != payment.SourceLookup) {
						t.Errorf("got %+v, %v, want %q", o, err, tt.want)
					}
					if tt.want == payment.Approved && !slices.Equal(w.stages, []payment.Stage{payment.StageWaitingCard, payment.StagePIN, payment.StageHost, payment.StagePrinting}) {
						t.Errorf("stages: %v", w.stages)
					}
					if tt.want == payment.Cancelled && len(w.sim.Ledger()) != 1 {
						t.Errorf("cancelled, and the ledger is %+v", w.sim.Ledger())
					}
				})
			})
		}
	}
}

// features110 is the feature of old firmware, where script has it.
func features110(script string) string {
	if strings.Contains(script, "v1.1.10") {
		return "+v1.1.10"
	}
	return ""
}

// TestSecondStepLost: step 2 does not arrive. It is not sent again, the
// terminal is told to stop, and nothing is paid.
func TestSecondStepLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "approve")
		defer w.sim.Close()
		lose := &loser{method: `"step":"2"`}
		w.open("", func(s *Settings) { s.Steps = StepsTwo }, func(ctx context.Context) (link.Conn, error) {
			c, err := pipeTo(w.sim)(ctx)
			lose.Conn = c
			return lose, err
		})
		defer w.term.Close()
		tx := w.tx(payment.Purchase, 500)
		o, err := w.do(&tx, nil)
		if err != nil || o.Result != payment.Cancelled || len(w.sim.Ledger()) != 0 || lose.lost != 1 || w.sim.status != statusIdle {
			t.Errorf("got %+v, %v, lost %d, terminal %s", o, err, lose.lost, w.sim.status)
		}
	})
}

// loser swallows requests that contain method.
type loser struct {
	link.Conn
	method string
	lost   int
}

func (l *loser) Write(b []byte) (int, error) {
	if strings.Contains(string(b), l.method) {
		l.lost++
		return len(b), nil
	}
	return l.Conn.Write(b)
}

// TestSwappedMeanwhile: while each question has a connection of its own the
// terminal goes away, and another one comes up at its address.
func TestSwappedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "slow:20s+v1.1.10")
		w.sim.pace = time.Second
		defer w.sim.Close()
		other, err := NewSimulator(link.SimulatorConfig{Name: "other", Script: []string{"approve+v1.1.10"}})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := other.handSale(500); err != nil {
			t.Fatal(err)
		}
		other.state.Unit = 5
		began := time.Now()
		w.open("tcp://x:1", func(s *Settings) { s.Keypad = KeypadLocked }, func(ctx context.Context) (link.Conn, error) {
			switch at := time.Since(began); {
			case at > 12*time.Second:
				return pipeTo(other)(ctx)
			case at > 10*time.Second:
				return nil, errors.New("nobody is there")
			}
			return pipeTo(w.sim)(ctx)
		})
		defer w.term.Close()
		tx := w.tx(payment.Purchase, 500)
		if o, err := w.do(&tx, nil); !errors.Is(err, link.ErrSwapped) || !link.Sent(err) {
			t.Errorf("got %+v, %v, want %v", o, err, link.ErrSwapped)
		}
	})
}
