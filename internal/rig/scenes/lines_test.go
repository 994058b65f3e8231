package scenes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tillgate/serialio"
)

// Control lines of real drivers: an 8250 everywhere, and where the machine has
// them a PL011 that can do RS485 and a PL061 with GPIO lines.
func TestControlLines(t *testing.T) { // before the cables are in use: not parallel
	inMachine(t)
	if hasPCI() {
		p, err := serialio.Open(serialio.Options{Path: uart(t, "11"), Wake: "dtr-off,rts-off,10ms,dtr-on,rts-on", Flow: serialio.FlowRTSCTS, Baud: 9600, DataBits: 7, Parity: serialio.ParityEven})
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(p.Path(), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0) // root passes the exclusive flag
		if err != nil {
			t.Fatal(err)
		}
		lines, err := unix.IoctlGetInt(fd, unix.TIOCMGET)
		if err != nil || lines&unix.TIOCM_DTR == 0 || lines&unix.TIOCM_RTS == 0 {
			t.Errorf("lines are %#x, %v, want DTR and RTS", lines, err)
		}
		unix.Close(fd)
		p.Close()
	}
	if machineName() == "x86_64" || !hasPCI() {
		return // no PL011 with RS485, no GPIO
	}
	rs485(t)
	gpioLines(t)
}

func rs485(t *testing.T) {
	p, err := serialio.Open(serialio.Options{Path: "/dev/ttyAMA0", RS485: serialio.RS485{On: true}})
	if err != nil {
		t.Errorf("RS485 on the PL011: %v", err)
		return
	}
	p.Close()
	// Afterwards it is an ordinary port again.
	if p, err = serialio.Open(serialio.Options{Path: "/dev/ttyAMA0", Flow: serialio.FlowRTSCTS}); err != nil {
		t.Errorf("after RS485: %v", err)
		return
	}
	p.Close()
}

func gpioLines(t *testing.T) {
	if err := unix.Mount("none", "/sys/kernel/debug", "debugfs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
	const line = "gpiochip0:5"
	level := func() string { // what the kernel says: "gpio-509 ( |scenes.test@77 ) out hi"
		b, err := os.ReadFile("/sys/kernel/debug/gpio")
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(b)) {
			if f := strings.Fields(l); strings.Contains(l, filepath.Base(os.Args[0])) {
				return strings.Join(f[len(f)-2:], " ")
			}
		}
		return ""
	}
	p, err := serialio.Open(serialio.Options{Path: uart(t, "11"), Lines: serialio.Lines{Enable: line}})
	if err != nil {
		t.Fatal(err)
	}
	if got := level(); got != "out hi" {
		t.Errorf("the enable line of an open port is %q, want out hi", got)
	}
	if _, err := serialio.OpenLine("gpiochip0:99"); err == nil || !strings.Contains(err.Error(), "gpiochip0:0 to 7") {
		t.Errorf("a line that is not there: %v", err)
	}
	p.Close()
	if got := level(); got != "" {
		t.Errorf("the enable line of a closed port is still held: %q", got)
	}
}
