package serialio

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/uart"
	"periph.io/x/conn/v3/uart/uartreg"
)

// A program written for periph finds a port by its name and talks on it.
func TestPeriph(t *testing.T) {
	master, name := newPTY(t)
	if err := RegisterUART(Options{Path: name}, "test-serial0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { uartreg.Unregister(name) })
	if err := RegisterUART(Options{Path: name}); err == nil {
		t.Error("a name was registered twice")
	}
	p, err := uartreg.Open("test-serial0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.LimitSpeed(19200 * physic.Hertz); err != nil {
		t.Fatal(err)
	}
	c, err := p.Connect(115200*physic.Hertz, uart.Two, uart.NoParity, uart.NoFlow, 8) // a pty can do no more
	if err != nil {
		t.Fatal(err)
	}
	want := Options{Path: name, Baud: 19200, DataBits: 8, StopBits: StopBitsTwo}
	if err := verify(onlyDescriptor(t, name), want); err != nil {
		t.Errorf("the line is not what was asked for: %v", err)
	}
	go func() {
		master.Write([]byte(strings.ToUpper(string(readFull(t, master, 4)))))
	}()
	r := make([]byte, 4)
	if err := c.Tx([]byte("ping"), r); err != nil || string(r) != "PING" {
		t.Errorf("got %q, %v", r, err)
	}
	if c.Duplex() != conn.Full || c.String() != name || p.String() != name {
		t.Errorf("it is %v, %s, %s", c.Duplex(), c, p)
	}
	if _, err := p.Connect(9600*physic.Hertz, uart.One, uart.NoParity, uart.NoFlow, 8); err == nil {
		t.Error("connected twice")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.(*UARTConn).Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write gave %v, want os.ErrClosed", err)
	}
	for _, bad := range []struct {
		stop   uart.Stop
		parity uart.Parity
		flow   uart.Flow
	}{{uart.OneHalf, uart.NoParity, uart.NoFlow}, {uart.One, 'X', uart.NoFlow}, {uart.One, uart.NoParity, uart.XOnXOff}} {
		p, err := uartreg.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Connect(9600*physic.Hertz, bad.stop, bad.parity, bad.flow, 8); err == nil {
			t.Errorf("%+v was set", bad)
		}
		p.Close()
	}
	if p, _ := uartreg.Open(name); p.LimitSpeed(physic.Hertz) == nil {
		t.Error("a limit of one baud was taken")
	}
}

// A uart: address is the same road, with all that Connect has no words for.
func TestOpenUART(t *testing.T) {
	_, name := newPTY(t)
	for range 2 { // it is registered once
		p, err := OpenUART(Options{Path: name, Baud: 9600, StopBits: StopBitsTwo})
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(onlyDescriptor(t, name), Options{Baud: 9600, DataBits: 8, StopBits: StopBitsTwo}); err != nil {
			t.Error(err)
		}
		p.Close()
	}
	t.Cleanup(func() { uartreg.Unregister(name) })
	if _, err := OpenUART(Options{Path: name, Baud: 1}); err == nil {
		t.Error("one baud was set")
	}
	if _, err := OpenUART(Options{Path: "/dev/none"}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("open of nothing gave %v", err)
	}
	uartreg.Unregister("/dev/none")
}
