package link

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tillgate/serialio"
	"tillgate/usbhid"
)

// maxAddress bounds an address, in bytes.
const maxAddress = 1024

const (
	schemeSerial = "serial"
	schemeUART   = "uart"
	schemeUSB    = "usb"
	schemeTCP    = "tcp"
	schemeHTTP   = "http"
	schemeHTTPS  = "https"
	schemeSim    = "sim"
)

// Address is where a terminal is. [ParseAddress] makes it; the zero value is
// no address.
type Address struct {
	text   string // as configured
	scheme string
	host   string   // host:port of tcp, http and https
	url    *url.URL // of http, https and sim
	serial serialio.Options
	periph bool // of serial: open it through periph
	usb    usbhid.Options
}

// String is the address as configured.
func (a Address) String() string { return a.text }

// Scheme is "serial", "usb", "tcp", "http", "https" or "sim".
func (a Address) Scheme() string { return a.scheme }

// URL is a copy of an http, https or sim address, nil for the others. Whoever
// uses it checks the query.
func (a Address) URL() *url.URL {
	if a.url == nil {
		return nil
	}
	u := *a.url
	return &u
}

// ParseAddress reads where a terminal is. It does no I/O.
//
//	serial:///dev/serial/by-id/usb-X?baud=9600   or the bare path
//	    baud=115200 bits=8 parity=none|odd|even|mark|space stop=1|2
//	    flow=none|rtscts dtr=on|off rts=on|off
//	    rs485=rts-high|rts-low   enable=GPIO17 reset=GPIO22 power=!GPIO27
//	    wake=dtr-off,200ms,dtr-on
//	uart:///dev/ttyAMA0                          the same, opened through periph's uartreg
//	usb:0b00:0080?serial=123&port=1-1.4          USB vendor and product ids, in hex
//	    the same baud, bits, parity and stop; usb:?port=1-1.4 for any ids
//	    as=acm|bulk|hid interface=0..255, else the first part that carries bytes;
//	    framing=count|raw report=1..255, how HID reports carry bytes
//	tcp://192.168.1.20:8000
//	http://192.168.1.20:8080/path                https:// likewise
//	sim://ecrvn                                  a simulator of that driver
//
// An unknown or repeated key is refused by name, and so is a password: it
// belongs into a file.
func ParseAddress(s string) (Address, error) {
	a, err := parseAddress(s)
	if err != nil {
		if len(s) > maxAddress {
			s = s[:32] + "..."
		}
		return Address{}, fmt.Errorf("terminal address %q: %w", s, err)
	}
	return a, nil
}

// Address reads where a terminal of this protocol is: as [ParseAddress] does, with
// the protocol's own Line where s leaves it open.
func (d Driver) Address(s string) (Address, error) {
	a, err := ParseAddress(s)
	if err != nil || d.Line == "" || a.scheme != schemeSerial && a.scheme != schemeUSB {
		return a, err
	}
	where, raw, _ := strings.Cut(s, "?")
	given, err := url.ParseQuery(raw)
	if err != nil {
		return a, err
	}
	words := strings.FieldsFunc(raw, func(r rune) bool { return r == '&' })
	for word := range strings.SplitSeq(d.Line, "&") {
		if key, _, _ := strings.Cut(word, "="); !given.Has(key) {
			words = append(words, word)
		}
	}
	b, err := ParseAddress(where + "?" + strings.Join(words, "&"))
	b.text = a.text
	return b, err
}

func parseAddress(s string) (Address, error) {
	a := Address{text: s}
	switch {
	case s == "":
		return a, errors.New("it is empty; write for example /dev/ttyUSB0, tcp://host:port or sim://ecrvn")
	case len(s) > maxAddress:
		return a, fmt.Errorf("it is longer than %d bytes", maxAddress)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return a, errors.New("it has control characters")
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if strings.HasPrefix(s, "/") {
		scheme, rest, ok = schemeSerial, s, true
	}
	if !ok {
		return a, errors.New("it has no scheme; write for example /dev/ttyUSB0, tcp://host:port or sim://ecrvn")
	}
	a.scheme = scheme
	var err error
	switch scheme {
	case schemeSerial:
		err = a.parseSerial(rest)
	case schemeUART: // a serial port in every other respect
		a.scheme, a.periph = schemeSerial, true
		err = a.parseSerial(rest)
	case schemeUSB:
		err = a.parseUSB(rest)
	case schemeTCP, schemeHTTP, schemeHTTPS, schemeSim:
		err = a.parseURL()
	default:
		err = fmt.Errorf("scheme %q is unknown; there are serial, uart, usb, tcp, http, https and sim", scheme)
	}
	return a, err
}

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

// parseUSB reads what follows "usb:".
func (a *Address) parseUSB(s string) error {
	s, raw, _ := strings.Cut(s, "?")
	s = strings.TrimPrefix(s, "//")
	q, err := parseQuery(raw, "serial", "port", "as", "interface", "framing", "report", "baud", "bits", "parity", "stop")
	if err != nil {
		return err
	}
	if s != "" {
		vendor, product, ok := strings.Cut(s, ":")
		v, err1 := strconv.ParseUint(vendor, 16, 16)
		p, err2 := strconv.ParseUint(product, 16, 16)
		if !ok || err1 != nil || err2 != nil || v == 0 || p == 0 {
			return fmt.Errorf("USB ids %q: want vendor:product in hex, as lsusb shows them: usb:0b00:0080", s)
		}
		a.usb.Vendor, a.usb.Product = uint16(v), uint16(p)
	} else if q["port"] == "" {
		return errors.New("give the USB ids or the port: usb:0b00:0080 or usb:?port=1-1.4")
	}
	a.usb.Serial, a.usb.Port = q["serial"], q["port"]
	if a.usb.Port != "" && !IsUSBPort(a.usb.Port) {
		return fmt.Errorf("port=%s: want a port as Linux names it: 1-1.4", a.usb.Port)
	}
	baud, bits, parity, stop, err := line(q)
	if err != nil {
		return err
	}
	a.usb.Line = usbhid.LineCoding{Baud: uint32(baud), DataBits: uint8(bits), Parity: uint8(parity), StopBits: uint8(stop)}
	return a.parseUSBKind(q)
}

var usbPort = regexp.MustCompile(`^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}$`)

// IsUSBPort says whether s can be where a USB device is plugged in, as Linux names
// it: bus, dash, ports of hubs.
func IsUSBPort(s string) bool { return usbPort.MatchString(s) }

// parseUSBKind reads the keys that say which part of a USB device carries the
// bytes, and how.
func (a *Address) parseUSBKind(q map[string]string) error {
	if q["as"] != "" {
		kinds := []usbhid.Kind{usbhid.CDCACM, usbhid.Bulk, usbhid.HID}
		i, err := oneOf(q, "as", "acm", "bulk", "hid")
		if err != nil {
			return err
		}
		a.usb.As = kinds[i]
	}
	if text, ok := q["interface"]; ok {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return fmt.Errorf("interface=%s: want 0 to 255", text)
		}
		a.usb.Interface = usbhid.Interface{Given: true, Number: uint8(n)}
	}
	if text, ok := q["report"]; ok {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n == 0 {
			return fmt.Errorf("report=%s: want 1 to 255", text)
		}
		a.usb.Report.ID = uint8(n)
	}
	raw, err := oneOf(q, "framing", "count", "raw")
	if err != nil {
		return err
	}
	a.usb.Report.Raw = raw == 1
	if a.usb.As != usbhid.HID && a.usb.Report != (usbhid.Report{}) {
		return errors.New("report and framing are for HID devices: add as=hid")
	}
	return nil
}

// parseURL reads tcp, http, https and sim.
func (a *Address) parseURL() error {
	u, err := url.Parse(a.text)
	if err != nil {
		return errors.Unwrap(err) // without the address, which the caller adds
	}
	switch {
	case u.User != nil:
		return errors.New("it has a user or a password; these belong into a file that the configuration names")
	case u.Host == "":
		return fmt.Errorf("nothing follows %s://", a.scheme)
	case u.Fragment != "":
		return errors.New("it has a fragment (#...)")
	}
	if a.scheme == schemeSim {
		if u.Port() != "" || strings.Trim(u.Path, "/") != "" {
			return errors.New("only the name of a driver follows sim://")
		}
		a.url = u
		return nil
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		return errors.New("it has no host")
	}
	if !isHost(host) {
		return fmt.Errorf("host %q is neither a name nor an IP address", host)
	}
	if port == "" {
		switch a.scheme {
		case schemeTCP:
			return errors.New("it has no port: tcp://host:port")
		case schemeHTTP:
			port = "80"
		case schemeHTTPS:
			port = "443"
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: want 1 to 65535", port)
	}
	a.host = net.JoinHostPort(host, port)
	if a.scheme != schemeTCP {
		a.url = u
		return nil
	}
	if u.Path != "" && u.Path != "/" {
		return fmt.Errorf("a tcp address has no path, this one has %q", u.Path)
	}
	_, err = parseQuery(u.RawQuery) // tcp has no keys
	return err
}

// isHost accepts IP addresses and what may be a name in DNS or /etc/hosts.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	})
}

// parseQuery takes keys from known, each once.
func parseQuery(raw string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", raw, err)
	}
	q := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v := values[key]
		switch {
		case !slices.Contains(known, key) && len(known) == 0:
			return nil, fmt.Errorf("key %q is unknown; this address has none", key)
		case !slices.Contains(known, key):
			return nil, fmt.Errorf("key %q is unknown; there are %s", key, strings.Join(known, ", "))
		case len(v) != 1:
			return nil, fmt.Errorf("key %q is given %d times", key, len(v))
		case v[0] == "":
			return nil, fmt.Errorf("key %q has no value", key)
		}
		q[key] = v[0]
	}
	return q, nil
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

// oneOf tells which of the words key has; the first is the default.
func oneOf(q map[string]string, key string, words ...string) (int, error) {
	v, ok := q[key]
	if !ok {
		return 0, nil
	}
	i := slices.Index(words, v)
	if i < 0 {
		return 0, fmt.Errorf("%s=%s: want %s", key, v, strings.Join(words, " or "))
	}
	return i, nil
}
