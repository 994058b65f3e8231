package bpos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"tillgate/internal/secretfile"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// Open starts or dials a bridge and opens the port of the terminal with it, as
// the guide's sample does:
//
//	hello, useLogging(0), SetErrorLang, UseMac, CommClose, CommOpen, SelectApp, POSGetInfo
//
// A terminal that serves a customer does not answer POSGetInfo: the error says
// that it is busy or cannot be reached.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "UAH", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log, kept: map[string]bool{}, voided: map[string]bool{}, seen: map[string]string{}}
	err = t.connect(ctx, c)
	if err == nil {
		return t, nil
	}
	if t.bridge != nil {
		t.Close()
	}
	return nil, &link.Error{Op: "open", Err: err}
}

func (t *terminal) connect(ctx context.Context, c link.Config) error {
	p, err := portOf(t.settings, c.Address)
	if err != nil {
		return err
	}
	conn, err := t.dial(ctx, c)
	if err != nil {
		return err
	}
	t.bridge = bridge.NewClient(conn)
	hello, err := t.bridge.Hello(ctx, t.settings.QueryTimeout)
	if err != nil {
		return err
	}
	t.kind, t.library = hello.Kind, hello.Library
	if err := t.prepareLibrary(ctx); err != nil {
		return err
	}
	if err := t.call(ctx, p.method, p.args...); err != nil {
		if r, ok := errors.AsType[*refused](err); ok {
			return fmt.Errorf("%w: the library cannot open %s: is the cable in, the port free and its name right?", r, p.name)
		}
		return err
	}
	if app, index, ok := strings.Cut(t.settings.Application, "/"); ok {
		n, _ := strconv.ParseInt(index, 10, 64)
		a, err := t.ask(ctx, "SelectApp", app, n)
		if err != nil || a.err() != nil {
			return fmt.Errorf("SelectApp %s: %w", app, errors.Join(err, a.err()))
		}
	}
	if _, err := t.info(ctx); err != nil {
		return err
	}
	return t.show(ctx)
}

// prepareLibrary sets what does not need the terminal. An old library may lack
// any of it but the MAC, which is there because the bank wants it.
func (t *terminal) prepareLibrary(ctx context.Context) error {
	for _, step := range []struct {
		method string
		args   []any
	}{
		{"useLogging", []any{0, ""}},
		{"SetErrorLang", []any{languages[t.settings.Language]}},
		{"CommClose", nil},
	} {
		if err := tolerate(t.call(ctx, step.method, step.args...)); err != nil {
			return err
		}
	}
	if t.settings.MACKeyFile == "" {
		return nil
	}
	key, err := readKey(t.settings.MACKeyFile)
	if err != nil {
		return err
	}
	return t.call(ctx, "UseMac", 0, key)
}

// dial starts the bridge of the profile, or connects to the one at the address.
func (t *terminal) dial(ctx context.Context, c link.Config) (link.Conn, error) {
	if t.settings.Bridge != "" && !simulated(c.Address) {
		t.local = true
		return startBridge(t.settings.Bridge, t.settings.Library, t.log)
	}
	return c.Dial(ctx)
}

func simulated(address string) bool { return strings.HasPrefix(address, "sim:") }

// port is how the library opens the terminal.
type port struct {
	method string
	args   []any
	name   string // for people
}

// portOf reads it from the profile, or with a bridge here from the terminal's
// address. A bridge that is not told opens the first port with a terminal.
func portOf(s *Settings, address string) (port, error) {
	if s.Bridge == "" || simulated(address) {
		if m := tcpPort.FindStringSubmatch(s.Port); m != nil {
			return port{"CommOpenTCP", []any{m[1], m[2]}, s.Port}, nil
		}
		if n := comNumber(s.Port); n > 0 {
			return port{"CommOpen", []any{strconv.Itoa(n), s.Baud}, s.Port}, nil
		}
		return port{"CommOpenAuto", []any{s.Baud}, "any port"}, nil
	}
	a, err := link.ParseAddress(address)
	if err != nil {
		return port{}, err
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(address, a.Scheme()+":"), "//")
	switch a.Scheme() {
	case "tcp":
		host, number, _ := strings.Cut(strings.TrimSuffix(rest, "/"), ":")
		return port{"CommOpenTCP", []any{host, number}, address}, nil
	case "serial":
		path, query, _ := strings.Cut(rest, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			return port{}, err
		}
		baud := s.Baud
		for key := range q {
			if key != "baud" {
				return port{}, fmt.Errorf("the address has %s=: the vendor's library sets the port itself, and takes baud only", key)
			}
			baud, _ = strconv.Atoi(q.Get("baud"))
		}
		return port{"CommOpen", []any{path, baud}, path}, nil
	}
	return port{}, fmt.Errorf("address %s: with a bridge here the vendor's library opens the terminal, on a serial or tcp address", address)
}

var hexKey = regexp.MustCompile(`^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{48}|[0-9A-Fa-f]{64})$`)

// readKey reads the key of UseMac: one line of hex, for AES with 128, 192 or 256
// bits. The error never has a part of it.
func readKey(file string) (string, error) {
	line, err := secretfile.Read(file)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(line)
	if !hexKey.MatchString(key) {
		return "", fmt.Errorf("%s: a MAC key is 32, 48 or 64 hex digits on one line", file)
	}
	return key, nil
}
