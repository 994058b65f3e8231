package notify

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// bounded hands out a bounded number of connections, to those who may connect.
// When all are taken the next one waits in the kernel's queue, where it costs
// nothing here.
type bounded struct {
	net.Listener
	allowed   func(netip.Addr) bool // nil: everybody
	perSource int                   // 0: not counted

	every time.Duration // one connection each, on average; 0: no bound
	burst time.Duration // how far ahead of that they may be
	due   time.Time     // when the next one is due; Accept's own

	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	from map[netip.Addr]int
}

func newBounded(l net.Listener, most, perSource int, allowed func(netip.Addr) bool) *bounded {
	return &bounded{Listener: l, allowed: allowed, perSource: perSource, slots: make(chan struct{}, most), closed: make(chan struct{}), from: map[netip.Addr]int{}}
}

// Accept returns the next connection that may be served. One that may not is
// closed without a byte.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			<-b.slots
			return nil, err
		}
		a := addrOf(c.RemoteAddr())
		if (b.allowed == nil || b.allowed(a)) && b.enter(a) {
			if !b.pace() {
				b.leave(a)
				c.Close()
				return nil, net.ErrClosed
			}
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(a) })}, nil
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // leave nothing behind for it
		}
		c.Close()
	}
}

// pace waits until the next connection is due: what a handshake costs is taken
// from those who sell. It is false when the listener is closed meanwhile.
func (b *bounded) pace() bool {
	if b.every == 0 {
		return true
	}
	now := time.Now()
	if earliest := now.Add(-b.burst); b.due.Before(earliest) {
		b.due = earliest
	}
	wait := b.due.Sub(now)
	b.due = b.due.Add(b.every)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-b.closed:
		return false
	}
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

func (b *bounded) enter(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.perSource > 0 && b.from[a] >= b.perSource {
		return false
	}
	b.from[a]++
	return true
}

func (b *bounded) leave(a netip.Addr) {
	b.mu.Lock()
	if b.from[a]--; b.from[a] <= 0 {
		delete(b.from, a)
	}
	b.mu.Unlock()
	<-b.slots
}

// counted gives its slot back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}

// CloseWrite lets net/http end an answer to somebody who is still sending, so
// that he can read it.
func (c *counted) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// addrOf is the address of a peer, an IPv4 address as such.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
