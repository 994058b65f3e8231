package serialio

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Step is one step of a sequence of control lines that wakes a terminal when its
// port is opened.
type Step struct {
	Line string        // "dtr", "rts", "reset", or "" to wait
	On   bool          //
	Wait time.Duration // where Line is ""
}

// Bounds of a sequence.
const (
	maxSteps = 16
	maxWake  = 5 * time.Second // together
)

// ParseWake reads steps that are separated by commas: "dtr-off,rts-off,200ms,dtr-on".
func ParseWake(s string) ([]Step, error) {
	if s == "" {
		return nil, nil
	}
	var steps []Step
	var total time.Duration
	for word := range strings.SplitSeq(s, ",") {
		if len(steps) == maxSteps {
			return nil, fmt.Errorf("it has more than %d steps", maxSteps)
		}
		line, level, _ := strings.Cut(word, "-")
		if (line == "dtr" || line == "rts" || line == "reset") && (level == "on" || level == "off") {
			steps = append(steps, Step{Line: line, On: level == "on"})
			continue
		}
		d, err := time.ParseDuration(word)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("step %q: want dtr-on, dtr-off, rts-on, rts-off, reset-on, reset-off or a time like 200ms", word)
		}
		if total += d; total > maxWake {
			return nil, fmt.Errorf("it waits longer than %v", maxWake)
		}
		steps = append(steps, Step{Wait: d})
	}
	return steps, nil
}

// lines are those a port drives.
type lines struct {
	enable, reset *Line
}

// raise makes the port's own lines active and plays the sequence.
func (o Options) raise(fd int) (l lines, err error) {
	defer func() {
		if err != nil {
			l.drop()
		}
	}()
	if o.Lines.Enable != "" {
		if l.enable, err = OpenLine(o.Lines.Enable); err != nil {
			return l, err
		}
		if err := l.enable.Set(true); err != nil {
			return l, err
		}
	}
	if o.Lines.Reset != "" {
		if l.reset, err = OpenLine(o.Lines.Reset); err != nil {
			return l, err
		}
	}
	steps, err := ParseWake(o.Wake)
	if err != nil {
		return l, err
	}
	for _, s := range steps {
		switch s.Line {
		case "":
			time.Sleep(s.Wait)
		case "reset":
			err = l.reset.Set(s.On)
		default:
			bit := unix.TIOCM_DTR
			if s.Line == "rts" {
				bit = unix.TIOCM_RTS
			}
			request := uint(unix.TIOCMBIC)
			if s.On {
				request = unix.TIOCMBIS
			}
			if err = unix.IoctlSetPointerInt(fd, request, bit); err != nil {
				err = fmt.Errorf("set %s: %w", strings.ToUpper(s.Line), err)
			}
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

// drop lets the lines go.
func (l lines) drop() {
	if l.enable != nil {
		_ = l.enable.Set(false) // the port is closed whatever the line says
		l.enable.Close()
	}
	if l.reset != nil {
		l.reset.Close()
	}
}
