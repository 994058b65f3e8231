// Package loopback gives tests addresses on loopback.
package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Linux gives ports from 32768 on to connections and to whoever listens on port 0
// (ip(7), ip_local_port_range), and many do while tests run. Those given here are
// below: nobody else gets them before a program listens, or between two starts of
// it.
const firstPort, lastPort = 12_000, 32_000

// Ports gives away TCP ports that nobody listens on just now, each of them once,
// for programs that are told where to listen. Its zero value works; it is safe for
// concurrent use.
type Ports struct {
	mu   sync.Mutex
	next int // 0: anywhere
}

// Free returns host:port.
func (p *Ports) Free() (address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == 0 {
		p.next = firstPort + rand.N(lastPort-firstPort)
	}
	for range 100 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(p.next))
		if p.next++; p.next == lastPort {
			p.next = firstPort
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

// Free is one address for who needs no other.
func Free() (address string, err error) { return new(Ports).Free() }
