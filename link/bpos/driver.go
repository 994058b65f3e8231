package bpos

import (
	"context"
	"log/slog"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:       "bpos",
		Title:      "Ingenico BPOS1 (T-Master) through the vendor's library",
		Currency:   "UAH",
		Operations: operations,
		Merchants:  true,
		// Every question to the terminal overwrites the result of the one before,
		// and may end the wait for a Confirm.
		Preserving: []payment.Operation{payment.Lookup},
		CanAbort:   true,
		Confirms:   true,
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
	}
}

// terminal is one bridge with its library and terminal. One goroutine owns it.
type terminal struct {
	bridge   *bridge.Client
	settings *Settings
	currency string
	longest  time.Duration
	log      *slog.Logger
	local    bool   // the bridge runs here, as a child
	kind     string // of the bridge, and the version of its library
	library  string
	identity string // as the terminal last told it

	// unconfirmed is the attempt whose approval this connection heard and has not
	// confirmed; "" is none. Until it is, nothing is sent that could make the
	// terminal give up waiting.
	unconfirmed string

	// What this connection knows of the open batch; it goes with it.
	kept    map[string]bool   // attempts that the terminal keeps: it confirmed them, or said so
	voided  map[string]bool   // keys of originals that were taken back
	seen    map[string]string // records of the journal, and whose they are
	records int64             // at the last baseline

	// looked is when an attempt was last looked for in vain, and may not be settled
	// yet: see lookEvery.
	looked struct {
		attempt string
		over    bool // no payment could last any more by then
		at      time.Time
	}

	logFull bool // the terminal said 1003, and its batch was not closed since
	stalled bool // the last payment waited for a key
	control bool // the display is ours (SetControlMode)
	status  int64
}

var (
	_ link.Terminal      = (*terminal)(nil)
	_ link.Baseliner     = (*terminal)(nil)
	_ link.Confirmer     = (*terminal)(nil)
	_ link.Completer     = (*terminal)(nil)
	_ link.Rechecker     = (*terminal)(nil)
	_ link.Diagnoser     = (*terminal)(nil)
	_ link.HostDiagnoser = (*terminal)(nil)
	_ link.Totaller      = (*terminal)(nil)
	_ link.Printer       = (*terminal)(nil)
)

// Close ends the connection to the bridge and wakes a running Execute. A bridge
// that runs here ends with it.
func (t *terminal) Close() error { return t.bridge.Close() }

// idle says whether the library is at work on nothing.
func (t *terminal) idle(ctx context.Context) error {
	v, err := t.get(ctx, "LastResult")
	switch {
	case err != nil:
		return err
	case v.Number("LastResult") == resultWorking:
		return errWorking
	}
	return nil
}
