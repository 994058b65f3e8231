package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
)

// WriteTimeout is enough for one request: 300 bytes take 0.3 s at 9600 baud.
const WriteTimeout = 5 * time.Second

// closeTimeout is what [link.Terminal] allows.
const closeTimeout = time.Second

// ErrSilent: the terminal said nothing that was of use, in all the time it had.
var ErrSilent = errors.New("no answer in time")

// Stream is a terminal behind one connection, of whose bytes its driver makes
// messages M. Its methods may be called by several goroutines at once.
type Stream[M any] struct {
	conn     link.Conn
	log      *slog.Logger
	messages chan M        // what was read and not taken; only the reader sends
	done     chan struct{} // closed when the reader has ended
	err      error         // why it ended; valid once done is closed
	writing  chan struct{} // holds a value while somebody writes, so that requests do not mix

	closing  sync.Once
	closeErr error
}

// Open begins to read: read runs in a goroutine of its own until the connection
// ends, and its error says why it did. What it makes of the bytes it hands over
// ([Stream.Hand]); as many messages as room wait to be taken.
//
// The connection is the stream's from here on, and begins without a deadline for
// reading.
func Open[M any](conn link.Conn, room int, log *slog.Logger, read func(s *Stream[M]) error) *Stream[M] {
	s := &Stream[M]{conn: conn, log: log, messages: make(chan M, room), done: make(chan struct{}), writing: make(chan struct{}, 1)}
	go func() {
		defer close(s.done)
		if s.err = conn.SetReadDeadline(time.Time{}); s.err == nil {
			s.err = read(s)
		}
	}()
	return s
}

// Listen opens a stream of what decode makes of the frames that next cuts out of
// the connection. A frame that cannot be decoded, and bytes that next gives up as
// [frame.ErrCorrupt], are told to the log and dropped; every other error of next
// ends the stream. Raw bytes, which can hold card data, do not leave it.
func Listen[M any](conn link.Conn, room int, log *slog.Logger, next func() ([]byte, error), decode func([]byte) (M, error)) *Stream[M] {
	return Open(conn, room, log, func(s *Stream[M]) error {
		for {
			b, err := next()
			if errors.Is(err, frame.ErrCorrupt) {
				log.Warn("bytes from the terminal dropped", "err", err)
				continue
			}
			if err != nil {
				return err
			}
			if m, err := decode(b); err != nil {
				log.Warn("message from the terminal dropped", "bytes", len(b), "err", err)
			} else {
				s.Hand(m)
			}
		}
	})
}

// Hand gives a message to who waits for one. If too many wait to be taken, the
// oldest goes: nobody listens then, and the newest matter. Only the reader may
// call it.
func (s *Stream[M]) Hand(m M) {
	for {
		select {
		case s.messages <- m:
			return
		default:
		}
		select {
		case <-s.messages:
			s.log.Warn("late message dropped, too many wait", "most", cap(s.messages))
		default:
		}
	}
}

// Messages is where they arrive, for who waits for more than them. Done tells
// that no more will come; those that are there then still count ([Stream.Late]).
func (s *Stream[M]) Messages() <-chan M { return s.messages }

// Done is closed when the connection has ended.
func (s *Stream[M]) Done() <-chan struct{} { return s.done }

// Err is why the connection has ended, nil while it lasts.
func (s *Stream[M]) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Late takes the messages that are there, the oldest first.
func (s *Stream[M]) Late() (all []M) {
	for {
		select {
		case m := <-s.messages:
			all = append(all, m)
		default:
			return all
		}
	}
}

// Write sends bytes, in no longer than within. sent says whether one of them can
// have left.
func (s *Stream[M]) Write(ctx context.Context, b []byte, within time.Duration) (sent bool, err error) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := s.Err(); err != nil {
		return false, err
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return false, err
	}
	n, err := s.conn.Write(b)
	return n > 0, err
}

// Wait hands messages to take until it has had enough. What came before the
// connection ended is handed over before its error is told. Other errors are
// [ErrSilent] after within, and ctx's.
func (s *Stream[M]) Wait(ctx context.Context, within time.Duration, take func(M) bool) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case m := <-s.messages:
			if take(m) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return ErrSilent
		case <-s.done:
			for _, m := range s.Late() {
				if take(m) {
					return nil
				}
			}
			return s.err
		}
	}
}

// Close ends the connection and wakes whoever waits. It is idempotent, and
// returns within what [link.Terminal] allows.
func (s *Stream[M]) Close() error {
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
