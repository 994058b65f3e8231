package scenes

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/serialio"
)

// hand pulls the plugs of cables that are outside of the machine: its port
// leads to the test that runs QEMU (internal/rig, cables_test.go).
type hand struct {
	port   *serialio.Port
	cables map[string]*cablePlug

	mu sync.Mutex // of Write
}

// newHand opens the port. Cables are added before the first order.
func newHand(t *testing.T) *hand {
	t.Helper()
	p, err := serialio.Open(serialio.Options{Path: uart(t, "14")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &hand{port: p, cables: map[string]*cablePlug{}}
}

// listen hands the answers to the cables, until the port is closed.
func (h *hand) listen() {
	lines := bufio.NewScanner(h.port)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || h.cables[f[1]] == nil {
			continue // the tests that wait say so
		}
		h.cables[f[1]].hear(f[0], f[2:])
	}
}

func (h *hand) say(t *testing.T, format string, args ...any) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := fmt.Fprintf(h.port, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}

// cablePlug is a cable of QEMU's, from one port of the machine to another. The
// terminal is at the far port.
type cablePlug struct {
	hand    *hand
	title   string
	name    name          // of the near port of a USB adapter
	replies chan []string // what the hand answers, the word first

	mu    sync.Mutex
	ended chan struct{} // closed when the plug is out
}

// newCable makes a terminal at the far end of a cable, which begins to talk.
func newCable(t *testing.T, h *hand, title, address, far, tty string) *terminal {
	t.Helper()
	x := newTerminal(t, title, "ecrvn", address)
	p := &cablePlug{hand: h, title: title, replies: make(chan []string, 8), ended: make(chan struct{})}
	if tty != "" {
		p.name = name{path: tty, serial: "SN-" + title}
	}
	close(p.ended)
	h.cables[title] = p
	port, err := serialio.Open(serialio.Options{Path: far})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer port.Close()
		if err := x.talk(x.ctx, port); err != nil {
			x.t.Errorf("%s: %v", title, err)
		}
	}()
	x.plug = p
	t.Cleanup(func() {
		x.stop()
		x.sim.Close()
	})
	return x
}

func (p *cablePlug) hear(word string, args []string) {
	if word != "out" {
		p.replies <- append([]string{word}, args...)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name.remove()
	close(p.ended)
}

// ask waits for the answer to an order.
func (p *cablePlug) ask(t *testing.T, want, format string, args ...any) []string {
	t.Helper()
	p.hand.say(t, format, args...)
	select {
	case got := <-p.replies:
		if got[0] != want {
			t.Fatalf("the hand at %s says %v, want %s", p.title, got, want)
		}
		return got[1:]
	case <-time.After(patience):
		t.Fatalf("the hand does not answer %q about %s", want, p.title)
	}
	return nil
}

func (p *cablePlug) in(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	p.ended = make(chan struct{})
	p.mu.Unlock()
	p.ask(t, "in", "plug %s", p.title)
	p.name.follow(t)
}

func (p *cablePlug) arm(t *testing.T, m moment) {
	t.Helper()
	p.ask(t, "armed", "arm %s %d %d", p.title, m.unit, m.after.Milliseconds())
}

func (p *cablePlug) disarm(t *testing.T) {
	t.Helper()
	p.arm(t, moment{unit: -1})
}

func (p *cablePlug) out() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// pull leaves the plug out for longer than a sale takes: a cable that is put
// back while the customer looks for his card is one that nobody pulled.
func (p *cablePlug) pull(t *testing.T) {
	t.Helper()
	p.hand.say(t, "pull %s", p.title)
	select {
	case <-p.out():
	case <-time.After(patience):
		t.Fatalf("the plug of %s is not pulled", p.title)
	}
	if p.name.path != "" {
		p.name.gone(t)
		return
	}
	time.Sleep(5 * pace)
}

func (p *cablePlug) moved(t *testing.T) int {
	t.Helper()
	got := p.ask(t, "count", "count %s", p.title)
	n, err := strconv.Atoi(strings.Join(got, " "))
	if err != nil {
		t.Fatalf("the hand has counted %v", got)
	}
	return n
}
