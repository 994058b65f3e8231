package uevent

import (
	"encoding/binary"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// As Linux 6.1 sent it when a simulated terminal was plugged in.
const fromKernel = "add@/devices/platform/vhci_hcd.0/usb1/1-1/1-1:1.0/tty/ttyACM0\x00ACTION=add\x00DEVPATH=/devices/platform/vhci_hcd.0/usb1/1-1/1-1:1.0/tty/ttyACM0\x00SUBSYSTEM=tty\x00MAJOR=166\x00MINOR=0\x00DEVNAME=ttyACM0\x00SEQNUM=1234\x00"

func udev(properties string) []byte {
	b := append([]byte("libudev\x00"), 0xfe, 0xed, 0xca, 0xfe)
	for _, n := range []uint32{40, 40, uint32(len(properties)), 0, 0, 0, 0} {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return append(b, properties...)
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want Event
		ok   bool
	}{
		"kernel": {[]byte(fromKernel), Event{Action: "add", Path: "/devices/platform/vhci_hcd.0/usb1/1-1/1-1:1.0/tty/ttyACM0", Subsystem: "tty", Name: "ttyACM0"}, true},
		"udev": {udev("ACTION=remove\x00DEVPATH=/devices/x/1-1\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00PRODUCT=79b/28/100\x00DEVNAME=/dev/bus/usb/001/002\x00"),
			Event{Action: "remove", Path: "/devices/x/1-1", Subsystem: "usb", Type: "usb_device", Name: "bus/usb/001/002", Product: "79b/28/100", Udev: true}, true},
		"empty":       {nil, Event{}, false},
		"no head":     {[]byte("ACTION=add\x00DEVPATH=/x\x00"), Event{}, false},
		"no path":     {[]byte("add@/x\x00ACTION=add\x00"), Event{Action: "add"}, false},
		"short udev":  {[]byte("libudev\x00\xfe\xed"), Event{}, false},
		"wrong magic": {append([]byte("libudev\x00"), make([]byte, 40)...), Event{}, false},
		"bad offset":  {udev("ACTION=add\x00")[:44], Event{}, false},
	} {
		if got, ok := parse(c.in); ok != c.ok || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fromKernel))
	f.Add(udev("ACTION=add\x00DEVPATH=/x\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parse(b); ok && (e.Action == "" || e.Path == "") {
			t.Errorf("%q gave %+v", b, e)
		}
	})
}

// Root can have the kernel say again that a device is there, on any machine
// with a /sys that can be written: that is how it is heard here.
func TestListen(t *testing.T) {
	l, err := Listen()
	if err != nil {
		t.Skipf("this machine does not tell: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := l.Next(); err != nil {
				ended <- err
				return
			}
		}
	}()
	l.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next after Close gave %v, want os.ErrClosed", err)
	}

	const device = "/sys/class/mem/null/uevent"
	if l, err = Listen(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(device, []byte("change"), 0); err != nil {
		t.Skipf("only root may ask for an event: %v", err)
	}
	for {
		e, _, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Path, "/mem/null") {
			if e.Action != "change" || e.Subsystem != "mem" || e.Name != "null" {
				t.Errorf("heard %+v", e)
			}
			return
		}
	}
}
