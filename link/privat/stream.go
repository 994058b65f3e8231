package privat

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tillgate/link"
)

const (
	maxLate      = 64              // answers that wait to be looked at
	writeTimeout = 5 * time.Second // for one request: 200 bytes take 18 ms at 115200 baud
	maxTries     = 16              // braces at which a message is looked for
	closeTimeout = time.Second     // what link.Terminal allows
)

// errSilent: the terminal said nothing that was of use, in all the time it had.
var errSilent = errors.New("no answer in time")

// stream is one connection. A goroutine reads all the time, as the document
// wants it: an answer that comes late is in hand before the next request is
// sent.
type stream struct {
	conn    link.Conn
	log     *slog.Logger
	answers chan answer   // what was read; only the pump sends
	done    chan struct{} // closed when the pump has ended
	err     error         // why it ended; valid once done is closed

	closing  sync.Once
	closeErr error
}

func newStream(conn link.Conn, log *slog.Logger) *stream {
	s := &stream{conn: conn, log: log, answers: make(chan answer, maxLate), done: make(chan struct{})}
	go s.pump()
	return s
}

// pump reads until the connection ends. Raw bytes, which can hold card data, do
// not leave it. A bad frame costs that frame.
func (s *stream) pump() {
	defer close(s.done)
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		s.err = err
		return
	}
	f := newFrames(s.conn)
	for {
		b, err := f.next()
		switch {
		case err == nil:
			s.deliver(b)
		case errors.Is(err, errTooLong):
			s.log.Warn("bytes from the terminal dropped", "err", err)
		default:
			s.err = err
			return
		}
	}
}

func (s *stream) deliver(b []byte) {
	a, err := decodeLast(b)
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
			s.log.Warn("late answer dropped, too many wait")
		default:
		}
	}
}

// decodeLast reads a frame. If it is none, an object at its end may be one: the
// rest of a message that was cut off stands before it. It is looked for at the
// last braces before a "method" or an "error"; inside a string their quotes would
// be escaped.
func decodeLast(b []byte) (answer, error) {
	a, err := decode(b)
	end := len(b)
	for tries := 0; err != nil && tries < maxTries; tries++ {
		if end = bytes.LastIndexByte(b[:end], '{'); end <= 0 {
			break
		}
		if inner := bytes.TrimLeft(b[end+1:], " \r\n\t"); bytes.HasPrefix(inner, []byte(`"method"`)) || bytes.HasPrefix(inner, []byte(`"error"`)) {
			if a, again := decode(b[end:]); again == nil {
				return a, nil
			}
		}
	}
	return a, err
}

// late returns the answers that came while nobody waited for them.
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

// write sends one frame. sent says whether a byte of it can have left.
func (s *stream) write(ctx context.Context, b []byte) (sent bool, err error) {
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
	n, err := s.conn.Write(b)
	return n > 0, err
}

// wait hands answers to take until it has had enough. What came before the
// connection ended is handed over before its error is told.
func (s *stream) wait(ctx context.Context, within time.Duration, take func(answer) bool) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case a := <-s.answers:
			if take(a) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return errSilent
		case <-s.done:
			for _, a := range s.late() {
				if take(a) {
					return nil
				}
			}
			return s.err
		}
	}
}

// close ends the connection and wakes whoever waits. It is idempotent.
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
