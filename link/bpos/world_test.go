package bpos

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

func uah(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }

// sale is a new attempt, without a baseline.
func sale(id string, minor int64) payment.Transaction {
	return payment.Transaction{
		Request: payment.Request{ID: payment.ID(id), Order: "order-" + id, Operation: payment.Purchase, Amount: uah(minor)},
		Attempt: (id + "AAAAAAAAAAAAAAAAAAAA")[:20],
	}
}

// until waits for something that other processes do.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// sellAndConfirm does what a lane does: baseline, command, confirmation.
func sellAndConfirm(t *testing.T, term *terminal, tx *payment.Transaction) (payment.Outcome, error) {
	t.Helper()
	var err error
	if tx.Baseline, err = term.Baseline(t.Context(), *tx); err != nil {
		return payment.Outcome{}, err
	}
	o, err := term.Execute(t.Context(), *tx, link.Dialogue{})
	if err != nil || o.Result != payment.Approved {
		return o, err
	}
	if err := term.Confirm(t.Context(), *tx, o); err != nil {
		return o, err
	}
	return term.Complete(t.Context(), *tx, o), nil
}

// world is a simulated terminal with a connection to it, in virtual time.
type world struct {
	t    *testing.T
	sim  *Simulator
	term *terminal
	set  *Settings
	n    int
	wrap func(bridge.Library) bridge.Library // what the next connections see; nil: the simulator's own
}

// inWorld runs f in a bubble.
func inWorld(t *testing.T, script []string, profile func(*Settings), f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := NewSimulator(link.SimulatorConfig{Script: script})
		if err != nil {
			t.Fatal(err)
		}
		s := defaults()
		s.Keypad = KeypadLocked
		if profile != nil {
			profile(s)
		}
		w := &world{t: t, sim: sim, set: s}
		defer sim.Close()
		w.open()
		defer func() { w.term.Close() }()
		f(t, w)
	})
}

func (w *world) dial(context.Context) (link.Conn, error) {
	ours, theirs := net.Pipe()
	if w.wrap == nil {
		go w.sim.Serve(context.Background(), theirs)
		return ours, nil
	}
	h := bridge.Host{Kind: "wrapped", Open: func() (bridge.Library, error) { return w.wrap(w.sim.Library()), nil }}
	go h.Serve(theirs, nil)
	return ours, nil
}

// open makes a new connection.
func (w *world) open() {
	w.t.Helper()
	if w.term != nil {
		w.term.Close()
	}
	term, err := Open(w.t.Context(), link.Config{Name: "under-test", Address: "sim://bpos", Dial: w.dial, Settings: w.set, Currency: "UAH"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.term = term.(*terminal)
}

// sale is a new attempt with its baseline.
func (w *world) sale(minor int64) payment.Transaction {
	w.n++
	return w.begin(sale(string(rune('A'+w.n)), minor))
}

func (w *world) begin(tx payment.Transaction) payment.Transaction {
	w.t.Helper()
	var err error
	if tx.Baseline, err = w.term.Baseline(w.t.Context(), tx); err != nil {
		w.t.Fatal(err)
	}
	return tx
}

// of is a new attempt of another operation, without a baseline.
func (w *world) of(op payment.Operation, minor int64, o payment.Reference) payment.Transaction {
	w.n++
	tx := sale(string(rune('A'+w.n)), minor)
	tx.Operation, tx.Original = op, o
	if minor == 0 {
		tx.Amount = payment.Money{}
	}
	return tx
}

// mustSell sells and confirms.
func (w *world) mustSell(minor int64) (payment.Transaction, payment.Outcome) {
	w.t.Helper()
	tx := w.sale(minor)
	o, err := sellAndConfirm(w.t, w.term, &tx)
	if err != nil || o.Result != payment.Approved {
		w.t.Fatalf("sale: got %+v, %v", o, err)
	}
	return tx, o
}

// altered is a library of which a test changes some.
type altered struct {
	bridge.Library
	call func(method string, args []any) (code int, done bool, err error)
	get  func(name string, v any) any
}

func (l altered) Call(method string, args []any) (int, error) {
	if l.call != nil {
		if code, done, err := l.call(method, args); done {
			return code, err
		}
	}
	return l.Library.Call(method, args)
}

func (l altered) Get(name string) (any, error) {
	v, err := l.Library.Get(name)
	if err == nil && l.get != nil {
		v = l.get(name, v)
	}
	return v, err
}
