package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
)

// News of a plug saves waiting: for the next heartbeat when it was pulled, for
// the end of the backoff when it is back.
func TestPlugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		news := make(chan struct{}, 1)
		w.term.Plugged = news
		w.start()
		defer w.close()
		link := func() payment.Link { return w.g.Status().Terminals[0].Link }
		time.Sleep(5 * time.Second)
		if link() != payment.LinkOnline {
			t.Fatalf("terminal is %s", link())
		}
		w.pull(true)
		time.Sleep(time.Second)
		if link() != payment.LinkOnline {
			t.Fatalf("terminal is %s before anybody asked", link())
		}
		news <- struct{}{}
		synctest.Wait()
		if link() != payment.LinkOffline {
			t.Errorf("terminal is %s after the news that it is gone", link())
		}

		time.Sleep(time.Hour) // the backoff is at its longest now
		w.pull(false)
		begun := time.Now()
		news <- struct{}{}
		for link() != payment.LinkOnline && time.Since(begun) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(begun); d > time.Second {
			t.Errorf("terminal is %s %v after the news that it is back", link(), d)
		}
	})
}

// A terminal that cannot be reached is shown with what its line looks like, what a
// person can do, and the last step of recovery, until it is back.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &climber{begun: time.Now(), then: func(string) error { return errors.New("no such device") }}
		w.term.Recovery = gateway.Ladder{Rungs: []gateway.Rung{c.rung("usb-reset")}}
		w.term.Explain = func(err error) (found, next string) { return "there is no plug", "put it in" }
		w.pull(true)
		w.start()
		defer w.close()
		time.Sleep(2 * time.Minute)
		s := w.g.Status().Terminals[0]
		if s.Link != payment.LinkOffline || !strings.HasSuffix(s.Error, "; there is no plug") || s.Next != "put it in" || s.Recovery != "usb-reset failed: no such device" {
			t.Errorf("away it is %+v", s)
		}
		w.pull(false)
		time.Sleep(time.Minute)
		if s := w.g.Status().Terminals[0]; s.Link != payment.LinkOnline || s.Error+s.Next+s.Recovery != "" {
			t.Errorf("back it is %+v", s)
		}
	})
}
