package linktest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"tillgate/link"
)

// Kind is how a connection breaks.
type Kind int

const (
	// CutRead: the byte cannot be read, and the connection is dead.
	CutRead Kind = iota
	// CutWrite: the byte cannot be written, and the connection is dead. The
	// bytes before it have arrived.
	CutWrite
	// Unplug: the cable is pulled before the byte is written, and nobody
	// notices: what is written is swallowed, what is read never comes.
	Unplug
	// Stall: the other side takes no more than the bytes before it. Writing
	// blocks until a deadline or Close.
	Stall
)

// Kinds lists every way to break.
func Kinds() []Kind { return []Kind{CutRead, CutWrite, Unplug, Stall} }

func (k Kind) String() string {
	return [...]string{"cut at read", "cut at write", "unplugged at write", "stalled at write"}[k]
}

// ErrBroken is what a broken connection says.
var ErrBroken = errors.New("the line is broken")

// Breaking is a connection that breaks. It is used like any other.
type Breaking struct {
	at   int
	kind Kind

	*tally
	conn   link.Conn // what is there now: the line, or a blind end
	blind  bool
	broken bool
	closed bool
	until  [2]time.Time
}

// tally is what connections that break together have in common. Its lock guards
// them too.
type tally struct {
	mu            sync.Mutex
	read, written int  // bytes so far
	reached       bool // the breaking point was met
}

// BreakAt makes c break at byte n, counted from 0, of what is read
// ([CutRead]) or written (the others). A negative n never breaks.
// The other side sees the connection end.
func BreakAt(c link.Conn, n int, kind Kind) *Breaking {
	return &Breaking{conn: c, at: n, kind: kind, tally: &tally{}}
}

// Again wraps a further connection, on which the bytes are counted on. It is for
// drivers that make a connection for each request. Once one has broken, those
// made afterwards do not.
func (b *Breaking) Again(c link.Conn) *Breaking {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := &Breaking{conn: c, at: b.at, kind: b.kind, tally: b.tally}
	if b.reached {
		next.at = -1
	}
	return next
}

// Read reads no byte at or behind the breaking point.
func (b *Breaking) Read(p []byte) (int, error) {
	for {
		b.mu.Lock()
		conn, blind := b.conn, b.blind
		if b.broken {
			b.mu.Unlock()
			return 0, ErrBroken
		}
		if left := b.at - b.read; b.kind == CutRead && b.at >= 0 && len(p) > left {
			if left <= 0 {
				b.breakNow()
				b.mu.Unlock()
				return 0, ErrBroken
			}
			p = p[:left]
		}
		b.mu.Unlock()
		n, err := conn.Read(p)
		b.mu.Lock()
		b.read += n
		again := n == 0 && err != nil && b.blind && !blind && !b.closed
		if err != nil && b.broken {
			err = ErrBroken
		}
		b.mu.Unlock()
		if !again { // else the cable was pulled while we waited: wait on, in vain
			return n, err
		}
	}
}

// Write writes what stands before the breaking point.
func (b *Breaking) Write(p []byte) (int, error) {
	b.mu.Lock()
	conn, left := b.conn, b.at-b.written
	if b.broken {
		b.mu.Unlock()
		return 0, ErrBroken
	}
	b.mu.Unlock()
	if b.kind == CutRead || b.at < 0 || len(p) <= left || b.isBlind() {
		n, err := conn.Write(p)
		b.count(n)
		return n, err
	}
	n, err := 0, error(nil)
	if left > 0 {
		if n, err = conn.Write(p[:left]); err != nil {
			b.count(n)
			return n, err
		}
	}
	b.mu.Lock()
	b.breakNow()
	end := b.conn
	b.mu.Unlock()
	err = ErrBroken
	if b.kind != CutWrite {
		var more int
		more, err = end.Write(p[n:])
		n += more
	}
	b.count(n)
	return n, err
}

func (b *Breaking) isBlind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blind
}

func (b *Breaking) count(n int) {
	b.mu.Lock()
	b.written += n
	b.mu.Unlock()
}

// breakNow ends the line. A pulled cable and a stalled one become a blind end
// that has nothing to read; the pulled one swallows what is written.
func (b *Breaking) breakNow() {
	b.reached = true
	line := b.conn
	if (b.kind == Unplug || b.kind == Stall) && !b.blind && !b.closed {
		near, far := net.Pipe()
		if b.kind == Unplug {
			go io.Copy(io.Discard, far) // ends with Close
		}
		near.SetReadDeadline(b.until[0])
		near.SetWriteDeadline(b.until[1])
		b.conn, b.blind = near, true
	} else {
		b.broken = true
	}
	line.Close()
}

// Break breaks the line now.
func (b *Breaking) Break() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.broken && !b.closed {
		b.breakNow()
	}
}

func (b *Breaking) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.conn.Close()
}

func (b *Breaking) SetReadDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[0] = t
	return b.conn.SetReadDeadline(t)
}

func (b *Breaking) SetWriteDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[1] = t
	return b.conn.SetWriteDeadline(t)
}

// Bytes tells how many bytes have been read and written. A caller that breaks
// at each byte in turn stops when a run has fewer.
func (b *Breaking) Bytes() (read, written int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read, b.written
}

// Reached says whether the breaking point was met.
func (b *Breaking) Reached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reached
}

func (b *Breaking) String() string { return fmt.Sprintf("%s byte %d", b.kind, b.at) }
