package serialio

import (
	"fmt"
	"strconv"
	"syscall"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// configure sets mode and control lines of the port that fd has open, through
// go.bug.st/serial, and reads back what the driver made of it. The library
// opens /proc/self/fd/N, which is this very device whatever happens to its name
// meanwhile.
func configure(fd int, o Options) error {
	m := &serial.Mode{BaudRate: o.Baud, DataBits: o.DataBits}
	switch o.Parity {
	case ParityOdd:
		m.Parity = serial.OddParity
	case ParityEven:
		m.Parity = serial.EvenParity
	case ParityMark:
		m.Parity = serial.MarkParity
	case ParitySpace:
		m.Parity = serial.SpaceParity
	}
	if o.StopBits == StopBitsTwo {
		m.StopBits = serial.TwoStopBits
	}
	if o.DTROff || o.RTSOff {
		m.InitialStatusBits = &serial.ModemOutputBits{DTR: !o.DTROff, RTS: !o.RTSOff}
	}
	if err := viaLibrary("/proc/self/fd/"+strconv.Itoa(fd), m); err != nil {
		return fmt.Errorf("set %s: %w", o.mode(), err)
	}
	if o.Flow == FlowRTSCTS {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return fmt.Errorf("set flow control: %w", err)
		}
		t.Cflag |= unix.CRTSCTS
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
			return fmt.Errorf("set flow control: %w", err)
		}
	}
	return verify(fd, o)
}

// viaLibrary lets the library open, set and close the port. The fork lock
// keeps its descriptor, which is not close-on-exec, out of any child.
func viaLibrary(path string, m *serial.Mode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	p, err := serial.Open(path, m)
	if err != nil {
		return err
	}
	return p.Close()
}

// verify asks the driver what it really set. A driver that cannot do a speed
// or a parity does not fail: it sets another one and says so only here.
func verify(fd int, o Options) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return fmt.Errorf("read the line settings back: %w", err)
	}
	got := Options{Baud: int(t.Ospeed), DataBits: 5 + int(t.Cflag&unix.CSIZE)/unix.CS6}
	if t.Cflag&unix.PARENB != 0 {
		switch t.Cflag & (unix.PARODD | unix.CMSPAR) {
		case 0:
			got.Parity = ParityEven
		case unix.PARODD:
			got.Parity = ParityOdd
		case unix.CMSPAR:
			got.Parity = ParitySpace
		default:
			got.Parity = ParityMark
		}
	}
	if t.Cflag&unix.CSTOPB != 0 {
		got.StopBits = StopBitsTwo
	}
	if t.Cflag&unix.CRTSCTS != 0 {
		got.Flow = FlowRTSCTS
	}
	// An asynchronous line bears about 3 % of difference in speed.
	off := got.Baud - o.Baud
	if max(off, -off)*100 > 3*o.Baud ||
		got.DataBits != o.DataBits || got.Parity != o.Parity || got.StopBits != o.StopBits || got.Flow != o.Flow {
		return fmt.Errorf("the port cannot do %s%s: its driver set %s%s", o.mode(), o.Flow, got.mode(), got.Flow)
	}
	if t.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || t.Iflag&(unix.IXON|unix.IXOFF|unix.ICRNL|unix.ISTRIP) != 0 || t.Oflag&unix.OPOST != 0 {
		return fmt.Errorf("the port's driver does not pass bytes unchanged")
	}
	return nil
}

func (f Flow) String() string {
	if f == FlowRTSCTS {
		return " with RTS/CTS"
	}
	return ""
}
