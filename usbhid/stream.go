package usbhid

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// Sizes of the two rings, and the most that is moved at once.
const (
	ringSize     = 64 << 10
	transferSize = 4 << 10
)

// inEndpoint and outEndpoint are the two ends of a pipe, as gousb has them. A
// call may move bytes and fail at once; it ends early only when ctx does, or
// the device.
type inEndpoint interface {
	ReadContext(ctx context.Context, b []byte) (int, error)
}

type outEndpoint interface {
	WriteContext(ctx context.Context, b []byte) (int, error)
}

// Stream is an open device as a byte stream. It has the methods of link.Conn:
// one goroutine may read while another writes, anybody may call the others.
type Stream struct {
	name   string
	in     *ring // bulk IN to Read
	out    *ring // Write to bulk OUT
	cancel context.CancelFunc
	ended  chan struct{} // closed when both pumps have ended and the device is released

	closing sync.Once
	result  error // of Close
}

// newStream starts the pumps. release is called once, after both have ended.
func newStream(name string, in inEndpoint, out outEndpoint, release func()) *Stream {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stream{
		name: name, in: newRing(ringSize), out: newRing(ringSize),
		cancel: cancel, ended: make(chan struct{}),
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { s.lose("read", s.pumpIn(ctx, in)) })
	pumps.Go(func() { s.lose("write", s.pumpOut(ctx, out)) })
	go func() {
		pumps.Wait()
		cancel()
		release()
		close(s.ended)
	}()
	return s
}

// pumpIn moves bytes until the device or the ring ends. It asks for bytes only
// when there is room for them: a full ring makes the device wait.
func (s *Stream) pumpIn(ctx context.Context, in inEndpoint) error {
	buf := make([]byte, transferSize)
	for {
		if err := s.in.room(len(buf)); err != nil {
			return err
		}
		n, err := in.ReadContext(ctx, buf)
		s.in.keep(buf[:n]) // also of a transfer that failed or was cancelled
		if err != nil {
			return err
		}
	}
}

func (s *Stream) pumpOut(ctx context.Context, out outEndpoint) error {
	buf := make([]byte, transferSize)
	for {
		n, err := s.out.get(buf)
		if err != nil {
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			k, err := out.WriteContext(ctx, rest)
			if err != nil {
				return err
			}
			if k <= 0 || k > len(rest) {
				return fmt.Errorf("the device took %d of %d bytes", k, len(rest))
			}
			rest = rest[k:]
		}
	}
}

// lose ends both directions. What had arrived can still be read. After Close,
// which killed both rings, it changes nothing.
func (s *Stream) lose(op string, err error) {
	err = &os.PathError{Op: op, Path: s.name, Err: fmt.Errorf("%w (%w)", ErrUnplugged, err)}
	s.in.finish(err)
	s.out.finish(err)
}

// Read reads what has arrived, at least one byte. It ends at the read deadline
// with os.ErrDeadlineExceeded, at Close with os.ErrClosed, and with
// [ErrUnplugged] when the device is gone and all that it sent has been read.
func (s *Stream) Read(b []byte) (int, error) { return s.in.get(b) }

// Write puts b into the outgoing ring. When it ends early, n bytes are on their
// way and the rest is not. nil says nothing about the wire.
func (s *Stream) Write(b []byte) (int, error) { return s.out.put(b) }

// SetReadDeadline ends a running and every later Read at t; the zero time is
// never.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.in.expire(&s.in.getBy, t) }

// SetWriteDeadline ends a running and every later Write at t.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.out.expire(&s.out.putBy, t) }

// Close wakes Read and Write, drops what has not left yet, cancels the
// transfers and releases the device. It returns after [CloseLimit] at the
// latest, with an error if the USB stack still has them. It is idempotent.
func (s *Stream) Close() error {
	s.closing.Do(func() {
		closed := &os.PathError{Op: "use", Path: s.name, Err: os.ErrClosed}
		s.in.kill(closed)
		s.out.kill(closed)
		s.cancel()
		limit := time.NewTimer(CloseLimit)
		defer limit.Stop()
		select {
		case <-s.ended:
		case <-limit.C:
			s.result = fmt.Errorf("close %s: %w: its transfers did not come back in %v", s.name, ErrUnplugged, CloseLimit)
		}
	})
	return s.result
}
