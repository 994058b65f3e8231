package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"
)

// maxPacket is how many bytes of one packet from the broker are kept. A topic
// has at most 65,535 bytes, so a longer PUBLISH loses only payload, and what is
// left of that is still more than a command may have.
const maxPacket = 128 << 10

// guard stands between the socket and paho and lets only packets through that
// a broker may send to us:
//
//	CONNACK  PUBLISH (QoS 0, 1; cut at maxPacket)  PUBACK  SUBACK (once)  PINGRESP
//
// paho allocates whatever length a packet claims, indexes past its
// subscriptions when a SUBACK has too many codes, and completes a publish token
// on SUBACK, UNSUBACK and PUBCOMP too. With the guard a completed token means a
// PUBACK.
type guard struct {
	net.Conn
	r       *bufio.Reader
	filters int           // codes the one SUBACK has
	timeout time.Duration // of one write; paho sets none for acknowledgements
	failed  func(error)   // told once a read or a write broke
	closed  atomic.Bool

	head      []byte // of the packet being passed on, not yet read
	keep, cut int    // bytes of its body to pass on, to drop
	connacked bool
	subacked  bool
}

// dial opens the broker's address. The context bounds all of it.
func dial(ctx context.Context, u *url.URL, conf *tls.Config) (net.Conn, error) {
	d := net.Dialer{}
	switch schemes[u.Scheme].network {
	case "unix":
		return d.DialContext(ctx, "unix", u.Path)
	case "tls":
		return (&tls.Dialer{NetDialer: &d, Config: conf}).DialContext(ctx, "tcp", u.Host)
	}
	return d.DialContext(ctx, "tcp", u.Host)
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if err != nil {
		g.failed(err)
	}
	return n, err
}

func (g *guard) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(g.head) == 0 && g.keep == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.head) > 0 {
		n := copy(p, g.head)
		g.head = g.head[n:]
		return n, nil
	}
	n, err := g.r.Read(p[:min(len(p), g.keep)])
	g.keep -= n
	return n, err
}

// next drops the rest of the last packet and reads the head of another:
//
//	type and flags  remaining length
//	1 byte          1 to 4 bytes of seven bits, the lowest first (MQTT 3.1.1, 2.2.3)
func (g *guard) next() error {
	if _, err := io.CopyN(io.Discard, g.r, int64(g.cut)); err != nil {
		return err
	}
	g.cut = 0
	first, err := g.r.ReadByte()
	if err != nil {
		return err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := g.r.ReadByte()
		if err != nil {
			return fmt.Errorf("length of a packet: %w", io.ErrUnexpectedEOF)
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift == 21 {
			return fmt.Errorf("packet of type %d: length of more than four bytes", first>>4)
		}
	}
	if err := g.allow(first, length); err != nil {
		return err
	}
	g.keep = min(length, maxPacket)
	g.cut = length - g.keep
	g.head = append(g.head[:0], first)
	for n := g.keep; ; {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			g.head = append(g.head, b)
			return nil
		}
		g.head = append(g.head, b|0x80)
	}
}

// Control packet types, MQTT 3.1.1, table 2.1.
const (
	typeConnack  = 2
	typePublish  = 3
	typePuback   = 4
	typeSuback   = 9
	typePingresp = 13
)

func (g *guard) allow(first byte, length int) error {
	typ, ok := first>>4, false
	switch typ {
	case typeConnack:
		ok = !g.connacked && length == 2
		g.connacked = true
	case typePublish:
		ok = g.connacked && first&0x06 <= 0x02 && length >= 2
	case typePuback:
		ok = g.connacked && length == 2
	case typeSuback:
		ok = g.connacked && !g.subacked && length == 2+g.filters
		g.subacked = true
	case typePingresp:
		ok = g.connacked && length == 0
	}
	if !ok {
		return fmt.Errorf("broker sent a packet of type %d with %d bytes where none is allowed", typ, length)
	}
	return nil
}

func (g *guard) Write(p []byte) (int, error) {
	_ = g.Conn.SetWriteDeadline(time.Now().Add(g.timeout))
	n, err := g.Conn.Write(p)
	if err != nil {
		g.failed(err)
	}
	return n, err
}

func (g *guard) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	return g.Conn.Close()
}

// SetWriteDeadline is left to Write: paho would take the deadline off while
// another goroutine writes.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds the handshake; Write has its own bound.
func (g *guard) SetDeadline(t time.Time) error { return g.Conn.SetReadDeadline(t) }
