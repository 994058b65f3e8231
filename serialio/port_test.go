package serialio

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEightBitClean(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name})
	all := make([]byte, 512) // XON, XOFF, NUL, CR, 0xFF and their neighbours
	for i := range all {
		all[i] = byte(i)
	}
	if _, err := p.Write(all); err != nil {
		t.Fatal(err)
	}
	if got := readFull(t, master, len(all)); !bytes.Equal(got, all) {
		t.Errorf("terminal read %x", got)
	}
	if _, err := master.Write(all); err != nil {
		t.Fatal(err)
	}
	if got := readFull(t, p, len(all)); !bytes.Equal(got, all) {
		t.Errorf("port read %x", got)
	}
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want uint32 // the speed the line has afterwards
		err  string
	}{
		{o: Options{}, want: 115200},
		{o: Options{Baud: 9600, StopBits: StopBitsTwo}, want: 9600},
		{o: Options{Baud: 250000}, want: 250000},
		{o: Options{Baud: 19200, Flow: FlowRTSCTS}, want: 19200},
		// The kernel's pty driver has eight bits and no parity, whatever it is told.
		{o: Options{Baud: 9600, DataBits: 7, Parity: ParityEven}, err: "cannot do 9600 7E1: its driver set 9600 8N1"},
		{o: Options{DTROff: true}, err: "set 115200 8N1"}, // nor has it modem lines
		{o: Options{Baud: 10}, err: "baud 10: want 50 to 4000000"},
		{o: Options{DataBits: 9, Parity: 7}, err: "9 data bits: want 5 to 8\nparity 7 is unknown"},
		{o: Options{RTSOff: true, Flow: FlowRTSCTS}, err: "RTS cannot be held low"},
	} {
		master, name := newPTY(t)
		c.o.Path = name
		p, err := Open(c.o)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: error is %v, want %q in it", c.o, err, c.err)
			}
			if fds := descriptors(t, name); len(fds) != 0 {
				t.Errorf("%+v: a refused port is still open as %d", c.o, fds)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		var got *unix.Termios
		conn, _ := master.SyscallConn()
		conn.Control(func(fd uintptr) { got, err = unix.IoctlGetTermios(int(fd), unix.TCGETS2) })
		if err != nil || got.Ospeed != c.want {
			t.Errorf("%+v: line has %d baud (%v), want %d", c.o, got.Ospeed, err, c.want)
		}
		if (got.Cflag&unix.CRTSCTS != 0) != (c.o.Flow == FlowRTSCTS) {
			t.Errorf("%+v: line has flags %#o", c.o, got.Cflag)
		}
		p.Close()
	}
}

func TestOldInputIsDiscarded(t *testing.T) {
	master, name := newPTY(t)
	first := open(t, Options{Path: name})
	master.Write([]byte("an answer nobody waited for"))
	readFull(t, first, 3)
	first.Close()
	p := open(t, Options{Path: name})
	master.Write([]byte("new"))
	if got := readFull(t, p, 3); string(got) != "new" {
		t.Errorf("first bytes after open are %q, want new ones", got)
	}
}

func TestDeadlines(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name})

	p.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := p.Read(make([]byte, 8)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read gave %d, %v, want 0 and a deadline", n, err)
	}

	// Nobody reads the other side: the kernel's buffers fill, then it blocks.
	if n := fill(t, p, master); n <= 0 || n >= full {
		t.Errorf("a write that came to its deadline wrote %d bytes, want a part of %d", n, full)
	}

	// A deadline can be moved to end a call that already waits.
	p.SetReadDeadline(time.Time{})
	done := make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 8)); done <- err }()
	p.SetReadDeadline(time.Unix(1, 0))
	if err := result(t, "read", done); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read gave %v, want a deadline", err)
	}
}

// full is more than a line takes that nobody reads, in bytes.
const full = 1 << 20

// fill writes until the line takes no more, ends that by a deadline, and returns
// how much the line took. The deadline is set when bytes have arrived: one that is
// set before may pass, on a busy machine, before the write begins.
func fill(t *testing.T, p *Port, master *os.File) (n int) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		var err error
		n, err = p.Write(make([]byte, full))
		done <- err
	}()
	arrived(t, master)
	p.SetWriteDeadline(time.Unix(1, 0))
	if err := result(t, "write", done); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("write gave %d, %v, want a deadline", n, err)
	}
	return n
}

func TestCloseWakesBothSides(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name})
	reading, writing, closing := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 8)); reading <- err }()
	go func() { _, err := p.Write(make([]byte, full)); writing <- err }()
	arrived(t, master) // the write has begun and cannot end

	go func() { closing <- p.Close() }()
	if err := result(t, "close of a stuck line", closing); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := result(t, "read", reading); !errors.Is(err, os.ErrClosed) || errors.Is(err, ErrUnplugged) {
		t.Errorf("read gave %v, want os.ErrClosed", err)
	}
	if err := result(t, "write", writing); !errors.Is(err, os.ErrClosed) || errors.Is(err, ErrUnplugged) {
		t.Errorf("write gave %v, want os.ErrClosed", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	for op, err := range map[string]error{
		"read":           second(p.Read(make([]byte, 1))),
		"write":          second(p.Write([]byte("x"))),
		"read deadline":  p.SetReadDeadline(time.Time{}),
		"write deadline": p.SetWriteDeadline(time.Time{}),
		"deadline":       p.SetDeadline(time.Time{}),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after close gave %v, want os.ErrClosed", op, err)
		}
	}
	if fds := descriptors(t, name); len(fds) != 0 {
		t.Errorf("closed port is still open as %d", fds)
	}
}

func second(_ int, err error) error { return err }

// On a pty a few kilobytes have left at once; what waits behind them has not.
func TestCloseDiscardsOutput(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name})
	accepted := fill(t, p, master)
	p.Close()
	arrived, buffer := 0, make([]byte, full)
	for {
		n, err := master.Read(buffer)
		arrived += n
		if err != nil {
			break // the hang-up, after the last byte
		}
	}
	if arrived >= accepted {
		t.Errorf("all of %d bytes arrived after close, want the waiting ones discarded", accepted)
	}
}

func TestUnplug(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name})
	reading, writing := make(chan error, 1), make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 8)); reading <- err }()
	go func() { _, err := p.Write(make([]byte, full)); writing <- err }()
	arrived(t, master)

	master.Close()
	if err := result(t, "read", reading); !errors.Is(err, ErrUnplugged) || errors.Is(err, os.ErrClosed) {
		t.Errorf("read gave %v, want ErrUnplugged", err)
	}
	if err := result(t, "write", writing); !errors.Is(err, ErrUnplugged) || errors.Is(err, os.ErrClosed) {
		t.Errorf("write gave %v, want ErrUnplugged", err)
	}
	// The descriptor is given back before Close, so that the kernel can give
	// the same number to the adapter when it comes back.
	if fds := descriptors(t, name); len(fds) != 0 {
		t.Errorf("lost port is still open as %d", fds)
	}
	for range 3 { // and it never becomes (0, nil)
		if n, err := p.Read(make([]byte, 8)); n != 0 || !errors.Is(err, ErrUnplugged) {
			t.Errorf("read gave %d, %v, want ErrUnplugged", n, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := p.Read(make([]byte, 8)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close gave %v, want os.ErrClosed", err)
	}
}

func TestReplugFollowsTheName(t *testing.T) {
	link := t.TempDir() + "/usb-Ingenico_Telium-if00"
	first, name := newPTY(t)
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	p := open(t, Options{Path: link})
	if p.Path() != name {
		t.Errorf("path is %s, want %s", p.Path(), name)
	}
	// Before the old device goes, so that the new one has another number.
	other, otherName := newPTY(t)
	first.Close()
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) {
		t.Fatalf("read gave %v, want ErrUnplugged", err)
	}
	p.Close()
	os.Remove(link)
	if _, err := Open(Options{Path: link}); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("open without the device gave %v, want fs.ErrNotExist", err)
	}
	if err := os.Symlink(otherName, link); err != nil {
		t.Fatal(err)
	}
	p = open(t, Options{Path: link})
	if p.Path() != otherName {
		t.Errorf("path is %s, want %s", p.Path(), otherName)
	}
	other.Write([]byte("back"))
	if got := readFull(t, p, 4); string(got) != "back" {
		t.Errorf("read %q, want back", got)
	}
}

func TestNothingLeaks(t *testing.T) {
	count := func() (goroutines, fds int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(entries)
	}
	round := func(unplug bool) {
		master, name := newPTY(t)
		p := open(t, Options{Path: name})
		reading, writing := make(chan error, 1), make(chan error, 1)
		go func() { _, err := p.Read(make([]byte, 8)); reading <- err }()
		go func() { _, err := p.Write(make([]byte, full)); writing <- err }()
		arrived(t, master)
		if unplug {
			master.Close()
			result(t, "read", reading)
		}
		p.Close()
		master.Close()
		if !unplug {
			result(t, "read", reading)
		}
		result(t, "write", writing)
	}
	round(true) // what the runtime makes once
	goroutines, fds := count()
	for i := range 100 {
		round(i%2 == 0)
	}
	var g, f int
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if g, f = count(); g <= goroutines && f <= fds {
			return // a goroutine that has sent its result may still be ending
		}
	}
	t.Errorf("after 100 ports: %d goroutines and %d descriptors, before: %d and %d", g, f, goroutines, fds)
}
