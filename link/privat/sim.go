package privat

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Simulator is a terminal of this protocol with its bank. Each money command
// takes the next behaviour of its script, the last one stays; they are listed in
// docs/protocols/privat.md.
//
// The terminal outlives its connections, and with a ledger file its process: a
// sale that has begun goes on when the cable is out, and what it has to say goes
// to the cable that is plugged in when it is done. No id of the request travels,
// so the entries of its ledger name no attempt. All methods are safe for
// concurrent use.
type Simulator struct {
	pace time.Duration
	log  *slog.Logger

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // operations that are running

	mouth chan struct{} // holds one value while a reply is written: they do not mix

	mu     sync.Mutex
	script []behaviour
	mood   behaviour // of the last money command; before any, of the first to come
	job    *job      // what the terminal is busy with; nil: idle
	later  int64     // minor units of a sale whose approval is still to come
	asks   int       // and how many questions it waits for
	state  state
	file   string
	cable  link.Conn          // where answers go: the newest connection
	conns  map[link.Conn]bool // all that are served
}

// job is an operation that takes its time.
type job struct {
	began, ends time.Time
	interrupt   chan struct{} // closed when the operation is wanted no more
	over        sync.Once
}

// NewSimulator makes a terminal. "" as a currency is UAH; it must be one with two
// decimals.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	script, err := parseScript(c.Script)
	if err != nil {
		return nil, fmt.Errorf("simulator privat: %w", err)
	}
	if c.Currency == "" {
		c.Currency = "UAH"
	}
	if exp, ok := payment.Exponent(c.Currency); !ok || exp != 2 {
		return nil, fmt.Errorf("simulator privat: currency %q: the protocol has two decimals", c.Currency)
	}
	st, err := loadState(c.Ledger, c.Currency)
	if err != nil {
		return nil, fmt.Errorf("simulator privat: ledger: %w", err)
	}
	s := &Simulator{pace: c.Pace, log: c.Log, script: script, mood: script[0], state: st, file: c.Ledger, conns: map[link.Conn]bool{}, mouth: make(chan struct{}, 1)}
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

// reply is what the terminal does about a request.
type reply struct {
	say    []byte
	hangUp bool // the connection ends afterwards
}

// hear carries one request out. A customer who takes his time does so in the
// background.
func (s *Simulator) hear(r request) { s.speak(s.react(r)) }

// react is what the terminal does at once.
func (s *Simulator) react(r request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
		return reply{}
	case r.method == methodService:
		return s.service(r)
	case s.job != nil:
		return s.note(msgBusy)
	case !moves(r.method) && r.method != methodVerify:
		return s.question(r)
	}
	return s.begin(r)
}

// begin starts a money command, or the closing of the batch.
func (s *Simulator) begin(r request) reply {
	s.mood = s.script[0]
	if len(s.script) > 1 {
		s.script = s.script[1:]
	}
	wait := s.mood.slow
	if r.method == methodVoid || r.method == methodPartly || r.method == methodVerify {
		wait += s.pace // bank
	} else {
		wait += 3 * s.pace // card, PIN, bank
	}
	switch {
	case s.mood.outcome == "busy":
		return s.note(msgBusy)
	case wait == 0:
		return s.end(r, false)
	}
	j := s.occupy(wait)
	s.work.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		interrupted := false
		select {
		case <-timer.C:
		case <-j.interrupt:
			interrupted = true
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		s.job = nil
		rep := s.end(r, interrupted)
		s.mu.Unlock()
		s.speak(rep)
	})
	return reply{}
}

func (s *Simulator) occupy(wait time.Duration) *job {
	now := time.Now()
	s.job = &job{began: now, ends: now.Add(wait), interrupt: make(chan struct{})}
	return s.job
}

// end does what a command asks for, and makes it durable before anybody hears of
// it.
func (s *Simulator) end(r request, interrupted bool) reply {
	if s.ctx.Err() != nil {
		return reply{}
	}
	if interrupted {
		return s.short(r.method, codeCancelled, "Oперація скасов.")
	}
	rep, err := s.carryOut(r)
	if err != nil {
		s.fail(err)
		return reply{}
	}
	return rep
}

func (s *Simulator) fail(err error) {
	s.log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
	s.stop()
}

// stage is what LastStatMsgCode says: card, PIN and bank take a third each.
func (s *Simulator) stage() string {
	if s.job == nil {
		return "0"
	}
	done := time.Since(s.job.began)
	switch whole := s.job.ends.Sub(s.job.began); {
	case done < whole/3:
		return "9"
	case done < whole*2/3:
		return "6"
	}
	return "3"
}
