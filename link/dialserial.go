package link

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"tillgate/serialio"
)

// parseSerial reads what follows "serial:", a path and a query. It is not a
// URL: names below by-path have colons, and nothing in them is escaped.
func (a *Address) parseSerial(s string) error {
	s, raw, _ := strings.Cut(s, "?")
	if after, ok := strings.CutPrefix(s, "//"); ok {
		s = after
	}
	if !path.IsAbs(s) {
		return errors.New("the path of a serial port begins with a slash: serial:///dev/ttyUSB0")
	}
	a.serial.Path = path.Clean(s)
	q, err := parseQuery(raw, "baud", "bits", "parity", "stop", "flow", "dtr", "rts", "rs485", "enable", "reset", "power", "wake")
	if err != nil {
		return err
	}
	baud, bits, parity, stop, err := line(q)
	if err != nil {
		return err
	}
	o := &a.serial
	o.Baud, o.DataBits, o.Parity = baud, bits, parity
	if stop == 2 {
		o.StopBits = serialio.StopBitsTwo
	}
	flow, err := oneOf(q, "flow", "none", "rtscts")
	if err != nil {
		return err
	}
	if flow == 1 {
		o.Flow = serialio.FlowRTSCTS
	}
	dtr, err := oneOf(q, "dtr", "on", "off")
	if err != nil {
		return err
	}
	rts, err := oneOf(q, "rts", "on", "off")
	if err != nil {
		return err
	}
	o.DTROff, o.RTSOff = dtr == 1, rts == 1
	if o.RTSOff && o.Flow == serialio.FlowRTSCTS {
		return errors.New("rts=off and flow=rtscts exclude each other")
	}
	return a.parseControl(q)
}

// parseControl reads the keys of what is around a port: GPIO lines, RS485, and
// how the terminal is woken.
func (a *Address) parseControl(q map[string]string) error {
	o := &a.serial
	if q["rs485"] != "" {
		high, err := oneOf(q, "rs485", "rts-high", "rts-low")
		if err != nil {
			return err
		}
		o.RS485 = serialio.RS485{On: true, RTSLow: high == 1}
		if o.Flow == serialio.FlowRTSCTS {
			return errors.New("rs485 and flow=rtscts exclude each other")
		}
	}
	o.Lines = serialio.Lines{Enable: q["enable"], Reset: q["reset"], Power: q["power"]}
	o.Wake = q["wake"]
	steps, err := serialio.ParseWake(o.Wake)
	if err != nil {
		return fmt.Errorf("wake=%s: %w", o.Wake, err)
	}
	for _, s := range steps {
		if s.Line == "reset" && o.Lines.Reset == "" {
			return errors.New("wake has a reset: name its line with reset=")
		}
	}
	return nil
}

// line reads the keys that serial and usb share. What is not given is 0.
func line(q map[string]string) (baud, bits int, parity serialio.Parity, stop int, err error) {
	number := func(key string, low, high int) int {
		v, ok := q[key]
		if !ok || err != nil {
			return 0
		}
		n, e := strconv.Atoi(v)
		if e != nil || n < low || n > high {
			err = fmt.Errorf("%s=%s: want %d to %d", key, v, low, high)
		}
		return n
	}
	baud = number("baud", 50, serialio.MaxBaud)
	bits = number("bits", 5, 8)
	stop = number("stop", 1, 2)
	if v, ok := q["parity"]; ok && err == nil {
		parity, err = serialio.ParseParity(v)
	}
	return baud, bits, parity, stop, err
}

// Line is how the line of a serial address is set, as people write it: "115200
// 8N1". It is "" for others.
func (a Address) Line() string {
	if a.scheme != schemeSerial {
		return ""
	}
	return a.serial.Mode()
}

// PowerLine is the GPIO line that cuts the terminal's power, "" for none.
func (a Address) PowerLine() string { return a.serial.Lines.Power }

// ResetLine is the GPIO line that resets the terminal, "" for none.
func (a Address) ResetLine() string { return a.serial.Lines.Reset }

// SerialPath is the path of a serial address as configured, "" for others.
func (a Address) SerialPath() string { return a.serial.Path }
