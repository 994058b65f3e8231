package scenes

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/usbip"
	"tillgate/link"
	"tillgate/link/drivers"
	"tillgate/serialio"
)

// patience is for an emulated machine on a busy host.
const patience = 2 * time.Minute

// await waits for a condition of the machine.
func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func inMachine(t *testing.T) {
	t.Helper()
	if os.Getenv("TILLGATE_RIG") == "" {
		t.Skip("this is played in the rig's machine: run `make rig`")
	}
}

const pace = 100 * time.Millisecond // of a simulated customer, at each stage

// posKey is the POS-KEY of the simulated qfpay terminal.
const posKey = "0123456789abcdef0123456789ABCDEF"

// terminal is a simulated terminal at the end of a wire.
type terminal struct {
	t       *testing.T
	name    string
	driver  string
	address string
	extra   string // further settings
	sim     link.Simulator

	usb *usbip.Device
	tty string // link that the scenes keep to the device's port, as udev would

	ctx  context.Context // ends the terminal
	stop context.CancelFunc

	mu    sync.Mutex
	cable net.Conn      // of a USB device that is plugged in
	out   chan struct{} // closed when it has been unplugged
	pass  int           // transfers until then is called; below 0: never
	then  func()        // with the lock held, before the transfer
	count int           // transfers so far
}

// newTerminal makes the simulator. Each one has its own bank.
func newTerminal(t *testing.T, name, driver, address string) *terminal {
	t.Helper()
	x := &terminal{t: t, name: name, driver: driver, address: address, pass: -1}
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
	}
	if x.sim == nil {
		t.Fatalf("there is no driver %s", driver)
	}
	t.Cleanup(func() {
		x.stop()
		x.unplug(t)
		x.sim.Close()
	})
	return x
}

func newUSB(t *testing.T, name, driver, address string, kind usbip.Kind, product uint16) *terminal {
	t.Helper()
	x := newTerminal(t, name, driver, address)
	x.usb = &usbip.Device{
		Kind: kind, Vendor: 0x1209, Product: product, Manufacturer: "Tillgate", Name: "Simulated terminal", Serial: "SN-" + name,
		Before: x.transfer,
	}
	return x
}

// plug attaches the device and waits until the kernel has given it its port, if
// it has one.
func (x *terminal) plug(t *testing.T) {
	t.Helper()
	cable, err := usbip.Attach()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan struct{})
	x.mu.Lock()
	x.cable, x.out = cable, out
	x.mu.Unlock()
	go func() {
		defer close(out)
		err := x.usb.Serve(x.ctx, cable, func(ctx context.Context, c net.Conn) error { return x.sim.Serve(ctx, c) })
		if err != nil {
			x.t.Errorf("%s: %v", x.name, err)
		}
	}()
	if x.tty != "" {
		x.follow(t)
	}
}

// follow makes the link lead to the port of the device with our serial number.
func (x *terminal) follow(t *testing.T) {
	t.Helper()
	var port string
	await(t, "a port for "+x.name, func() bool {
		ttys, _ := filepath.Glob("/sys/class/tty/ttyACM*")
		for _, tty := range ttys {
			at, _ := filepath.EvalSymlinks(filepath.Join(tty, "device")) // the interface, below the device
			serial, err := os.ReadFile(filepath.Join(filepath.Dir(at), "serial"))
			port = "/dev/" + filepath.Base(tty)
			if _, gone := os.Stat(port); err == nil && gone == nil && strings.TrimSpace(string(serial)) == x.usb.Serial {
				return true
			}
		}
		return false
	})
	_ = os.Remove(x.tty + ".new")
	if err := errors.Join(os.MkdirAll(filepath.Dir(x.tty), 0o755), os.Symlink(port, x.tty+".new"), os.Rename(x.tty+".new", x.tty)); err != nil {
		t.Fatal(err)
	}
}

// unplug pulls the plug and waits until device and kernel know: a port of the
// one that goes would be taken for that of the one that comes.
func (x *terminal) unplug(t *testing.T) {
	t.Helper()
	x.mu.Lock()
	out := x.out
	if out != nil {
		x.sever()
	}
	x.mu.Unlock()
	if out == nil {
		return
	}
	<-out
	await(t, x.name+" is out", func() bool {
		all, _ := filepath.Glob("/sys/bus/usb/devices/*/serial")
		for _, file := range all {
			if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == x.usb.Serial {
				return false
			}
		}
		return true
	})
}

// sever is called with the lock held. The port's name goes first, as it does
// with udev before the kernel gives the number to somebody else: through a stale
// name the gateway would talk to another terminal.
func (x *terminal) sever() {
	if x.tty != "" {
		_ = os.Remove(x.tty)
	}
	x.cable.Close()
}

// transfer is called before data moves.
func (x *terminal) transfer(usbip.Direction, []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.count++
	if x.pass < 0 {
		return
	}
	if x.pass == 0 {
		x.then()
	}
	x.pass--
}

// pullAt has the plug pulled instead of the next transfer but n.
func (x *terminal) pullAt(n int) { x.tellAt(n, x.sever) }

// tellAt calls then before the next transfer but n, with the lock held.
func (x *terminal) tellAt(n int, then func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pass, x.then = n, then
}

// cut pulls the plug now.
func (x *terminal) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sever()
}

// unplugged is closed when the device has been unplugged.
func (x *terminal) unplugged() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out
}

func (x *terminal) transfers() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

// wire serves the simulator on a UART for as long as the terminal lives.
func (x *terminal) wire(path string) {
	x.t.Helper()
	p, err := serialio.Open(serialio.Options{Path: path})
	if err != nil {
		x.t.Fatal(err)
	}
	go func() {
		defer p.Close()
		if err := x.sim.Serve(x.ctx, p); err != nil {
			x.t.Errorf("%s: %v", x.name, err)
		}
	}()
}

// uart finds the serial port of a PCI slot, or a name that is there as such.
func uart(t *testing.T, slot string) string {
	t.Helper()
	found, _ := filepath.Glob("/sys/bus/pci/devices/0000:00:" + slot + ".0/tty/tty*")
	if len(found) == 0 {
		found, _ = filepath.Glob("/sys/bus/pci/devices/0000:00:" + slot + ".0/*/*/tty/tty*") // newer kernels: below the port's own bus
	}
	if len(found) != 1 {
		t.Fatalf("the serial ports of PCI slot %s are %v, want one", slot, found)
	}
	return "/dev/" + filepath.Base(found[0])
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// machineName is what the kernel says it runs on: x86_64, aarch64, armv7l ...
func machineName() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}
