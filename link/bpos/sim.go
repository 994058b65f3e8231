package bpos

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tillgate/link"
	"tillgate/link/bpos/bridge"
	"tillgate/link/tmaster"
)

// simConfirmWithin is how long the simulated terminal waits for Confirm. The
// guide does not say.
const simConfirmWithin = 30 * time.Second

// Simulator is a terminal of this protocol with its bank, seen through a bridge:
// the BPOS1 face of [tmaster.Terminal]. Each operation takes the next behaviour of
// its script, the last one stays; they are listed in docs/protocols/bpos.md.
//
// Each connection has a bridge and a library of its own, which end with it; the
// terminal outlives them, and with a ledger file its process. All methods are
// safe for concurrent use.
type Simulator struct {
	term *tmaster.Terminal
	log  *slog.Logger
	unit sync.Mutex // of what is below
	ctrl control
}

// control is the display and keyboard that the cash desk may have.
type control struct {
	on     bool
	lines  map[int64]string
	shown  []string
	screen int64
	key    int64
}

// simFeatures are what this face adds to a script: the terminal says "readers
// failed" or "close the batch" when statuses are exchanged.
var simFeatures = []string{"readers-failed", "close-batch"}

// NewSimulator makes a terminal. "" as a currency is UAH; it must be one with two
// decimals.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	term, err := tmaster.New(tmaster.Config{SimulatorConfig: c, Features: simFeatures, ConfirmWithin: simConfirmWithin})
	if err != nil {
		return nil, fmt.Errorf("simulator bpos: %w", err)
	}
	return &Simulator{term: term, log: term.Log(), ctrl: control{lines: map[int64]string{}}}, nil
}

// Ledger lists what the bank did, oldest first. No id of the request travels, so
// its entries name no attempt.
func (s *Simulator) Ledger() []link.Entry { return s.term.Ledger() }

// Close stops the terminal as a power cut would, and waits for what it started.
func (s *Simulator) Close() error {
	s.term.Close()
	return nil
}

// Serve is a bridge on one connection until it ends or ctx does; then it returns
// nil.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	f := &faulty{Conn: c}
	return s.term.Power().Serve(ctx, c, func() error {
		h := bridge.Host{Kind: "simulator", Log: s.log, Open: func() (bridge.Library, error) { return s.library(f.breakNext), nil }}
		return h.Serve(f, nil)
	})
}

// Library is a simulated BPOS1Lib with the terminal behind it. Faults of the line
// have no meaning to it: what is lost is an error of the connection to the
// terminal.
func (s *Simulator) Library() bridge.Library { return s.library(nil) }

// faulty is the bridge's end of a line, where the script spoils an answer.
type faulty struct {
	link.Conn
	mu    sync.Mutex
	fault tmaster.Fault
}

// breakNext spoils the next answer.
func (f *faulty) breakNext(fault tmaster.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) Write(b []byte) (int, error) {
	f.mu.Lock()
	fault := f.fault
	f.fault = tmaster.Sound
	f.mu.Unlock()
	switch fault {
	case tmaster.Half:
		n, err := f.Conn.Write(b[:len(b)/2])
		f.Conn.Close()
		return n, err
	case tmaster.HangUp:
		return 0, f.Conn.Close()
	case tmaster.Garbage:
		_, err := f.Conn.Write([]byte("\x00\xff{\x1b}{\"~\n{\"id\":1,\"code\":\n"))
		return len(b), err
	}
	return f.Conn.Write(b)
}
