package ecrvn

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tillgate/link"
	"tillgate/link/simulate"
)

// Simulator is a terminal of this protocol with its bank. It speaks on byte
// streams ([Simulator.Serve]) and as a web service ([Simulator.ServeHTTP]). Each
// money command takes the next behaviour of its script, the last one stays; they
// are listed in docs/protocols/ecrvn.md.
//
// The terminal outlives its connections, and with a ledger file its process:
// a sale that has begun goes on when the cable is out, and what it has to say
// goes to the cable that is plugged in when it is done. All methods are safe
// for concurrent use.
type Simulator struct {
	number int // of the terminal, from its name
	pace   time.Duration
	log    *slog.Logger
	power  simulate.Power

	mu     sync.Mutex
	script simulate.Script[behaviour]
	mood   behaviour // of the last money command; before any, of the first to come
	busy   bool      // a customer is being served, the terminal hears nothing
	later  *charge   // a sale whose approval is still to come
	asks   int       // and how many questions it waits for
	state  state
	file   string
	cable  link.Conn // where a byte stream's answers go: the newest connection
}

// charge is a sale on its way to the bank.
type charge struct {
	req   request
	minor int64
}

// NewSimulator makes a terminal. The currency is VND or USD, the two that the
// document knows; "" is VND.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	c, script, err := simulate.Prepare(c, "VND", grammar())
	if err != nil {
		return nil, fmt.Errorf("simulator ecrvn: %w", err)
	}
	if currencyNumbers[c.Currency] == "" {
		return nil, fmt.Errorf("simulator ecrvn: currency %q: the document has VND and USD", c.Currency)
	}
	s := &Simulator{
		number: simulate.Number(c.Name, 90_000_000), pace: c.Pace, log: c.Log, script: script, mood: script.Peek(), file: c.Ledger,
		state: state{Bank: simulate.Bank{Currency: c.Currency}, Batch: 1},
	}
	if err := simulate.Load(c.Ledger, &s.state); err != nil {
		return nil, fmt.Errorf("simulator ecrvn: ledger: %w", err)
	}
	return s, nil
}

// Ledger lists what the bank did, oldest first.
func (s *Simulator) Ledger() []link.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Ledger()
}

// Close stops the terminal as a power cut would, and waits for what it started.
func (s *Simulator) Close() error {
	s.power.Off()
	return nil
}

// fault stops a terminal whose ledger cannot be written.
func (s *Simulator) fault(err error) {
	s.log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
	s.power.Cut()
}

// reply is what the terminal does about a request.
type reply struct {
	say    []byte
	hangUp bool // the connection ends afterwards
}

// accept says how long a request keeps the terminal, and makes it busy for
// that time. ok is false if it hears nothing now.
func (s *Simulator) accept(r request) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || !s.power.On() {
		return 0, false
	}
	if r.command != cmdSale && r.command != cmdVoid && r.command != cmdSettle {
		return 0, true
	}
	s.mood = s.script.Next()
	wait = s.mood.slow
	switch r.command {
	case cmdSale: // card, PIN, bank
		wait += 3 * s.pace
	case cmdVoid, cmdSettle: // bank
		wait += s.pace
	}
	s.busy = wait > 0
	return wait, true
}

// run carries a request out, however long it takes. ok is false if the terminal
// heard nothing, or lost its power meanwhile.
func (s *Simulator) run(r request) (rep reply, ok bool) {
	wait, ok := s.accept(r)
	if !ok {
		return reply{}, false
	}
	return s.serve(r, wait)
}

// serve carries out a request that was accepted, after the time it takes.
func (s *Simulator) serve(r request, wait time.Duration) (rep reply, ok bool) {
	if !s.power.Wait(wait) {
		return reply{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	rep, err := s.carryOut(r)
	if err != nil {
		s.fault(err)
		return reply{}, false
	}
	return rep, true
}

// carryOut does what a request asks for, and makes it durable before anybody
// hears of it.
func (s *Simulator) carryOut(r request) (reply, error) {
	switch r.command {
	case cmdSale:
		return s.sale(r)
	case cmdVoid:
		return s.void(r)
	case cmdSettle:
		return s.settle(r)
	case cmdLast:
		return s.lastTransaction(r)
	}
	return s.answer(r, "UNKNOWN", nil), nil
}
