package mosquitto

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports gives away TCP ports on loopback that nobody listens on, each of them
// once. Its zero value works.
//
// Linux gives ports from 32768 on (ip_local_port_range) to those who ask for any,
// and many do while tests run: such a port would be somebody else's before it is
// used. These are below.
type Ports struct {
	mu   sync.Mutex
	next int // 0: anywhere
}

const firstPort, lastPort = 12_000, 32_000

// Free returns host:port.
func (p *Ports) Free() (address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == 0 {
		p.next = firstPort + rand.N(lastPort-firstPort)
	}
	for range 100 {
		address = fmt.Sprintf("127.0.0.1:%d", p.next)
		if p.next++; p.next == lastPort {
			p.next = firstPort
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("find a free TCP port: %w", err)
}
