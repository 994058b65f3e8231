//go:build libusb

package usbhid

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/usbip"
)

// These tests need a kernel with vhci-hcd, and root; `make rig` gives them one.
// The devices are simulated, the kernel, libusb and everything between are real.

const patience = 20 * time.Second // of a slow emulated machine

// plugged is a device that sends back what it gets.
type plugged struct {
	t     *testing.T
	cable net.Conn
	lines chan usbip.LineState
	gone  chan struct{}
}

func plugIn(t *testing.T, d usbip.Device) *plugged {
	t.Helper()
	if _, err := os.Stat("/sys/devices/platform/vhci_hcd.0"); err != nil {
		t.Skip("this kernel has no virtual USB controller (vhci-hcd): run `make rig`")
	}
	cable, err := usbip.Attach()
	if err != nil {
		t.Fatal(err)
	}
	p := &plugged{t: t, cable: cable, lines: make(chan usbip.LineState, 16), gone: make(chan struct{})}
	d.Line = func(l usbip.LineState) { p.lines <- l }
	d.Manufacturer, d.Name = "Tillgate", "Simulated terminal"
	go func() {
		defer close(p.gone)
		err := d.Serve(context.Background(), cable, func(_ context.Context, c net.Conn) error {
			_, _ = io.Copy(c, c)
			return nil
		})
		if err != nil {
			t.Errorf("simulated device: %v", err)
		}
	}()
	t.Cleanup(p.pull)
	return p
}

func (p *plugged) pull() {
	p.cable.Close()
	<-p.gone
}

// mustOpen opens a device as soon as the kernel has it.
func mustOpen(t *testing.T, o Options) *Stream {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		s, err := Open(t.Context(), o)
		if err == nil {
			t.Cleanup(func() { s.Close() })
			return s
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

func echo(t *testing.T, s *Stream, size int) {
	t.Helper()
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i*7 + size)
	}
	limit := time.Now().Add(patience)
	s.SetWriteDeadline(limit)
	s.SetReadDeadline(limit)
	if n, err := s.Write(sent); n != size || err != nil {
		t.Fatalf("write of %d bytes gave %d, %v", size, n, err)
	}
	got := make([]byte, size)
	if n, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("of %d bytes %d came back, equal: %v, %v", size, n, bytes.Equal(got, sent), err)
	}
	s.SetReadDeadline(time.Time{})
}

func TestRealDevices(t *testing.T) {
	for _, c := range []struct {
		kind usbip.Kind
		as   Kind
	}{{usbip.CDCACM, CDCACM}, {usbip.Bulk, Bulk}, {usbip.HID, HID}} {
		t.Run(string(c.kind), func(t *testing.T) {
			d := usbip.Device{Kind: c.kind, Vendor: 0x1209, Product: 0x0001, Serial: "A1"}
			p := plugIn(t, d)
			o := Options{Vendor: d.Vendor, Product: d.Product, Line: LineCoding{Baud: 57600, DataBits: 7, Parity: 2, StopBits: 2}}
			s := mustOpen(t, o)
			if c.as == CDCACM {
				lineIs(t, p)
			}
			for _, size := range []int{1, 62, 63, 64, 65, 511, 512, 513, 1024, 5000} {
				echo(t, s, size)
			}

			// A deadline ends a Read and nothing else.
			b := make([]byte, 8)
			s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if n, err := s.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read gave %d, %v, want a deadline", n, err)
			}
			echo(t, s, 100)

			// Close wakes a Read, and the device can be opened again.
			closed := blockedRead(s)
			if err := s.Close(); err != nil {
				t.Logf("close: %v", err) // an emulated machine can take longer to give a device back
			}
			if err := <-closed; !errors.Is(err, os.ErrClosed) {
				t.Errorf("a Read that Close woke gave %v", err)
			}
			s = mustOpen(t, o)
			echo(t, s, 10)

			// Another kind is refused, by a sentence.
			for _, other := range []Kind{CDCACM, Bulk, HID} {
				wrong := o
				wrong.As = other
				if other == c.as {
					continue
				}
				if w, err := Open(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "it ") {
					w.Close()
					t.Errorf("opened as %s: %v", other, err)
				}
			}

			// A pulled plug wakes a Read, at once.
			took := unplug(t, p, s)
			for n := 1; took > atOnce && n < 5; n++ {
				s.Close()
				p = plugIn(t, d)
				s = mustOpen(t, o)
				took = min(took, unplug(t, p, s))
			}
			if took > atOnce {
				t.Errorf("of five blocked Reads none ended within %v after the plug was pulled, the first after %v", atOnce, took)
			}
			if _, err := s.Write([]byte("x")); !errors.Is(err, ErrUnplugged) {
				t.Errorf("write gave %v, want ErrUnplugged", err)
			}
			s.Close()
			if _, err := Open(t.Context(), o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no such device") {
				t.Errorf("open of what is gone gave %v", err)
			}
			plugIn(t, d)
			echo(t, mustOpen(t, o), 100)
		})
	}
}

// atOnce is how soon the pulled plug is an error. An emulated machine that its host
// lets wait can be late, though not each of five times.
const atOnce = 100 * time.Millisecond

// unplug pulls the plug under a blocked Read and returns after how long that ended.
func unplug(t *testing.T, p *plugged, s *Stream) (took time.Duration) {
	t.Helper()
	ended := blockedRead(s)
	pulled := time.Now()
	p.pull()
	select {
	case err := <-ended:
		took = time.Since(pulled)
		t.Logf("a blocked Read ended %v after the plug was pulled: %v", took.Round(100*time.Microsecond), err)
		if !errors.Is(err, ErrUnplugged) {
			t.Errorf("read gave %v, want ErrUnplugged", err)
		}
	case <-time.After(patience):
		t.Fatal("a Read outlives its device")
	}
	return took
}

// lineIs waits for what Open sets.
func lineIs(t *testing.T, p *plugged) {
	t.Helper()
	want := usbip.LineState{Baud: 57600, DataBits: 7, Parity: 2, StopBits: 2, DTR: true, RTS: true}
	limit := time.After(patience)
	for {
		select {
		case got := <-p.lines:
			if got == want {
				return
			}
		case <-limit:
			t.Fatalf("the device never heard %+v", want)
		}
	}
}

func blockedRead(s *Stream) <-chan error {
	ended, begun := make(chan error, 1), make(chan struct{})
	go func() {
		close(begun)
		_, err := s.Read(make([]byte, 8))
		ended <- err
	}()
	<-begun
	return ended
}

// The kernel's serial driver loses the device while it is open here, and has it
// again afterwards.
func TestKernelDriverIsGivenBack(t *testing.T) {
	plugIn(t, usbip.Device{Kind: usbip.CDCACM, Vendor: 0x1209, Product: 0x0002, Serial: "B1"})
	bound := func() int {
		links, _ := filepath.Glob("/sys/bus/usb/drivers/cdc_acm/*:1.*")
		return len(links)
	}
	await(t, "cdc_acm takes the device", func() bool { return bound() == 2 })
	s := mustOpen(t, Options{Vendor: 0x1209, Product: 0x0002})
	if n := bound(); n != 0 {
		t.Errorf("cdc_acm still has %d interfaces", n)
	}
	echo(t, s, 10)
	s.Close()
	await(t, "cdc_acm has the device again", func() bool { return bound() == 2 })
	await(t, "its port", func() bool { // a driver is shown as bound before it has made its port
		ttys, _ := filepath.Glob("/dev/ttyACM*")
		return len(ttys) == 1
	})
}

func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestEqualDevicesAreToldApart(t *testing.T) {
	d := usbip.Device{Kind: usbip.Bulk, Vendor: 0x1209, Product: 0x0003, Serial: "C1"}
	plugIn(t, d)
	d.Serial = "C2"
	plugIn(t, d)
	o := Options{Vendor: 0x1209, Product: 0x0003}
	o.Serial = "C1"
	first := mustOpen(t, o)
	o.Serial = "C2"
	second := mustOpen(t, o)
	echo(t, first, 10)
	echo(t, second, 20)
	first.Close()
	second.Close()

	o.Serial = ""
	_, err := Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "2 devices match") || !strings.Contains(err.Error(), `serial "C2" at `) {
		t.Fatalf("open gave %v, want both named", err)
	}
	_, at, _ := strings.Cut(err.Error(), `serial "C2" at `)
	o.Port, _, _ = strings.Cut(at, ",")
	echo(t, mustOpen(t, o), 30)
	o.Serial = "C3"
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no device with that serial number") {
		t.Errorf("open gave %v", err)
	}
}

// On a box without USB the terminal that wants it has an error, and the process
// lives. The process is a child, with a /dev of its own where there is USB. A
// libusb with udev starts all the same, and finds nothing.
func TestNoUSBHere(t *testing.T) {
	const child = "TILLGATE_TEST_NO_USB"
	_, err := os.Stat(devices)
	if os.Getenv(child) != "" {
		if err == nil {
			if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("none", devices, "tmpfs", 0, "")); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Open(t.Context(), Options{Vendor: 0xffff, Product: 0xfffe})
		if err == nil || !strings.Contains(err.Error(), "is there USB on this machine") && !strings.Contains(err.Error(), "no such device") {
			t.Errorf("open gave %v", err)
		}
		t.Log(err)
		return
	}
	if err == nil && os.Getuid() != 0 {
		t.Skip("to hide this machine's USB takes root")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoUSBHere$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	if err == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

const devices = "/dev/bus/usb"
