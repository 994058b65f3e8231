package ssi

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Simulator is a terminal of this protocol with its bank. It speaks on byte
// streams ([Simulator.Serve]), TCP among them, and as a web service
// ([Simulator.ServeHTTP]). Each money command and reconciliation takes the next
// behaviour of its script, the last one stays; they are listed in
// docs/protocols/ssi.md.
//
// The terminal outlives its connections, and with a ledger file its process:
// an operation that has begun goes on when the cable is out, and its result
// stays in the buffer. All methods are safe for concurrent use.
type Simulator struct {
	pace time.Duration
	log  *slog.Logger

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // operations that are running

	mu     sync.Mutex
	script []behaviour
	mood   behaviour // of the last money command; before any, of the first to come
	status string    // S00 and so on
	state  state
	file   string
	cancel context.CancelFunc // ends the operation that can be interrupted; nil if there is none
	step   *command           // a purchase whose first step is done
	conns  map[link.Conn]bool // all that are served
}

// command is a request as the simulated terminal reads it.
type command struct {
	Method string        `json:"method"`
	Step   string        `json:"step"`
	Params requestParams `json:"params"`
}

// NewSimulator makes a terminal. "" is UAH.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	script, err := parseScript(c.Script)
	if err != nil {
		return nil, fmt.Errorf("simulator ssi: %w", err)
	}
	if c.Currency == "" {
		c.Currency = "UAH"
	}
	if _, ok := payment.CurrencyNumber(c.Currency); !ok {
		return nil, fmt.Errorf("simulator ssi: currency %q is not in ISO 4217", c.Currency)
	}
	st, err := loadState(c.Ledger, c.Currency)
	if err != nil {
		return nil, fmt.Errorf("simulator ssi: ledger: %w", err)
	}
	s := &Simulator{pace: c.Pace, log: c.Log, script: script, mood: script[0], status: statusIdle, state: st, file: c.Ledger, conns: map[link.Conn]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Ledger lists what the bank did, oldest first.
func (s *Simulator) Ledger() []link.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]link.Entry(nil), s.state.Entries...)
}

// Close stops the terminal as a power cut would, and waits for what it started.
func (s *Simulator) Close() error {
	s.mu.Lock()
	s.stop()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	s.work.Wait()
	return nil
}

// start runs f in the background, unless the terminal has no power any more.
// mu is held.
func (s *Simulator) start(f func(ctx context.Context)) {
	if s.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.cancel = cancel
	s.work.Go(func() {
		defer cancel()
		f(ctx)
	})
}

// fault stops a terminal whose ledger cannot be written. mu is held.
func (s *Simulator) fault(err error) {
	if err != nil {
		s.log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
		s.stop()
	}
}

// reply is what the terminal does about a request.
type reply struct {
	say    map[string]any // nil: says nothing
	fault  string         // how the message is broken: an outcome's name, or ""
	hangUp bool           // the connection ends afterwards
}

// hear carries one message out.
func (s *Simulator) hear(c command) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return reply{hangUp: true}
	}
	switch c.Method {
	case mGetStatus:
		return s.tellStatus()
	case mPingDevice:
		return ok(c.Method, map[string]any{})
	case mInterrupt:
		return s.interrupt()
	case mPurchase:
		if s.step != nil && c.Step == "2" {
			return s.secondStep(c)
		}
	}
	if !over(s.status) && (s.status != statusFirstStep || c.Method != mGetLastResult) {
		return refuse(c.Method, "E06")
	}
	switch c.Method {
	case mPurchase, mRefund, mCash, mDeposit, mVoid, mPartialVoid, mZReport:
		return s.begin(c)
	case mXReport:
		s.state.Report = s.sumUp(c.Params.IsDetailReport != nil && *c.Params.IsDetailReport)
		return ok(c.Method, map[string]any{})
	case mGetLastResult:
		return s.tellResult(c.Method, s.state.Last)
	case mGetResultByUid:
		return s.tellByUID(c)
	case mGetLastReport:
		return s.tellReport()
	case mGetTerminalInfo:
		return s.tellInfo()
	}
	return refuse(c.Method, "E05")
}

// begin takes the next behaviour and does what the script says.
func (s *Simulator) begin(c command) reply {
	s.mood = s.script[0]
	if len(s.script) > 1 {
		s.script = s.script[1:]
	}
	b := s.mood
	if b.outcome == "mute" {
		return reply{}
	}
	if b.outcome == "reboot-before" {
		return reply{hangUp: true}
	}
	if code := s.wrong(c); code != "" {
		return refuse(c.Method, code)
	}
	if b.outcome == "refuse" {
		return refuse(c.Method, b.arg)
	}
	if b.outcome == "hand-sale" {
		s.fault(s.handSale(c.minor()))
		return reply{}
	}
	if b.outcome == "late-approval" {
		s.approveLater(c)
		return reply{}
	}
	wait := b.slow
	if c.Step == "1" {
		return s.firstStep(c)
	}
	if wait == 0 && s.pace == 0 {
		s.fault(s.carryOut(c))
	} else {
		s.status = statusBusy
		s.start(func(ctx context.Context) { s.serve(ctx, c, wait) })
	}
	return s.acknowledge(c.Method)
}

// acknowledge accepts a command, in the way the script breaks it.
func (s *Simulator) acknowledge(method string) reply {
	rep := ok(method, map[string]any{})
	switch s.mood.outcome {
	case "lost-ack", "swapped", "batch-closed", "hand-after":
		return reply{}
	case "reboot":
		return reply{hangUp: true}
	case "half-ack", "bad-lrc", "bad-json", "bad-length", "garbage":
		rep.fault = s.mood.outcome
	}
	return rep
}

// wrong is the code with which the terminal refuses a request, or "".
func (s *Simulator) wrong(c command) string {
	p := c.Params
	switch c.Method {
	case mZReport:
		return ""
	case mVoid, mPartialVoid:
		if p.InvoiceNum == "" {
			return "E04"
		}
	}
	if c.Method != mVoid && c.Method != mPartialVoid {
		number, _ := payment.CurrencyNumber(s.state.Currency)
		if p.TransCurrency != number {
			return "E09"
		}
		if c.Method == mRefund && p.RRN == "" {
			return "E04"
		}
	}
	if c.Method != mVoid && (c.minor() <= 0 || strings.HasPrefix(p.TransAmount, "0")) {
		return "E09"
	}
	return ""
}

// minor is the amount of a command, or 0.
func (c command) minor() int64 {
	n, err := payment.ParseMinor(c.Params.TransAmount)
	if err != nil {
		return 0
	}
	return n
}
