package privat

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"tillgate/link"
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
// The newest connection is where the terminal's cable is plugged in.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	s.mu.Lock()
	s.cable, s.conns[c] = c, true
	closed := s.ctx.Err() != nil
	s.mu.Unlock()
	defer s.unplug(c)
	if closed {
		return nil
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	err := s.listen(c)
	for _, end := range []error{io.EOF, io.ErrClosedPipe, os.ErrClosed, net.ErrClosed, syscall.EIO} { // EIO: a pty whose other end is closed
		if errors.Is(err, end) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Simulator) unplug(c link.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	if s.cable == c {
		s.cable = nil
	}
	s.mu.Unlock()
}

func (s *Simulator) listen(c link.Conn) error {
	f := newFrames(c)
	for {
		b, err := f.next()
		if errors.Is(err, errTooLong) {
			continue
		}
		if err != nil {
			return err
		}
		r, err := parseRequest(b)
		if err != nil {
			s.log.Debug("simulated terminal ignores a message", "err", err)
			continue
		}
		s.hear(r)
	}
}

// speak sends a reply to wherever the cable is now.
func (s *Simulator) speak(rep reply) {
	if len(rep.say) == 0 && !rep.hangUp {
		return
	}
	s.mouth <- struct{}{}
	defer func() { <-s.mouth }()
	s.mu.Lock()
	c := s.cable
	s.mu.Unlock()
	if c == nil {
		return
	}
	if len(rep.say) > 0 {
		c.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.Write(rep.say); err != nil {
			s.log.Debug("simulated terminal cannot answer", "err", err)
		}
	}
	if rep.hangUp {
		c.Close()
	}
}
