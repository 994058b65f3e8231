package ssi

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"tillgate/link"
)

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
		s := newSerial(conn, idle, log)
		defer s.Close()
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

func (c *calls) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
	return nil
}
