package link

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"tillgate/serialio"
	"tillgate/usbhid"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		text   string
		scheme string
		serial serialio.Options
		usb    usbhid.Options
		host   string
	}{
		{text: "/dev/ttyUSB0", scheme: "serial", serial: serialio.Options{Path: "/dev/ttyUSB0"}},
		{text: "serial:///dev/ttyUSB0", scheme: "serial", serial: serialio.Options{Path: "/dev/ttyUSB0"}},
		{text: "serial:/dev/ttyUSB0?baud=9600", scheme: "serial", serial: serialio.Options{Path: "/dev/ttyUSB0", Baud: 9600}},
		{text: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.0-port0?baud=19200&bits=7&parity=even&stop=2&flow=rtscts&dtr=off",
			scheme: "serial", serial: serialio.Options{Path: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.0-port0",
				Baud: 19200, DataBits: 7, Parity: serialio.ParityEven, StopBits: serialio.StopBitsTwo, Flow: serialio.FlowRTSCTS, DTROff: true}},
		{text: "uart:///dev/ttyAMA0?baud=9600&enable=GPIO17&reset=!GPIO22&power=gpiochip0:27&wake=reset-on,50ms,reset-off&rs485=rts-low", scheme: "serial",
			serial: serialio.Options{Path: "/dev/ttyAMA0", Baud: 9600, Lines: serialio.Lines{Enable: "GPIO17", Reset: "!GPIO22", Power: "gpiochip0:27"},
				Wake: "reset-on,50ms,reset-off", RS485: serialio.RS485{On: true, RTSLow: true}}},
		{text: "usb:0b00:00Af", scheme: "usb", usb: usbhid.Options{Vendor: 0x0b00, Product: 0x00af}},
		{text: "usb://0b00:0080?serial=A1&port=1-1.4&baud=57600&stop=2", scheme: "usb",
			usb: usbhid.Options{Vendor: 0x0b00, Product: 0x0080, Serial: "A1", Port: "1-1.4", Line: usbhid.LineCoding{Baud: 57600, StopBits: 2}}},
		{text: "usb:0b00:0072?as=hid&framing=raw&report=3&interface=1", scheme: "usb", usb: usbhid.Options{Vendor: 0x0b00, Product: 0x0072,
			As: usbhid.HID, Interface: usbhid.Interface{Given: true, Number: 1}, Report: usbhid.Report{ID: 3, Raw: true}}},
		{text: "usb:0b00:0072?as=bulk&interface=0", scheme: "usb", usb: usbhid.Options{Vendor: 0x0b00, Product: 0x0072, As: usbhid.Bulk, Interface: usbhid.Interface{Given: true}}},
		{text: "usb:?port=1-1.4", scheme: "usb", usb: usbhid.Options{Port: "1-1.4"}},
		{text: "tcp://192.168.1.20:8000", scheme: "tcp", host: "192.168.1.20:8000"},
		{text: "tcp://[fe80::1]:8000/", scheme: "tcp", host: "[fe80::1]:8000"},
		{text: "http://pos.local/ecr?x=1", scheme: "http", host: "pos.local:80"},
		{text: "https://pos.local", scheme: "https", host: "pos.local:443"},
		{text: "sim://ecrvn?script=slow,approve", scheme: "sim"},
	} {
		a, err := ParseAddress(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if a.Scheme() != c.scheme || a.serial != c.serial || a.usb != c.usb || a.host != c.host || a.String() != c.text {
			t.Errorf("%s is %+v", c.text, a)
		}
	}
	a, _ := ParseAddress("sim://ecrvn?script=slow,approve")
	if u := a.URL(); u.Host != "ecrvn" || u.Query().Get("script") != "slow,approve" {
		t.Errorf("simulator is %v", u)
	}
}

func TestParseAddressRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "it is empty",
		"ttyUSB0":                              "has no scheme",
		"COM3:":                                `scheme "COM3" is unknown; there are serial, uart, usb`,
		"serial://ttyUSB0":                     "begins with a slash",
		"/dev/ttyUSB0?speed=9600":              `key "speed" is unknown; there are baud, bits`,
		"/dev/ttyUSB0?baud=9600&baud":          `key "baud" is given 2 times`,
		"/dev/ttyUSB0?baud=":                   `key "baud" has no value`,
		"/dev/ttyUSB0?baud=fast":               "baud=fast: want 50 to 4000000",
		"/dev/ttyUSB0?bits=9":                  "bits=9: want 5 to 8",
		"/dev/ttyUSB0?parity=e":                `parity "e": want none, odd`,
		"/dev/ttyUSB0?stop=3":                  "stop=3: want 1 to 2",
		"/dev/ttyUSB0?flow=xonxoff":            "flow=xonxoff: want none or rtscts",
		"/dev/ttyUSB0?dtr=low":                 "dtr=low: want on or off",
		"/dev/t?flow=rtscts&rts=off":           "exclude each other",
		"/dev/t?a;b":                           "semicolon",
		"/dev/t\x00":                           "control characters",
		"/" + strings.Repeat("x", maxAddress):  "longer than 1024 bytes",
		"usb:":                                 "give the USB ids or the port",
		"usb:0b00":                             "want vendor:product in hex",
		"usb:0b00:10000":                       "want vendor:product in hex",
		"usb:0000:0000":                        "want vendor:product in hex",
		"/dev/ttyS0?rs485=on":                  "rs485=on: want rts-high or rts-low",
		"/dev/ttyS0?rs485=rts-low&flow=rtscts": "exclude each other",
		"/dev/ttyS0?wake=reset-on":             "name its line with reset=",
		"/dev/ttyS0?wake=dtr":                  "want dtr-on",
		"/dev/ttyS0?wake=9s":                   "longer than 5s",
		"usb:0b00:0080?as=serial":              "as=serial: want acm or bulk or hid",
		"usb:0b00:0080?interface=256":          "want 0 to 255",
		"usb:0b00:0080?as=hid&report=0":        "want 1 to 255",
		"usb:0b00:0080?framing=raw":            "add as=hid",
		"usb:0b00:0080?flow=none":              `key "flow" is unknown`,
		"tcp://":                               "nothing follows tcp://",
		"tcp://host":                           "it has no port",
		"tcp://:8000":                          "it has no host",
		"tcp://]:1":                            `host "]" is neither`,
		"tcp://host:0":                         "want 1 to 65535",
		"tcp://host:70000":                     "want 1 to 65535",
		"tcp://host:1/path":                    `no path, this one has "/path"`,
		"tcp://host:1?nodelay=1":               `key "nodelay" is unknown; this address has none`,
		"http://user:secret@host/":             "a user or a password",
		"https://host/#x":                      "a fragment",
		"sim://ecrvn/x":                        "only the name of a driver",
		"sim://ecrvn:1":                        "only the name of a driver",
		"http://%zz/":                          "invalid URL escape",
	} {
		_, err := ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"/dev/ttyUSB0?baud=9600&parity=odd", "serial:///dev/serial/by-id/usb-X", "usb:0b00:0080?serial=1&port=1-1.4",
		"tcp://[::1]:80", "http://host/path?x=1", "https://user:pw@host", "sim://ecrvn?script=a", "", "?", "tcp://%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			if a != (Address{}) {
				t.Errorf("%q is refused and still %+v", s, a)
			}
			return
		}
		if a.String() != s || len(s) > maxAddress {
			t.Errorf("%q became %q", s, a)
		}
		switch a.Scheme() {
		case schemeSerial:
			if !filepath.IsAbs(a.serial.Path) {
				t.Errorf("%q has the path %q", s, a.serial.Path)
			}
		case schemeTCP, schemeHTTP, schemeHTTPS:
			if host, port, err := net.SplitHostPort(a.host); err != nil || host == "" || port == "" {
				t.Errorf("%q has the host %q", s, a.host)
			}
		}
	})
}

func mustParse(t *testing.T, s string) Address {
	t.Helper()
	a, err := ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDialSerial(t *testing.T) {
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	tty.Close()
	c, err := mustParse(t, tty.Name()+"?baud=9600").Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	talk(t, c, terminal)

	_, err = mustParse(t, "/dev/serial/by-id/nothing-there").Dial(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no such port (") {
		t.Errorf("error is %v, want no such port", err)
	}
}

func TestDialTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			accepted <- c
		}
		close(accepted)
	}()
	a := mustParse(t, "tcp://"+l.Addr().String())
	c, err := a.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	terminal, ok := <-accepted
	if !ok {
		t.Fatal("nobody called")
	}
	defer terminal.Close()
	talk(t, c, terminal)

	l.Close()
	if _, err := a.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused; is the terminal on") {
		t.Errorf("error is %v, want connection refused", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}

// talk checks what Conn promises, whatever the wire.
func talk(t *testing.T, c Conn, terminal io.ReadWriter) {
	t.Helper()
	b := make([]byte, 3)
	if _, err := c.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(terminal, b); err != nil || string(b) != "ask" {
		t.Fatalf("terminal read %q, %v", b, err)
	}
	if _, err := terminal.Write([]byte("yes")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "yes" {
		t.Fatalf("read %q, %v", b, err)
	}
	c.SetReadDeadline(time.Unix(1, 0))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read gave %v, want a deadline", err)
	}
	c.SetReadDeadline(time.Time{})
	woken := make(chan error, 1)
	go func() { _, err := c.Read(b); woken <- err }()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case err := <-woken:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("read gave %v, want os.ErrClosed", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("close did not wake read")
	}
	if _, err := c.Write(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close gave %v, want os.ErrClosed", err)
	}
	if err := c.SetWriteDeadline(time.Now()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("deadline after close gave %v, want os.ErrClosed", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestDialRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"http://host/x":  "dial http://host/x: this is a web service",
		"https://host/x": "this is a web service",
		"sim://ecrvn":    "runs inside the gateway",
		"usb:ffff:ffff":  "usb ffff:ffff", // no such device, or no USB in this build
	} {
		c, err := mustParse(t, text).Dial(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q in it", text, err, want)
		}
		if c != nil {
			t.Errorf("%s: an error and a connection", text)
		}
	}
	if _, err := (Address{}).Dial(t.Context()); err == nil {
		t.Error("no address was dialled")
	}
}

func TestDevice(t *testing.T) {
	link := filepath.Join(t.TempDir(), "usb-Ingenico")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for _, same := range [][]string{
		{link + "?baud=9600", "serial:///dev/null", "/dev/../dev/null"},
		{"tcp://POS.local:8080", "http://pos.local:8080/a", "https://pos.local:8080/b"},
		{"usb:0B00:0080", "usb://b00:80?baud=9600"},
		{"/dev/gone", "serial:///dev//gone?parity=odd"},
	} {
		for _, other := range same[1:] {
			if got, want := mustParse(t, other).Device(), mustParse(t, same[0]).Device(); got != want || got == "" {
				t.Errorf("%s is %q, %s is %q, want the same", other, got, same[0], want)
			}
		}
	}
	seen := make(map[string]string)
	for _, text := range []string{"/dev/ttyS0", "/dev/ttyS1", "tcp://h:1", "tcp://h:2", "http://h", "https://h", "usb:1:1", "usb:1:2", "usb:1:1?serial=a", "usb:?port=1-1"} {
		d := mustParse(t, text).Device()
		if seen[d] != "" {
			t.Errorf("%s and %s are both %q", text, seen[d], d)
		}
		seen[d] = text
	}
	if d := mustParse(t, "sim://ecrvn").Device(); d != "" {
		t.Errorf("simulator is %q, want a device of its own", d)
	}
}

// A driver's own line holds where the address leaves it open.
func TestDriverAddress(t *testing.T) {
	d := Driver{Line: "baud=9600&parity=even"}
	for s, want := range map[string]string{
		"/dev/ttyUSB0":                            "9600 8E1",
		"uart:///dev/ttyAMA0?":                    "9600 8E1",
		"/dev/ttyUSB0?stop=2&baud=19200":          "19200 8E2",
		"serial:///dev/ttyUSB0?parity=none":       "9600 8N1",
		"serial:///dev/x?baud=115200&parity=mark": "115200 8M1",
		"tcp://127.0.0.1:1":                       "",
		"http://127.0.0.1/?baud=1":                "",
		"usb:067b:2303?serial=1":                  "",
		"sim://ecrvn":                             "",
	} {
		a, err := d.Address(s)
		if err != nil || a.Line() != want || a.String() != s {
			t.Errorf("%s: got %q, %q, %v, want %q", s, a.Line(), a, err, want)
		}
	}
	if a, err := (Driver{}).Address("/dev/ttyUSB0"); err != nil || a.Line() != "115200 8N1" {
		t.Errorf("a driver without a line: %q, %v", a.Line(), err)
	}
	for _, bad := range []string{"/dev/ttyUSB0?baud=x", "/dev/ttyUSB0?a;b"} {
		if a, err := d.Address(bad); err == nil {
			t.Errorf("%s was read: %v", bad, a)
		}
	}
	if a, err := d.Address("usb:079b:0028?as=acm"); err != nil || a.usb.Line != (usbhid.LineCoding{Baud: 9600, Parity: 2}) {
		t.Errorf("a USB device that is a serial port: %+v, %v", a.usb.Line, err)
	}
	if _, err := (Driver{Line: "baud=0"}).Address("/dev/ttyUSB0"); err == nil {
		t.Error("a line that cannot be was set")
	}
}
