package ssi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
)

const (
	writeTimeout = 5 * time.Second // for one request: the longest has about 300 bytes, 0.3 s at 9600 baud
	closeTimeout = time.Second     // what link.Terminal allows
	maxLate      = 16              // answers that wait to be looked at
)

// errSilent: the terminal said nothing that was of use, in all the time it had.
var errSilent = errors.New("no answer in time")

// line is a way to a terminal. Except for close its methods are called by one
// goroutine.
type line interface {
	// exchange sends r once and returns the answer to it. sent says whether a
	// byte of the request can have left. Its errors are errSilent after within,
	// ctx's, and the connection's.
	exchange(ctx context.Context, r request, within time.Duration) (a answer, sent bool, err error)

	// fresh says whether the next exchange has a connection of its own, so that
	// one that failed does not end the line.
	fresh() bool

	// close wakes a running exchange. It is idempotent.
	close() error
}

// stream is a terminal behind one byte stream. A goroutine reads all the time,
// so that an answer that comes late is out of the way before the next request.
type stream struct {
	conn    link.Conn
	log     *slog.Logger
	answers chan answer   // what was read; only the pump sends
	done    chan struct{} // closed when the pump has ended
	err     error         // why it ended; valid once done is closed

	closing  sync.Once
	closeErr error
}

func newStream(conn link.Conn, idle time.Duration, log *slog.Logger) *stream {
	s := &stream{conn: conn, log: log, answers: make(chan answer, maxLate), done: make(chan struct{})}
	go s.pump(idle)
	return s
}

// patient reads from a connection. In the middle of a frame it waits no longer
// than idle for the next byte, between frames for ever.
type patient struct {
	conn    link.Conn
	idle    time.Duration
	frames  *frames
	limited bool // a deadline is set
}

func (p *patient) Read(b []byte) (int, error) {
	var until time.Time
	middle := p.frames.pending() > 0
	if middle {
		until = time.Now().Add(p.idle)
	}
	if middle || p.limited {
		if err := p.conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
		p.limited = middle
	}
	return p.conn.Read(b)
}

// pump reads until the connection ends. Raw bytes, which can hold card data, do
// not leave it.
func (s *stream) pump(idle time.Duration) {
	defer close(s.done)
	r := &patient{conn: s.conn, idle: idle, limited: true}
	r.frames = newFrames(r)
	for {
		b, err := r.frames.next()
		switch {
		case err == nil:
			s.deliver(b)
		case errors.Is(err, frame.ErrCorrupt):
			s.log.Debug("bytes from the terminal dropped", "err", err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.log.Warn("half a message dropped", "bytes", r.frames.pending())
			r.frames.giveUp()
		default:
			s.err = err
			return
		}
	}
}

func (s *stream) deliver(b []byte) {
	a, err := decode(b)
	if err != nil {
		s.log.Warn("message from the terminal dropped", "bytes", len(b), "err", err)
		return
	}
	for {
		select {
		case s.answers <- a:
			return
		default:
		}
		select { // full: the terminal talks to nobody, and the newest matter
		case <-s.answers:
		default:
		}
	}
}

func (s *stream) fresh() bool { return false }

func (s *stream) exchange(ctx context.Context, r request, within time.Duration) (a answer, sent bool, err error) {
	data, err := r.encode()
	if err != nil {
		return a, false, err
	}
	msg, err := appendFrame(nil, data)
	if err != nil {
		return a, false, err
	}
	if err := ctx.Err(); err != nil {
		return a, false, err
	}
	if err := s.ready(); err != nil {
		return a, false, err
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return a, false, err
	}
	if n, err := s.conn.Write(msg); err != nil {
		return a, n > 0, err
	}
	a, err = s.wait(ctx, r, within)
	return a, true, err
}

// ready drops what came while nobody waited: the terminal answers in order, so
// it belongs to an earlier request.
func (s *stream) ready() error {
	for {
		select {
		case <-s.answers:
			s.log.Debug("late answer dropped")
		case <-s.done:
			return s.err
		default:
			return nil
		}
	}
}

func (s *stream) wait(ctx context.Context, r request, within time.Duration) (answer, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case a := <-s.answers:
			if r.answers(a) {
				return a, nil
			}
			s.log.Debug("answer to another request dropped")
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-timer.C:
			return answer{}, errSilent
		case <-s.done:
			for { // what came before the connection ended counts
				select {
				case a := <-s.answers:
					if r.answers(a) {
						return a, nil
					}
				default:
					return answer{}, s.err
				}
			}
		}
	}
}

func (s *stream) close() error {
	s.closing.Do(func() {
		s.closeErr = s.conn.Close()
		select {
		case <-s.done:
		case <-time.After(closeTimeout):
			s.log.Error("the connection does not end when it is closed")
		}
	})
	return s.closeErr
}

// calls is a terminal to which each request has a connection of its own, as
// every known client does it over TCP.
type calls struct {
	dial func(ctx context.Context) (link.Conn, error)
	talk func(ctx context.Context, conn link.Conn, r request, within time.Duration) (answer, bool, error)

	mu     sync.Mutex
	conn   link.Conn // of the running exchange
	closed bool
}

func newCalls(dial func(ctx context.Context) (link.Conn, error), idle time.Duration, log *slog.Logger) *calls {
	return &calls{dial: dial, talk: func(ctx context.Context, conn link.Conn, r request, within time.Duration) (answer, bool, error) {
		s := newStream(conn, idle, log)
		defer s.close()
		return s.exchange(ctx, r, within)
	}}
}

func (c *calls) fresh() bool { return true }

func (c *calls) exchange(ctx context.Context, r request, within time.Duration) (answer, bool, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, false, err
	}
	conn, err := c.open(ctx)
	if err != nil {
		return answer{}, false, err
	}
	defer c.drop(conn)
	a, sent, err := c.talk(ctx, conn, r, within)
	if err != nil && c.isClosed() {
		err = net.ErrClosed
	}
	return a, sent, err
}

// open connects; up to here nothing of a request has left.
func (c *calls) open(ctx context.Context) (link.Conn, error) {
	if c.isClosed() {
		return nil, net.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, link.DialTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	c.conn = conn
	return conn, nil
}

func (c *calls) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *calls) drop(conn link.Conn) {
	c.mu.Lock()
	c.conn = nil
	c.mu.Unlock()
	conn.Close()
}

func (c *calls) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
	return nil
}
