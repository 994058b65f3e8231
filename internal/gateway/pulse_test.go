package gateway_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// numb is a terminal whose driver can hang: it looks at no context and no
// deadline.
type numb struct {
	scripted
	mu      sync.Mutex
	hang    bool
	release chan struct{}
}

func (n *numb) stop(hang bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hang = hang
}

func (n *numb) wait() {
	n.mu.Lock()
	hang := n.hang
	n.mu.Unlock()
	if hang {
		<-n.release
	}
}

func (n *numb) Diagnose(context.Context) (link.Diagnosis, error) {
	n.wait()
	return link.Diagnosis{Identity: "numb"}, nil
}

func (n *numb) Execute(_ context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	n.wait()
	select { // a customer who needs all the time there is
	case <-d.Abort:
	case <-time.After(time.Hour):
	}
	time.Sleep(60 * time.Second)
	return payment.Outcome{Result: payment.Cancelled}, nil
}

// watched looks at the lanes every second for d, and returns after how long one
// was stuck; -1 if none was.
func (w *world) watched(d time.Duration) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for time.Since(begun) < d {
		if names := w.g.Stuck(); len(names) > 0 {
			if !slices.Equal(names, []string{"t1"}) {
				w.t.Errorf("stuck are %q", names)
			}
			return time.Since(begun)
		}
		time.Sleep(time.Second)
	}
	return -1
}

// A lane that waits, for a customer, for a terminal that is away, or for
// nothing, is not stuck.
func TestSlowIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := &numb{release: make(chan struct{})}
		w.term.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.unplug {
				return nil, &link.Error{Op: "open", Err: io.EOF}
			}
			return n, nil
		}
		w.start()
		defer w.close()
		if d := w.watched(time.Hour); d >= 0 {
			t.Errorf("an idle lane is stuck after %v", d)
		}
		w.accepted("A1", 1000, func(c *payment.Command) { c.Timeout = payment.InMillis(payment.MaxTimeout) })
		if d := w.watched(payment.MaxTimeout + 90*time.Second); d >= 0 {
			t.Errorf("a lane with a slow customer is stuck after %v", d)
		}
		w.result("A1", payment.Cancelled)
		w.pull(true)
		if d := w.watched(time.Hour); d >= 0 {
			t.Errorf("a lane whose terminal is away is stuck after %v", d)
		}
		w.pull(false)
		synctest.Wait()
	})
}

// A driver that hangs is found out, in an idle lane as well as in a payment,
// and not before it has had its time.
func TestStuck(t *testing.T) {
	for name, tt := range map[string]struct {
		pay         bool
		least, most time.Duration
	}{
		"idle":    {false, 60 * time.Second, 3 * time.Minute},
		"payment": {true, 60*time.Second + 30*time.Second, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := &numb{release: make(chan struct{})}
				w.term.Driver.Open = func(context.Context, link.Config) (link.Terminal, error) { return n, nil }
				w.start()
				defer w.close()
				synctest.Wait()
				n.stop(true)
				if tt.pay {
					w.accepted("A1", 1000, func(c *payment.Command) { c.Timeout = payment.InMillis(30 * time.Second) })
				}
				if d := w.watched(time.Hour); d < tt.least || d > tt.most {
					t.Errorf("stuck after %v, want %v to %v", d, tt.least, tt.most)
				}
				n.stop(false)
				close(n.release)
				if tt.pay {
					w.final("A1", 10*time.Minute)
				}
				synctest.Wait()
				if names := w.g.Stuck(); len(names) > 0 {
					t.Errorf("still stuck: %q", names)
				}
			})
		})
	}
}
