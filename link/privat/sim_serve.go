package privat

import (
	"context"
	"errors"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
// The newest connection is where the terminal's cable is plugged in.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	s.mu.Lock()
	s.cable = c
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cable == c {
			s.cable = nil
		}
	}()
	return s.term.Power().Serve(ctx, c, func() error { return s.listen(c) })
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
		c.SetWriteDeadline(time.Now().Add(stream.WriteTimeout))
		if _, err := c.Write(rep.say); err != nil {
			s.log.Debug("simulated terminal cannot answer", "err", err)
		}
	}
	if rep.hangUp {
		c.Close()
	}
}
