package crashtest

import (
	"errors"
	"sync"

	"tillgate/link"
)

// lineBreak breaks a line at its n-th operation, once, before the operation
// is carried out or after it. As with any Conn, n says what the line took.
type lineBreak struct {
	mu    sync.Mutex
	at    int  // 0: never
	after bool // both are set before begin
	seen  int
	armed bool
}

var errLine = errors.New("the line broke here")

func (l *lineBreak) over(c link.Conn) link.Conn { return &brokenConn{Conn: c, line: l} }

// begin counts from here; at and after are set before.
func (l *lineBreak) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.armed = 0, true
}

func (l *lineBreak) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// next counts one operation and says whether the line breaks at it.
func (l *lineBreak) next() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen++
	return l.armed && l.seen == l.at
}

type brokenConn struct {
	link.Conn
	line *lineBreak
}

func (c *brokenConn) Read(p []byte) (int, error) { return c.op(c.Conn.Read, p) }

func (c *brokenConn) Write(p []byte) (int, error) { return c.op(c.Conn.Write, p) }

func (c *brokenConn) op(f func([]byte) (int, error), p []byte) (int, error) {
	if !c.line.next() {
		return f(p)
	}
	n := 0
	if c.line.after {
		n, _ = f(p)
	}
	c.Conn.Close()
	return n, errLine
}
