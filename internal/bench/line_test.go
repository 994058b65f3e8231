package bench

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"tillgate/link"
	"tillgate/link/ecrvn"
)

// terminal is a simulated terminal behind a pty, as behind a cable that stays
// plugged in, with a clock at its end of the line.
type terminal struct {
	sim  link.Simulator
	port string // device of the gateway's end

	mu    sync.Mutex
	times times
}

// times are of the newest exchange.
type times struct {
	asked    time.Time // first byte of a request of any kind arrived
	heard    []byte    // and what has arrived since
	sale     time.Time // first byte of the newest money command
	answered time.Time // the newest answer is being written
	proof    time.Time // the first answer since the last forget that says APPROVE
}

func newTerminal(b *testing.B, c link.SimulatorConfig) *terminal {
	b.Helper()
	sim, err := ecrvn.Driver().Simulate(c)
	if err != nil {
		b.Fatal(err)
	}
	master, slave, err := pty.Open()
	if err != nil {
		b.Fatal(err)
	}
	t := &terminal{sim: sim, port: slave.Name()}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); _ = sim.Serve(ctx, terminalEnd{master, t}) }()
	b.Cleanup(func() {
		cancel()
		sim.Close()
		master.Close()
		slave.Close()
		<-served
	})
	return t
}

func (t *terminal) now() times {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.times
}

func (t *terminal) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = times{}
}

var (
	saleWord    = []byte("&cmd=sale|")
	lastWord    = []byte("&cmd=last_trans")
	approveWord = []byte(`"transStatus":"APPROVE"`)
)

// terminalEnd notes when bytes pass at the terminal.
type terminalEnd struct {
	link.Conn
	t *terminal
}

func (c terminalEnd) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	now := time.Now()
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	x := &c.t.times
	if n > 0 {
		if len(x.heard) == 0 {
			x.asked = now
		}
		x.heard = append(x.heard, p[:n]...)
		if bytes.Contains(x.heard, saleWord) {
			x.sale, x.heard = x.asked, nil
		} else if bytes.HasSuffix(x.heard, lastWord) {
			x.heard = nil
		}
	}
	return n, err
}

func (c terminalEnd) Write(p []byte) (int, error) {
	c.t.mu.Lock()
	c.t.times.answered, c.t.times.heard = time.Now(), nil
	if c.t.times.proof.IsZero() && bytes.Contains(p, approveWord) {
		c.t.times.proof = c.t.times.answered
	}
	c.t.mu.Unlock()
	return c.Conn.Write(p)
}

// gatewayEnd notes, at the gateway's own end, how long the exchange before the
// money command lasts: from the question's first byte to the answer's last.
type gatewayEnd struct {
	link.Conn
	mu       sync.Mutex
	asked    time.Time
	read     time.Time
	baseline time.Duration
}

func (c *gatewayEnd) Write(p []byte) (int, error) {
	c.mu.Lock()
	switch {
	case bytes.Contains(p, lastWord):
		c.asked = time.Now()
	case bytes.Contains(p, saleWord):
		c.baseline = c.read.Sub(c.asked)
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *gatewayEnd) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.read = time.Now()
	c.mu.Unlock()
	return n, err
}

func (c *gatewayEnd) before() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.baseline
}
