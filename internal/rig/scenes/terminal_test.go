package scenes

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/drivers"
)

const pace = 100 * time.Millisecond // of a simulated customer, at each stage

// posKey is the POS-KEY of the simulated qfpay terminal.
const posKey = "0123456789abcdef0123456789ABCDEF"

// terminal is a simulated terminal with a bank of its own at the end of a wire.
type terminal struct {
	plug
	t       *testing.T
	name    string
	driver  string
	address string
	extra   string // further settings
	sim     link.Simulator

	ctx  context.Context // ends the terminal
	stop context.CancelFunc
}

// plug is what connects a terminal: it can be pulled, and put in again.
type plug interface {
	// in puts the plug in and waits until the kernel has the device, and its
	// port a name, if it has one.
	in(t *testing.T)
	// arm has the plug pulled at a moment, and at none that was told before.
	arm(t *testing.T, m moment)
	// disarm has the plug left in.
	disarm(t *testing.T)
	// out is closed when the plug has been pulled. The next in makes another.
	out() <-chan struct{}
	// pull pulls the plug, if it is in, disarms it, and waits until the kernel knows: a port
	// of the one that goes would be taken for that of the one that comes.
	pull(t *testing.T)
	// moved counts the units that have moved so far.
	moved(t *testing.T) int
}

// moment is when a plug is pulled: instead of the next unit but so many that
// moves, or so long after it. A unit is a transfer of USB, a byte on a cable.
type moment struct {
	unit  int
	after time.Duration
}

func (m moment) String() string {
	if m.after > 0 {
		return fmt.Sprintf("%v after unit %d", m.after, m.unit)
	}
	return fmt.Sprintf("before unit %d", m.unit)
}

// trigger counts units on this side of a wire and pulls a plug at a moment.
type trigger struct {
	mu    sync.Mutex
	units int
	left  int // until the moment; below 0: never
	after time.Duration
	armed int    // how often; a timer of an earlier time pulls nothing
	pull  func() // called with the lock held; does nothing when the plug is out
}

// unit is called before a unit moves. It does not if the plug is pulled.
func (g *trigger) unit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.units++
	due := g.left == 0
	if g.left >= 0 {
		g.left--
	}
	switch {
	case due && g.after > 0:
		armed := g.armed
		time.AfterFunc(g.after, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if armed == g.armed {
				g.pull()
			}
		})
	case due:
		g.pull()
	}
}

func (g *trigger) set(unit int, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed++
	g.left, g.after = unit, after
}

func (g *trigger) arm(_ *testing.T, m moment) { g.set(m.unit, m.after) }
func (g *trigger) disarm(*testing.T)          { g.set(-1, 0) }

func (g *trigger) moved(*testing.T) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.units
}

// device is what the plugs of USB devices have in common. sever pulls one, if it
// is in; ended is closed when it is out.
type device struct {
	trigger
	x    *terminal
	name name

	mu    sync.Mutex
	ended chan struct{}
}

// made readies a plug that is out.
func (d *device) made(x *terminal, title, tty string, sever func()) {
	d.x, d.name, d.ended = x, name{path: tty, serial: "SN-" + title}, make(chan struct{})
	close(d.ended)
	d.left, d.trigger.pull = -1, sever
}

func (d *device) out() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

func (d *device) pull(t *testing.T) {
	t.Helper()
	d.disarm(t)
	d.trigger.pull()
	<-d.out()
	d.name.gone(t)
}

func newTerminal(t *testing.T, name, driver, address string) *terminal {
	t.Helper()
	x := &terminal{t: t, name: name, driver: driver, address: address}
	x.ctx, x.stop = context.WithCancel(context.Background())
	for _, d := range drivers.All() {
		if d.Name != driver {
			continue
		}
		script := []string{"approve"}
		if driver == "qfpay" {
			script = []string{"approve+key:" + posKey}
		}
		sim, err := d.Simulate(link.SimulatorConfig{Name: name, Script: script, Pace: pace})
		if err != nil {
			t.Fatal(err)
		}
		x.sim = sim
		if driver == "ecrvn" {
			x.sellOnce(t, d)
		}
	}
	if x.sim == nil {
		t.Fatalf("there is no driver %s", driver)
	}
	return x
}

// sellOnce makes it a terminal that has sold before. One that keeps no last
// transaction proves nothing about a sale whose request a starved machine tore.
func (x *terminal) sellOnce(t *testing.T, d link.Driver) {
	t.Helper()
	ours, its := net.Pipe()
	go func() { _ = x.sim.Serve(x.ctx, unhurried{its}) }()
	dial := func(context.Context) (link.Conn, error) { return ours, nil }
	term, err := d.Open(x.ctx, link.Config{Name: x.name, Dial: dial, Currency: d.Currency, Settings: d.Settings()})
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	sale := payment.Request{ID: "before", Operation: payment.Purchase, Amount: payment.Money{Minor: 1000, Currency: d.Currency}}
	o, err := term.Execute(x.ctx, payment.Transaction{Request: sale, Attempt: "BEFORE" + rand.Text()[:14]}, link.Dialogue{})
	if err != nil || o.Result != payment.Approved {
		t.Fatalf("the first sale of %s: %+v, %v", x.name, o, err)
	}
}

// ends is called once the terminal has its plug.
func (x *terminal) ends(t *testing.T) {
	t.Cleanup(func() {
		x.stop()
		x.pull(t)
		x.sim.Close()
	})
}

// talk is the terminal on one connection.
func (x *terminal) talk(ctx context.Context, c link.Conn) error {
	return x.sim.Serve(ctx, unhurried{c})
}

// unhurried is the line of a terminal that is patient with a starved machine:
// one that tears a request apart, where the terminal takes the gap for its end.
type unhurried struct{ link.Conn }

func (u unhurried) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		at = time.Now().Add(20 * time.Until(at))
	}
	return u.Conn.SetReadDeadline(at)
}
