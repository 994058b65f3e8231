package gateway_test

import (
	"testing"
	"testing/synctest"
	"time"

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
