package simulate

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// serve serves one end of a pipe by reading from it.
func serve(ctx context.Context, p *Power) (far net.Conn, ended chan error) {
	near, far := net.Pipe()
	ended = make(chan error, 1)
	go func() {
		ended <- p.Serve(ctx, near, func() error {
			_, err := io.ReadFull(near, make([]byte, 10))
			return err
		})
	}()
	return far, ended
}

// Whatever ends a line, Serve returns nil and the other side sees the end.
func TestPowerServe(t *testing.T) {
	for name, end := range map[string]func(p *Power, stop func(), far net.Conn){
		"the line":         func(_ *Power, _ func(), far net.Conn) { far.Close() },
		"the line, midway": func(_ *Power, _ func(), far net.Conn) { far.Write([]byte("123")); far.Close() },
		"the context":      func(_ *Power, stop func(), _ net.Conn) { stop() },
		"the power":        func(p *Power, _ func(), _ net.Conn) { p.Cut() },
	} {
		synctest.Test(t, func(t *testing.T) {
			var p Power
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			far, ended := serve(ctx, &p)
			synctest.Wait()
			end(&p, stop, far)
			if err := <-ended; err != nil {
				t.Errorf("%s ends: got %v", name, err)
			}
			if _, err := far.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s ends: the other side does not see it", name)
			}
			if len(p.conns) > 0 {
				t.Errorf("%s ends: the line is still known", name)
			}
		})
	}
	var p Power
	broken := errors.New("broken")
	near, _ := net.Pipe()
	if err := p.Serve(t.Context(), near, func() error { return broken }); err != broken {
		t.Errorf("got %v, want the error of listen", err)
	}
}

// Without power nothing runs, nothing is served, and Off has waited for what
// ran.
func TestPowerOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Power
		var waited bool
		p.Go(func() { waited = !p.Wait(time.Hour) })
		if !p.On() || !p.Wait(0) || !p.Wait(time.Second) {
			t.Error("the power is off before it is cut")
		}
		p.Off()
		if !waited {
			t.Error("Off did not wait, or what waited was not woken")
		}
		if p.On() || p.Wait(0) || p.Wait(time.Hour) {
			t.Error("the power is on after it was cut")
		}
		p.Go(func() { t.Error("something runs without power") })
		near, far := net.Pipe()
		if err := p.Serve(t.Context(), near, func() error { t.Error("a line is served without power"); return nil }); err != nil {
			t.Error(err)
		}
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a line without power: got %v, want EOF", err)
		}
		p.Off()
	})
}
