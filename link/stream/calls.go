package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"tillgate/link"
)

// Calls is a terminal to which each request has a connection of its own, such as
// a web service. Requests are written here as they are: net/http's client repeats
// them, follows redirects and asks proxies, and cannot tell whether a byte has
// left. Its methods may be called by several goroutines at once.
type Calls struct {
	Dial func(ctx context.Context) (link.Conn, error) // required
	TLS  *tls.Config                                  // nil: none

	mu     sync.Mutex
	conns  map[link.Conn]bool // of the running calls, below TLS
	closed bool
}

// IsWeb says whether an address is a web service's.
func IsWeb(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// DialHost opens connections to a host, "name:port".
func DialHost(host string) func(ctx context.Context) (link.Conn, error) {
	return func(ctx context.Context) (link.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			return nil, err // not a link.Conn that holds a nil
		}
		return c, nil
	}
}

// Call writes a request on a connection of its own and has read take what
// comes back within so long. sent says whether a byte of the request can have
// left. Its errors are [ErrSilent], read's, and those of [Calls.With].
func (c *Calls) Call(ctx context.Context, request []byte, within time.Duration, read func(link.Conn) error) (sent bool, err error) {
	err = c.With(ctx, func(conn link.Conn) error {
		now := time.Now()
		if err := errors.Join(conn.SetWriteDeadline(now.Add(WriteTimeout)), conn.SetReadDeadline(now.Add(within))); err != nil {
			return err
		}
		if n, err := conn.Write(request); err != nil {
			// A TLS record counts as written only when all of it is.
			sent = n > 0 || c.TLS != nil
			return err
		}
		sent = true
		err := read(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ErrSilent
		}
		return err
	})
	return sent, err
}

// With has talk use a connection of its own, which ends with talk, with ctx and
// with [Calls.Close]. Its errors are ctx's, net.ErrClosed once it was closed,
// and otherwise those of dialling and of talk.
func (c *Calls) With(ctx context.Context, talk func(link.Conn) error) error {
	conn, err := c.open(ctx)
	if err == nil {
		end := context.AfterFunc(ctx, func() { conn.Close() })
		if err = ctx.Err(); err == nil {
			err = talk(conn)
		}
		end()
		c.drop(conn)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case c.isClosed():
		return net.ErrClosed
	}
	return err
}

// open connects, with the TLS handshake behind it: up to here nothing of the
// request has left.
func (c *Calls) open(ctx context.Context) (link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, link.DialTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.isClosed() {
		return nil, net.ErrClosed
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if !c.hold(conn) {
		conn.Close()
		return nil, net.ErrClosed
	}
	if c.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(socket{conn}, c.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.drop(conn)
		return nil, err
	}
	return secured{secure, conn}, nil
}

// secured is a TLS connection that is closed without its farewell: that waits for
// a peer which does not read.
type secured struct {
	*tls.Conn
	raw link.Conn
}

func (s secured) Close() error { return s.raw.Close() }

// socket lets TLS run over any line: it asks for addresses and uses none.
type socket struct{ link.Conn }

func (socket) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (socket) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (s socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// hold makes the connection one that Close can end.
func (c *Calls) hold(conn link.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.conns == nil {
		c.conns = map[link.Conn]bool{}
	}
	c.conns[conn] = true
	return true
}

func (c *Calls) drop(conn link.Conn) {
	if over, ok := conn.(secured); ok {
		conn = over.raw
	}
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	conn.Close()
}

func (c *Calls) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends the running calls, and no more begin. It is idempotent.
func (c *Calls) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.conns {
		conn.Close()
	}
	return nil
}
