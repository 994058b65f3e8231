package qfpay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:       "qfpay",
		Title:      "QFPay (Haojin) by packets, HTTP or TCP",
		Operations: []payment.Operation{payment.Purchase, payment.Refund, payment.Lookup, payment.Diagnosis, payment.Abort, payment.Print},
		Preserving: []payment.Operation{payment.Lookup, payment.Diagnosis},
		CanAbort:   true,
		Line:       "baud=9600", // chapter 9.2: 9600 8N1
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Currency:   "HKD",
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
		KeySetting: "key_file",
		Notify:     notifyDriver(),
	}
}

// terminal is one open connection. One goroutine owns it.
type terminal struct {
	line      line
	wire      string
	settings  *Settings
	simulated bool
	profile   atomic.Pointer[profile] // the line's pump reads it too
	currency  string
	longest   time.Duration
	log       *slog.Logger

	// strays are answers that name an attempt and came while something else was
	// asked. They wait for a lookup of it, or for the next Execute.
	strays []answer

	// owed: a money command of this connection has had no answer yet, so that an
	// answer that names nobody can be its.
	owed bool

	last payment.Reference // of the last transaction that was answered to Execute
}

var (
	_ link.Terminal  = (*terminal)(nil)
	_ link.Baseliner = (*terminal)(nil)
	_ link.Diagnoser = (*terminal)(nil)
	_ link.Printer   = (*terminal)(nil)
)

// Open connects, and asks for a payment that does not exist to make sure that a
// terminal answers which knows our POS-KEY. One whose app nobody is logged in to
// is opened too: Diagnose says so. An address that begins with http://
// or https:// is a web service; everything else is opened with c.Dial.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	return open(ctx, c, stream.DialHost)
}

func open(ctx context.Context, c link.Config, dial dialWeb) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "HKD", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log}
	t.simulated = simulated(c.Address)
	err = t.reload()
	if err == nil {
		err = t.connect(ctx, c, dial)
	}
	if err != nil {
		return nil, &link.Error{Op: "open", Err: err}
	}
	if _, err := t.ask(ctx, t.settings.query(s.LookupBy, newQuery()), func(h heard) bool { return h.answer.names() != "" }); err != nil && !loggedOut(err) {
		t.Close()
		return nil, hint(err, c.Address)
	}
	return t, nil
}

// hint adds what may keep a serial line silent: an address with another speed than
// chapter 9.2's.
func hint(err error, address string) error {
	if e, ok := errors.AsType[*link.Error](err); ok && strings.Contains(address, "baud=") && !strings.Contains(address, "baud=9600") && (errors.Is(err, errNoAck) || errors.Is(err, stream.ErrSilent)) {
		return &link.Error{Op: e.Op, Sent: e.Sent, Err: fmt.Errorf("%w; QFPay's terminals talk at 9600 baud, and the address says otherwise", e.Err)}
	}
	return err
}

func (t *terminal) connect(ctx context.Context, c link.Config, dial dialWeb) (err error) {
	t.wire = t.settings.wireOf(c.Address)
	if t.wire != WirePacket {
		t.line, err = newSingle(c, t.wire, &t.profile, dial, t.log)
		return err
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	t.line = newSerial(conn, &t.profile, t.log)
	return nil
}

// wireOf says how an address is spoken to.
func (s *Settings) wireOf(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	switch {
	case s.Wire != WireAuto:
		return s.Wire
	case scheme == "tcp":
		return WireTCP
	case scheme == "http" || scheme == "https":
		return WireHTTP
	}
	return WirePacket
}

// reload reads the key again: one that was refreshed on the terminal is put into
// its file and works without a restart.
func (t *terminal) reload() error {
	p, err := load(t.settings, t.simulated)
	if err != nil {
		return err
	}
	if old := t.profile.Load(); old == nil || old.key != p.key {
		t.profile.Store(p)
	}
	return nil
}

// newQuery is an id that no payment has: attempts have capital letters only.
func newQuery() string { return "q" + strings.ToLower(rand.Text()[:19]) }

// Close ends the connection and wakes a running Execute.
func (t *terminal) Close() error { return t.line.Close() }
