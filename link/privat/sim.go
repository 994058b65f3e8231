package privat

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"tillgate/link"
	"tillgate/link/tmaster"
)

// Simulator is a terminal of this protocol with its bank: the JSON face of
// [tmaster.Terminal]. Each operation takes the next behaviour of its script, the
// last one stays; they are listed in docs/protocols/privat.md.
//
// The terminal outlives its connections, and with a ledger file its process: a
// sale that has begun goes on when the cable is out, and what it has to say goes
// to the cable that is plugged in when it is done. It confirms by itself, as the
// document says (5.1.3). All methods are safe for concurrent use.
type Simulator struct {
	term *tmaster.Terminal
	log  *slog.Logger

	mouth chan struct{} // holds one value while a reply is written: they do not mix

	mu    sync.Mutex
	cable link.Conn // where answers go: the newest connection
}

// simFeatures are what this face adds to a script.
var simFeatures = []string{"typos", "comma", "code-only", "echo", "merchants"}

// NewSimulator makes a terminal. "" as a currency is UAH; it must be one with two
// decimals.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	term, err := tmaster.New(tmaster.Config{SimulatorConfig: c, Features: simFeatures})
	if err != nil {
		return nil, fmt.Errorf("simulator privat: %w", err)
	}
	return &Simulator{term: term, log: term.Log(), mouth: make(chan struct{}, 1)}, nil
}

// Ledger lists what the bank did, oldest first. No id of the request travels, so
// its entries name no attempt.
func (s *Simulator) Ledger() []link.Entry { return s.term.Ledger() }

// Close stops the terminal as a power cut would, and waits for what it started.
func (s *Simulator) Close() error {
	s.term.Close()
	return nil
}

// reply is what the terminal does about a request.
type reply struct {
	say    []byte
	hangUp bool // the connection ends afterwards
}

// hear carries one request out. A customer who takes his time does so in the
// background.
func (s *Simulator) hear(r request) {
	switch {
	case !s.term.Power().On():
	case r.method == methodService:
		s.speak(s.service(r))
	case s.term.Status().Working:
		s.speak(s.note(msgBusy))
	case r.method == methodHost:
		s.testHost(r)
	case simOperation(r) == "":
		s.speak(s.question(r))
	default:
		s.begin(r)
	}
}

// begin starts an operation.
func (s *Simulator) begin(r request) {
	c, ok := s.command(r)
	if !ok { // 5.1.1: an amount that cannot be read ends the operation
		s.speak(s.short(r.method, "1000", "Операція неможлива"))
		return
	}
	err := s.term.Begin(c, func(a tmaster.Answer) { s.speak(s.answer(r, a)) })
	if errors.Is(err, tmaster.ErrBusy) {
		s.speak(s.note(msgBusy))
	}
}

// testHost is CheckConnection (5.5). A terminal with several merchants waits
// until somebody has chosen one.
func (s *Simulator) testHost(r request) {
	err := s.term.TestHost(s.has("merchants"), func(code int) {
		if code != tmaster.Approved {
			s.speak(s.short(r.method, four(code), tmaster.Text(code)))
			return
		}
		s.speak(s.write(r.method, false, "", param{"code", "00"}, param{"responseCode", codeApproved}))
	})
	if errors.Is(err, tmaster.ErrBusy) {
		s.speak(s.note(msgBusy))
	}
}
