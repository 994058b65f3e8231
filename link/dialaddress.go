package link

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
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
