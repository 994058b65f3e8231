package serialio

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/host/v3/gpioioctl"
)

// Lines names GPIO lines around a port. A name is what the kernel calls the
// line ("GPIO17"), a chip and a number ("gpiochip0:17"), or either after a '!',
// which makes it active low. "" is none.
type Lines struct {
	// Enable is active while the port is open: the enable pin of a transceiver.
	Enable string
	// Reset is active only while a sequence or [Pulse] makes it so.
	Reset string
	// Power cuts the terminal's power while it is active, and only then: a relay
	// with the terminal on its resting contact. Nothing drives the line
	// otherwise, so that a terminal keeps its power whatever becomes of us.
	Power string
}

// Line is one GPIO line that this process drives. It is not safe for concurrent
// use.
type Line struct {
	name string
	pin  gpio.PinIO
	low  bool // active low
}

// maxListed bounds how many names an error lists.
const maxListed = 40

// OpenLine finds a line by its name. Nothing is driven yet.
func OpenLine(name string) (*Line, error) {
	l := &Line{name: name}
	bare := strings.TrimPrefix(name, "!")
	l.low = bare != name
	// Calling it again returns what it found the first time.
	state, err := driverreg.Init()
	if err != nil {
		return nil, fmt.Errorf("GPIO line %s: %w", name, err)
	}
	if l.pin = gpioreg.ByName(bare); l.pin != nil {
		return l, nil
	}
	if chip, number, ok := strings.Cut(bare, ":"); ok {
		if n, err := strconv.Atoi(number); err == nil {
			for _, c := range gpioioctl.Chips {
				if c.Name() == chip && n >= 0 && n < c.LineCount() {
					l.pin = c.ByNumber(n)
					return l, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("GPIO line %s: there is no such line; %s", name, linesPresent(state))
}

func linesPresent(state *driverreg.State) string {
	var names []string
	for _, p := range gpioreg.All() {
		names = append(names, p.Name())
	}
	for _, c := range gpioioctl.Chips {
		names = append(names, fmt.Sprintf("%s:0 to %d", c.Name(), c.LineCount()-1))
	}
	if len(names) > 0 {
		more := ""
		if len(names) > maxListed {
			names, more = names[:maxListed], " ..."
		}
		return "there are " + strings.Join(names, ", ") + more
	}
	var why []string
	for _, f := range append(state.Failed, state.Skipped...) {
		why = append(why, f.Err.Error())
	}
	return "no GPIO chip can be used here (" + strings.Join(why, "; ") + "); the user must be in the group of /dev/gpiochip0, usually gpio"
}

// Set drives the line, active or not.
func (l *Line) Set(active bool) error {
	if err := l.pin.Out(gpio.Level(active != l.low)); err != nil {
		return fmt.Errorf("GPIO line %s: %w%s", l.name, err, busy(err))
	}
	return nil
}

func busy(err error) string {
	if errors.Is(err, unix.EBUSY) {
		return ": another program or a driver of the kernel has it"
	}
	return ""
}

// Close stops driving the line; the kernel leaves it as it is or makes it an
// input, as its driver does.
func (l *Line) Close() {
	if c, ok := l.pin.(interface{ Close() }); ok {
		c.Close()
	}
}

// Pulse makes a line active for d, and lets it go: a reset, or power that is
// off for a while.
func Pulse(name string, d time.Duration) error {
	if d <= 0 || d > MaxPulse {
		return fmt.Errorf("GPIO line %s: a pulse of %v: want up to %v", name, d, MaxPulse)
	}
	l, err := OpenLine(name)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Set(true); err != nil {
		return err
	}
	time.Sleep(d)
	return l.Set(false)
}

// MaxPulse is the longest pulse, a terminal's power off.
const MaxPulse = time.Minute
