package ecrvn

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
)

// stream is a terminal behind a byte stream. A goroutine reads all the time, so
// that an answer that comes late is in hand before the next request is sent,
// without a wait for bytes that may not exist.
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

// patient reads from a connection. In the middle of an object it waits no
// longer than idle for the next byte, between objects for ever.
type patient struct {
	conn    link.Conn
	idle    time.Duration
	objects *frame.Objects
	limited bool // a deadline is set
}

func (p *patient) Read(b []byte) (int, error) {
	var until time.Time
	middle := p.objects.Pending() > 0
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
	r.objects = frame.NewObjects(r, maxAnswer)
	for {
		b, err := r.objects.Next()
		switch {
		case err == nil:
			s.deliver(b)
		case errors.Is(err, frame.ErrCorrupt):
			s.log.Warn("bytes from the terminal dropped", "err", err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.log.Warn("half an answer dropped", "bytes", r.objects.Reset())
		default:
			s.err = err
			return
		}
	}
}

func (s *stream) deliver(b []byte) {
	a, err := decode(b)
	if err != nil {
		s.log.Warn("object from the terminal dropped", "bytes", len(b), "err", err)
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
			s.log.Warn("late answer dropped, too many wait")
		default:
		}
	}
}

func (s *stream) late() []answer {
	var all []answer
	for {
		select {
		case a := <-s.answers:
			all = append(all, a)
		default:
			return all
		}
	}
}

func (s *stream) exchange(ctx context.Context, c call) (sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	select {
	case <-s.done:
		return false, s.err
	default:
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return false, err
	}
	if n, err := s.conn.Write([]byte("/ecr?" + c.query)); err != nil {
		return n > 0, err
	}
	if c.wrote != nil {
		c.wrote()
	}
	return true, s.wait(ctx, c)
}

// wait hands answers to c.take. What came before the connection ended is
// handed over before its error is told.
func (s *stream) wait(ctx context.Context, c call) error {
	timer := time.NewTimer(c.within)
	defer timer.Stop()
	for {
		select {
		case a := <-s.answers:
			if c.take(a) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return errSilent
		case <-s.done:
			for _, a := range s.late() {
				if c.take(a) {
					return nil
				}
			}
			return s.err
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
