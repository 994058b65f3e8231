package ssi

import (
	"context"
	"log/slog"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// calls is a terminal to which each request has a connection of its own, as
// every known client does it over TCP.
type calls struct {
	stream.Calls
	idle time.Duration
	log  *slog.Logger
}

func (c *calls) fresh() bool { return true }

func (c *calls) exchange(ctx context.Context, r request, within time.Duration) (a answer, sent bool, err error) {
	err = c.With(ctx, func(conn link.Conn) error {
		s := newSerial(conn, c.idle, c.log)
		defer s.Close()
		a, sent, err = s.exchange(ctx, r, within)
		return err
	})
	return a, sent, err
}
