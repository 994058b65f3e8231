package ssi

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// world is one simulated terminal and the driver at its line.
type world struct {
	t    *testing.T
	sim  *Simulator
	term *terminal
	n    int

	mu     sync.Mutex
	stages []payment.Stage
}

// simulated runs f in a bubble with a terminal behind a kept line. adjust may
// be nil.
func simulated(t *testing.T, script string, adjust func(*Settings), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, script)
		defer w.sim.Close()
		w.open("", adjust, func(context.Context) (link.Conn, error) {
			ours, theirs := net.Pipe()
			go w.sim.Serve(context.Background(), theirs)
			return ours, nil
		})
		defer w.term.Close()
		f(w)
	})
}

func newWorld(t *testing.T, script string) *world {
	t.Helper()
	sim, err := NewSimulator(link.SimulatorConfig{Script: strings.Split(script, ",")})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, sim: sim}
}

func (w *world) open(address string, adjust func(*Settings), dial func(context.Context) (link.Conn, error)) {
	w.t.Helper()
	s := defaults()
	if adjust != nil {
		adjust(s)
	}
	term, err := Open(context.Background(), link.Config{Name: "t", Address: address, Currency: "UAH", Settings: s, Dial: dial})
	if err != nil {
		w.t.Fatal(err)
	}
	w.term = term.(*terminal)
}

// quick takes the pauses out of a test that runs in real time.
func quick(s *Settings) { s.Gap, s.Poll = 0, 250*time.Millisecond }

// behindTCP serves the terminal on a real port, and a driver that makes a new
// connection for each request.
func behindTCP(t *testing.T, script string) *world {
	t.Helper()
	w := newWorld(t, script)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var cables sync.WaitGroup
	cables.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			cables.Go(func() {
				if err := w.sim.Serve(context.Background(), c); err != nil {
					t.Errorf("simulator: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); w.sim.Close(); cables.Wait() })
	address, err := link.ParseAddress("tcp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.open(address.String(), quick, address.Dial)
	t.Cleanup(func() { w.term.Close() })
	return w
}

// behindHTTP serves the terminal as a web service.
func behindHTTP(t *testing.T, script string) *world {
	t.Helper()
	w := newWorld(t, script)
	s := httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); s.Close() })
	w.open(s.URL, quick, nil)
	t.Cleanup(func() { w.term.Close() })
	return w
}

func (w *world) tx(op payment.Operation, minor int64) payment.Transaction {
	w.n++
	return payment.Transaction{
		Request: payment.Request{ID: "id", Operation: op, Amount: payment.Money{Minor: minor, Currency: "UAH"}},
		Attempt: string(rune('A'+w.n)) + strings.Repeat("7", 19),
	}
}

// do takes the baseline and executes, as a lane does.
func (w *world) do(tx *payment.Transaction, abort <-chan struct{}) (payment.Outcome, error) {
	b, err := w.term.Baseline(context.Background(), *tx)
	if err != nil {
		return payment.Outcome{}, err
	}
	tx.Baseline = b
	return w.term.Execute(context.Background(), *tx, link.Dialogue{Abort: abort, Progress: func(s payment.Stage, _ payment.VendorCode) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stages = append(w.stages, s)
	}})
}

// sell sells and must be approved.
func (w *world) sell(minor int64) payment.Outcome {
	w.t.Helper()
	tx := w.tx(payment.Purchase, minor)
	o, err := w.do(&tx, nil)
	if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount {
		w.t.Fatalf("sale: got %+v, %v", o, err)
	}
	return o
}

// back is the reversal of a part of o.
func (w *world) back(o payment.Outcome, minor int64) payment.Transaction {
	tx := w.tx(payment.Reversal, minor)
	tx.Original = o.Reference
	return tx
}
