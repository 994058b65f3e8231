package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/drivers"
	"tillgate/link/linktest"
	"tillgate/serialio"
	"tillgate/usbhid"
)

// awayBox runs a gateway with one terminal that cannot be reached, and returns what
// doctor says of it through the gateway.
func awayBox(t *testing.T, address string) finding {
	t.Helper()
	dir := t.TempDir()
	port, err := freePort(21883)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("box: away\ndata: %s/data\nruntime: %[1]s/run\nsegment_size: 2MiB\nmqtt: {destinations: [{name: none, url: \"mqtt://127.0.0.1:%d\", commands: false}]}\n"+
		"terminals:\n  - {name: front, driver: ecrvn, address: %q, currency: VND, max_amount: \"1000\", profile: {query_timeout: 1s}}\n", dir, port, address)
	c, err := config.Parse("test", []byte(text), drivers.All())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up := make(chan struct{})
	b := &box{config: c, log: slog.New(slog.DiscardHandler), ready: func(*box) { close(up) }}
	ended := make(chan error, 1)
	go func() { ended <- b.run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-up:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); ; {
		changed := b.gateway.Changed()
		s := b.gateway.Status().Terminals[0]
		if s.Error != "" {
			return running(s)
		}
		select {
		case <-changed:
		case <-time.After(time.Until(until)):
			t.Fatalf("no word about the terminal: %+v", s)
		}
	}
}

// Whatever keeps a terminal offline, doctor says that, and what to do about it, and
// not the same of everything.
func TestDoctorOfATerminalThatIsAway(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	go func() {
		for {
			c, err := stranger.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					_, _ = io.WriteString(c, "220 mail.example ready\r\n")
				}
			}()
		}
	}()
	_, mute := linktest.NewPTY(t)
	noisy, noise := linktest.NewPTY(t)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := noisy.Read(b)
			if errors.Is(err, unix.EIO) { // nobody has the port open
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				return
			}
			_, _ = noisy.Write(bytes.Repeat([]byte{0xf8}, n))
		}
	}()
	_, taken := linktest.NewPTY(t)
	fd, err := unix.Open(taken, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	usb := "is the cable in, and the terminal on?"
	if _, err := usbhid.Open(t.Context(), usbhid.Options{Vendor: 0xffff, Product: 0xfffe}); errors.Is(err, usbhid.ErrNotBuilt) {
		usb = "install the release binary"
	} else if errors.Is(err, usbhid.ErrNoUSB) {
		usb = "shows no USB"
	}
	for _, c := range []struct{ name, address, found, next string }{
		{"no port", "/dev/tty-none", "no such port", "is the cable in, and the terminal on?"},
		{"port taken", taken, "the port is in use", "end the other program"},
		{"mute", mute, "the line is there and mute", "Has the bank enabled the link to a cash register (ECR)?"},
		{"speed", noise, "that is what a wrong speed looks like", "compare baud"},
		{"protocol", "tcp://" + stranger.Addr().String(), "somebody answers, and not as", "which protocol does the bank's paper name?"},
		{"nobody listens", "tcp://" + closed.Addr().String(), "connection refused", "nothing listens on that port"},
		{"no USB device", "usb:ffff:fffe", "usb ffff:fffe", usb},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := awayBox(t, c.address)
			if f.Level != bad || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Next, c.next) || f.Next == "" {
				t.Errorf("got %+v, want %s -> %s", f, c.found, c.next)
			}
		})
	}
}

// What a terminal says is not taken for a line's fault.
func TestExplainOfAnAnswer(t *testing.T) {
	all := drivers.All()
	ssi := all[slices.IndexFunc(all, func(d link.Driver) bool { return d.Name == "ssi" })]
	a, err := link.ParseAddress("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	x := &tap{address: a, driver: ssi}
	x.sent.Store(1)
	x.heard.Store(100)
	for _, err := range []error{&link.Answered{Err: errors.New("it is being serviced")}, payment.Refuse(payment.ReasonBlocked, "its key has expired")} {
		if found, next := x.explain(err); found != "" || !strings.Contains(next, "what it says is to be done at the terminal") {
			t.Errorf("%v: got %q, %q", err, found, next)
		}
	}
	for want, err := range map[string]error{
		"the device's group": os.ErrPermission, "the name is not known here": &net.DNSError{Err: "no such host"}, "is not trusted": x509.UnknownAuthorityError{},
		"in this network": fmt.Errorf("dial: %w", unix.EHOSTUNREACH), "its plug was pulled": serialio.ErrUnplugged,
	} {
		if found, next := x.explain(err); found != "" || !strings.Contains(next, want) {
			t.Errorf("%v: got %q, %q, want %q", err, found, next, want)
		}
	}
}
