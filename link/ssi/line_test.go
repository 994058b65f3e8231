package ssi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

// TestEachBroken makes a sale with a connection for each request, and breaks
// one after the other of them, before and behind the request. A sale that was
// accepted is followed on; a command whose fate is not known is looked up; none
// is sent twice.
func TestEachBroken(t *testing.T) {
	kinds := append(linktest.Kinds(), noDial)
	for _, kind := range kinds {
		followed := 0
		for k := 1; ; k++ {
			if reached := breakEach(t, kind, k, &followed); !reached {
				break
			}
			if k == 100 {
				t.Fatal("the sale never ends")
			}
		}
		if followed == 0 {
			t.Errorf("kind %d: no sale was followed over a broken question", kind)
		}
	}
}

const noDial = linktest.Kind(-1) // the connection cannot be made

// breakEach breaks connection k, counted from 1, and tells whether it came to that.
func breakEach(t *testing.T, kind linktest.Kind, k int, followed *int) (reached bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "approve")
		w.sim.pace = time.Second
		defer w.sim.Close()
		n, armed := 0, true
		dial := func(context.Context) (link.Conn, error) {
			n++
			now := armed && n == k
			reached = reached || now
			if now && kind == noDial {
				return nil, errors.New("nobody is there")
			}
			ours, theirs := net.Pipe()
			go w.sim.Serve(context.Background(), theirs)
			if now {
				return linktest.BreakAt(ours, 0, kind), nil
			}
			return ours, nil
		}
		s := defaults()
		s.Connection = ConnectionEach
		open := func() (link.Terminal, error) {
			return Open(context.Background(), link.Config{Address: "tcp://x:1", Currency: "UAH", Settings: s, Dial: dial})
		}
		what := fmt.Sprintf("kind %d, connection %d", kind, k)
		tx := w.tx(payment.Purchase, 500)
		o, err := payment.Outcome{}, error(nil)
		term, err := open()
		if err == nil {
			w.term = term.(*terminal)
			o, err = w.do(&tx, nil)
			w.term.Close()
		}
		if err == nil && reached {
			*followed++
		}
		armed = false
		if term, err := open(); err != nil {
			t.Fatal(err)
		} else {
			w.term = term.(*terminal)
		}
		defer w.term.Close()
		time.Sleep(time.Minute) // the customer is served to the end
		charged := len(w.sim.Ledger())
		switch {
		case charged > 1:
			t.Errorf("%s: charged %d times", what, charged)
		case err == nil && (o.Result != payment.Approved || charged != 1):
			t.Errorf("%s: got %+v, charged %d times", what, o, charged)
		case err != nil && !link.Sent(err) && charged > 0:
			t.Errorf("%s: got %v, charged %d times", what, err, charged)
		case err != nil && link.Sent(err) && len(tx.Baseline.Fingerprint) > 0:
			o, err := w.term.Lookup(context.Background(), tx, time.Minute)
			if (charged == 1) != (err == nil && o.Result == payment.Approved) {
				t.Errorf("%s: lookup got %+v, %v, charged %d times", what, o, err, charged)
			}
		}
	})
	return reached
}

// TestCloseEach wakes a question on a connection of its own.
func TestCloseEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := false
		w := newWorld(t, "approve")
		defer w.sim.Close()
		w.open("tcp://x:1", nil, func(context.Context) (link.Conn, error) {
			ours, theirs := net.Pipe()
			if silent {
				go func() { theirs.Read(make([]byte, 1000)); theirs.Read(make([]byte, 1)); theirs.Close() }()
			} else {
				go w.sim.Serve(context.Background(), theirs)
			}
			return ours, nil
		})
		silent = true
		time.AfterFunc(time.Second, func() { w.term.Close() })
		began := time.Now()
		if _, err := w.term.Diagnose(context.Background()); !errors.Is(err, net.ErrClosed) || time.Since(began) > 2*time.Second {
			t.Errorf("after %v: got %v", time.Since(began), err)
		}
	})
}

// TestWebAddress: what is no plain http address is refused.
func TestWebAddress(t *testing.T) {
	for _, address := range []string{"https://10.0.0.7", "http://", "http://u:p@h", "http://h?x=1", "http://h#x"} {
		if _, err := newWeb(address); err == nil {
			t.Errorf("%s: no error", address)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.bytes(f))
	}
	f.Add([]byte(sampleResult))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out limited
		_ = Explain(&out, b)
		if int(out) > 400*len(b)+1000 {
			t.Fatalf("%d bytes about %d", out, len(b))
		}
	})
}

// limited counts what is written.
type limited int

func (l *limited) Write(b []byte) (int, error) { *l += limited(len(b)); return len(b), nil }
