package gateway_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
)

// climber is a ladder of rungs that write down when they were taken.
type climber struct {
	begun time.Time
	then  func(name string) error

	mu    sync.Mutex
	names []string
	times []time.Duration
}

func (c *climber) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.names)
}

func (c *climber) at() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.times)
}

func (c *climber) rung(name string) gateway.Rung {
	return gateway.Rung{Name: name, Do: func(context.Context) error {
		c.mu.Lock()
		c.names = append(c.names, name)
		c.times = append(c.times, time.Since(c.begun).Round(time.Minute))
		c.mu.Unlock()
		if c.then != nil {
			return c.then(name)
		}
		return nil
	}}
}

func TestLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &climber{begun: time.Now()}
		w.term.Recovery = gateway.Ladder{Rungs: []gateway.Rung{c.rung("drain"), c.rung("usb-reset"), {Name: "restart"}}, After: 2 * time.Minute, Every: 5 * time.Minute, PerDay: 4}
		w.pull(true)
		w.start()
		defer w.close()
		time.Sleep(30 * time.Minute)
		if want := []string{"drain", "usb-reset"}; !slices.Equal(c.taken(), want) {
			t.Errorf("rungs were %v, want %v", c.taken(), want)
		}
		if want := []time.Duration{2 * time.Minute, 7 * time.Minute}; !slices.Equal(c.at(), want) {
			t.Errorf("rungs were taken after %v, want %v", c.at(), want)
		}
		if !w.alerted(payment.AlertUnreachable) {
			t.Error("no alert at the top of the ladder")
		}

		// The budget ends it.
		time.Sleep(20 * time.Hour)
		if len(c.taken()) != 4 { // both once more; the terminal cannot be asked for a restart, which costs nothing
			t.Errorf("rungs were %v: the budget is 4", c.taken())
		}

		// Back, and away again: from the first rung.
		w.pull(false)
		time.Sleep(time.Minute)
		if w.alerted(payment.AlertUnreachable) {
			t.Error("the alert stays after the terminal is back")
		}
		time.Sleep(24 * time.Hour)
		before := len(c.taken())
		w.pull(true)
		time.Sleep(4 * time.Minute)
		if got, want := c.taken()[before:], []string{"drain"}; !slices.Equal(got, want) {
			t.Errorf("rungs were %v, want %v", got, want)
		}
	})
}

// Nothing is done to a terminal while its payment may be at the bank, and what
// is done is in the journal before.
func TestLadderWaitsForTheBank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "mute")
		c := &climber{begun: time.Now(), then: func(string) error { return errors.New("no such device") }}
		w.term.Recovery = gateway.Ladder{Rungs: []gateway.Rung{c.rung("usb-reset")}, After: time.Second, Every: time.Second}
		w.start()
		defer w.close()
		time.Sleep(time.Second)
		w.accepted("A1", 1000)
		time.Sleep(2 * time.Second)
		w.pull(true)
		time.Sleep(50 * time.Second)
		if len(c.taken()) != 0 {
			t.Fatalf("rungs were %v while the bank may be asked", c.taken())
		}
		time.Sleep(2 * time.Minute)
		if len(c.taken()) == 0 {
			t.Fatal("no rung was taken after the longest time a payment can take")
		}
		states := w.steps()
		want := []string{`{"terminal":"t1","step":"usb-reset","state":"begun"}`, `{"terminal":"t1","step":"usb-reset","state":"failed","error":"no such device"}`}
		if len(states) < 2 || !slices.Equal(states[:2], want) {
			t.Errorf("the journal has %v, want %v", states, want)
		}
	})
}
