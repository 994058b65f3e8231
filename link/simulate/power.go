package simulate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"tillgate/link"
)

// Power is a simulated terminal's: while it is on, the terminal works and its
// lines are served. The zero value is on. All methods are safe for concurrent
// use, and none waits while it holds a lock.
type Power struct {
	mu    sync.Mutex
	off   bool
	done  chan struct{} // made when first asked for, closed by Cut
	work  sync.WaitGroup
	conns map[link.Conn]bool
}

// Done is closed when the power is cut.
func (p *Power) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end()
}

// end is made under the lock.
func (p *Power) end() chan struct{} {
	if p.done == nil {
		p.done = make(chan struct{})
	}
	return p.done
}

// On says whether the power has not been cut.
func (p *Power) On() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.off
}

// Go runs f in the background, unless the power is cut. f must end soon after
// Done; Off waits for it.
func (p *Power) Go(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.off {
		p.work.Go(f)
	}
}

// Wait waits as long as a customer or a bank takes. It says whether the time
// passed with the power on.
func (p *Power) Wait(d time.Duration) bool {
	if d <= 0 {
		return p.On()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.On()
	case <-p.Done():
		return false
	}
}

// Cut cuts the power: all lines end. It does not wait, so that what runs in the
// terminal may call it.
func (p *Power) Cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	if !p.off {
		p.off = true
		close(p.end())
	}
	p.mu.Unlock()
	for c := range conns {
		c.Close()
	}
}

// Off cuts the power and waits for what Go started.
func (p *Power) Off() {
	p.Cut()
	p.work.Wait()
}

// Serve has listen talk on c until c or ctx ends or the power is cut, and closes
// c. It returns nil unless listen failed otherwise.
func (p *Power) Serve(ctx context.Context, c link.Conn, listen func() error) error {
	defer c.Close()
	if !p.plug(c) {
		return nil
	}
	defer p.unplug(c)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := listen(); err != nil && !ended(err) && ctx.Err() == nil {
		return err
	}
	return nil
}

// Respond answers a request of the web with what serve returns: nil says nothing
// for as long as somebody listens, no bytes end the connection. Whoever is being
// served goes on when nobody listens any more.
func (p *Power) Respond(w http.ResponseWriter, req *http.Request, serve func() []byte) {
	answered := make(chan []byte, 1)
	p.Go(func() { answered <- serve() })
	var b []byte
	select {
	case b = <-answered:
	case <-req.Context().Done():
		return
	case <-p.Done():
	}
	if len(b) > 0 {
		w.Header().Set("Content-Type", "application/json")
		w.Write(b)
		return
	}
	if b == nil {
		select {
		case <-req.Context().Done():
		case <-p.Done():
		}
	}
	panic(http.ErrAbortHandler) // ends the connection without an answer
}

func (p *Power) plug(c link.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return false
	}
	if p.conns == nil {
		p.conns = make(map[link.Conn]bool)
	}
	p.conns[c] = true
	return true
}

func (p *Power) unplug(c link.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// ended says that a connection is over, and no more: EIO is a pty whose other
// end is closed.
func ended(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, os.ErrClosed, net.ErrClosed, syscall.EIO, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
