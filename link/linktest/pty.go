package linktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/payment"
	"tillgate/link"
)

// NewPTY makes a pseudo-terminal: the terminal's end of a serial line, and the
// name of the port on ours. The end is on the poller, so that deadlines and
// Close work: libraries that ask a file for its descriptor make it blocking, and
// then a simulator cannot tell where a request without a terminator ends.
func NewPTY(t testing.TB) (theirs *os.File, port string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("opening a pseudo-terminal: %v", err)
	}
	number := 0
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err != nil {
		unix.Close(fd)
		t.Fatalf("opening a pseudo-terminal: %v", err)
	}
	theirs = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { theirs.Close() })
	return theirs, fmt.Sprintf("/dev/pts/%d", number)
}

// OpenPTY makes a raw pseudo-terminal: two ends of one serial line. Both are on
// the poller, so that deadlines and Close work as on a real port.
func OpenPTY(t testing.TB) (ours, theirs link.Conn) {
	t.Helper()
	master, port := NewPTY(t)
	slave, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("opening a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	raw, err := slave.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fault error
	err = raw.Control(func(fd uintptr) {
		mode, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err != nil {
			fault = err
			return
		}
		mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
		mode.Cflag = mode.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
		fault = unix.IoctlSetTermios(int(fd), unix.TCSETS, mode)
	})
	if err := errors.Join(err, fault); err != nil {
		t.Fatalf("setting the mode of a pseudo-terminal: %v", err)
	}
	return slave, master
}

// pty sells over a real pseudo-terminal, in real time, and pulls its cable.
func (s Subject) pty(t *testing.T) {
	if s.Apart {
		t.Skip("a serial line has not a connection for each request")
	}
	s.over(t, func(*bench) (link.Conn, link.Conn) { return OpenPTY(t) })
}

// tcp does the same over loopback TCP, dialled as an address of the
// configuration.
func (s Subject) tcp(t *testing.T) {
	if s.Apart {
		t.Skip("there is no cable to pull from a connection that lasts for one request")
	}
	ear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ear.Close() })
	address, err := link.ParseAddress("tcp://" + ear.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.over(t, func(*bench) (link.Conn, link.Conn) {
		ours, err := address.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ear.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return ours, theirs
	})
}

// over sells on real lines, in real time, and pulls the cable.
func (s Subject) over(t *testing.T, dial func(*bench) (ours, theirs link.Conn)) {
	settings := s.anySettings()
	b := newBench(t, s, settings, s.Approve, s.Decline, s.Approve)
	defer b.sim.Close()
	b.dial = dial
	term, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	for _, want := range []payment.Result{payment.Approved, payment.Declined} {
		tx := b.purchase()
		o, err := b.sell(t.Context(), term, &tx, link.Dialogue{})
		b.judge("sale", tx, o, err)
		if err != nil || o.Result != want {
			t.Errorf("got %+v, %v, want %s", o, err, want)
		}
	}
	tx := b.purchase()
	if err := baseline(term, &tx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sent := make(chan struct{}, 1)
	go func() {
		<-sent
		term.Close()
	}()
	o, err := term.Execute(ctx, tx, link.Dialogue{Progress: func(payment.Stage, payment.VendorCode) {
		select {
		case sent <- struct{}{}:
		default:
		}
	}})
	b.judge("sale with the cable pulled", tx, o, err)
	again, err := b.open()
	if err != nil {
		t.Fatalf("with a new cable: %v", err)
	}
	defer again.Close()
	if o, err := b.lookup("lookup", again, tx, time.Second, true); err != nil && !errors.Is(err, link.ErrInProgress) {
		t.Errorf("lookup: got %+v, %v", o, err)
	}
}
