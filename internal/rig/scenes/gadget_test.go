package scenes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/link"
	"tillgate/serialio"
)

// gadgetPlug is a CDC-ACM device of the kernel's own making: configfs, f_acm and
// dummy_hcd, which has nothing of ours and so is a second opinion. The terminal
// is a program in the device, on /dev/ttyGS0.
type gadgetPlug struct {
	device
	udc   string        // the device controller's name
	lives chan struct{} // closed when the terminal's program has ended

	closed atomic.Pointer[error] // why the program has no port; nil while it has
}

const (
	gadgetDir  = "/sys/kernel/config/usb_gadget/terminal"
	gadgetPort = "/dev/ttyGS0"
)

func newGadget(t *testing.T, title, tty string, product string) *terminal {
	t.Helper()
	x := newTerminal(t, title, "ecrvn", tty)
	p := &gadgetPlug{lives: make(chan struct{})}
	p.made(x, title, tty, p.sever)
	udc, err := os.ReadDir("/sys/class/udc")
	if err != nil || len(udc) == 0 {
		t.Fatalf("no device controller (dummy_hcd): %v", err)
	}
	p.udc = udc[0].Name()
	for _, f := range [][2]string{
		{"idVendor", "0x1209"}, {"idProduct", product},
		{"strings/0x409/serialnumber", p.name.serial}, {"strings/0x409/manufacturer", "Tillgate"}, {"strings/0x409/product", "Gadget terminal"},
		{"configs/c.1/strings/0x409/configuration", "CDC ACM"},
	} {
		file := filepath.Join(gadgetDir, f[0])
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(f[1]+"\n"), 0o644)); err != nil {
			t.Fatalf("configfs: %v", err)
		}
	}
	function := filepath.Join(gadgetDir, "functions/acm.usb0")
	if err := errors.Join(os.MkdirAll(function, 0o755), os.Symlink(function, filepath.Join(gadgetDir, "configs/c.1/acm.usb0"))); err != nil {
		t.Fatalf("configfs: %v", err)
	}
	x.plug = p
	go p.work()
	t.Cleanup(func() { // after the terminal's end
		<-p.lives
		if err := p.closed.Load(); err != nil && t.Failed() {
			t.Logf("the gadget's program has no port: %v", *err)
		}
	})
	x.ends(t)
	return x
}

// work is the terminal's program. The kernel hangs up when the plug is pulled,
// and the program opens its port again. The driver of ttyGS0 keeps the speed it
// has.
func (p *gadgetPlug) work() {
	defer close(p.lives)
	for p.x.ctx.Err() == nil {
		port, err := serialio.Open(serialio.Options{Path: gadgetPort, Baud: 9600})
		if err != nil {
			p.closed.Store(&err)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		p.closed.Store(nil)
		err = p.x.talk(p.x.ctx, counted{port, p})
		port.Close()
		if err != nil && !errors.Is(err, serialio.ErrUnplugged) && !errors.Is(err, context.Canceled) {
			p.x.t.Errorf("%s: %v", p.x.name, err)
		}
	}
}

// counted tells of each Read and Write, before what it moves is there.
type counted struct {
	link.Conn
	p *gadgetPlug
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.p.unit()
		if c.p.isOut() {
			n, err = 0, serialio.ErrUnplugged
		}
	}
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	c.p.unit()
	if c.p.isOut() {
		return 0, serialio.ErrUnplugged
	}
	return c.Conn.Write(b)
}

func (p *gadgetPlug) isOut() bool { return isClosed(p.out()) }

// bind connects the gadget with a controller, or with none.
func (p *gadgetPlug) bind(udc string) error {
	return os.WriteFile(filepath.Join(gadgetDir, "UDC"), []byte(udc+"\n"), 0o644)
}

func (p *gadgetPlug) in(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	p.ended = make(chan struct{})
	p.mu.Unlock()
	if err := p.bind(p.udc); err != nil {
		t.Fatalf("bind the gadget: %v", err)
	}
	p.name.follow(t)
	await(t, "the gadget's program", func() bool { return p.closed.Load() == nil })
}

func (p *gadgetPlug) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isClosed(p.ended) {
		return
	}
	p.name.remove()
	if err := p.bind(""); err != nil {
		p.x.t.Errorf("unbind the gadget: %v", err)
	}
	close(p.ended)
}
