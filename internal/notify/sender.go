package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// errRefused is what a sender is told nothing more about.
var errRefused = errors.New("refused")

// sender is one who tells, while the listener runs.
type sender struct {
	Sender
	log *slog.Logger

	mu     sync.Mutex
	said   time.Time
	silent int
}

// told verifies, decodes and hands over one request. It returns when everything
// in it is durable.
func (s *Server) told(ctx context.Context, d *sender, r link.NotifyRequest) error {
	notices, err := s.decode(ctx, d, r)
	if err != nil {
		return err
	}
	select {
	case s.save <- struct{}{}:
		defer func() { <-s.save }()
	case <-ctx.Done():
		return fmt.Errorf("the journal: %w", ctx.Err())
	}
	for _, n := range notices {
		n.From, n.Test = d.Name, n.Test || d.Test
		if _, err := s.options.Gateway.Notify(ctx, n); err != nil {
			if _, invalid := errors.AsType[payment.Invalid](err); invalid || payment.ReasonOf(err) == payment.ReasonOversized {
				s.unreadable(d, err)
				return errRefused
			}
			return err
		}
	}
	return nil
}

// decode runs the notifier's code, a few at a time. A mistake in it refuses one
// request and nothing else.
func (s *Server) decode(ctx context.Context, d *sender, r link.NotifyRequest) (notices []payment.Notice, err error) {
	select {
	case s.work <- struct{}{}:
		defer func() { <-s.work }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("a mistake in the notifier", "panic", fmt.Sprintf("%T", p)) // its value could have a card in it
			notices, err = nil, errRefused
		}
	}()
	notices, err = d.Notifier.Decode(r)
	if errors.Is(err, link.ErrUnreadable) {
		s.unreadable(d, err)
		return nil, errRefused
	}
	if err != nil {
		d.complain("it cannot be verified or read", "err", err)
		return nil, errRefused
	}
	return notices, nil
}

// unreadable tells a person that somebody who has the keys said something that
// nobody here understands.
func (s *Server) unreadable(d *sender, err error) {
	d.log.Error("a genuine notice is not understood", "err", err)
	s.options.Gateway.Raise(payment.AlertNotice, "a notice of "+d.Name+": "+err.Error()+"; capture one and try `tillgate certify`")
}

// complain logs why a request was refused, once a minute at most: whoever sends
// rubbish must not fill the disk.
func (d *sender) complain(why string, attrs ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.said.IsZero() && time.Since(d.said) < time.Minute {
		d.silent++
		return
	}
	d.log.Warn("request refused: "+why, append(attrs, "refused_since", d.silent)...)
	d.said, d.silent = time.Now(), 0
}
