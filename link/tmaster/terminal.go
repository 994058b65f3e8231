package tmaster

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// Defaults of [Config].
const (
	DefaultBatch    = 500              // receipts; the guide has room for 140 to 150 of them on one slip
	DefaultAdjust   = 10 * time.Second // at status 11
	DefaultQuestion = 30 * time.Second // at status 4
)

// Config is what a terminal is made of. Its zero value is a terminal in UAH that
// approves everything at once and needs no Confirm. A currency must have two
// decimals; each of card, PIN and bank takes Pace.
type Config struct {
	link.SimulatorConfig

	Features      []string      // of the face, by name; they may be in the script and are in [Answer.Behaviour]
	ConfirmWithin time.Duration // after which an approval without Confirm is taken back; 0: it needs none
	Batch         int           // receipts that the log holds; 0 means [DefaultBatch]
	Adjust        time.Duration // how long status 11 waits for Correct; 0 means [DefaultAdjust]
	Question      time.Duration // how long status 4 waits for Press; 0 means [DefaultQuestion]
}

// Terminal is one simulated terminal. All methods are safe for concurrent use.
type Terminal struct {
	cfg    Config
	number int // of the terminal, from its name

	power simulate.Power

	mu      sync.Mutex
	script  simulate.Script[Behaviour]
	mood    Behaviour     // of the last operation; before any, of the first to come
	job     *job          // what the terminal is busy with; nil: idle
	last    Answer        // to the last operation that is over
	settled chan struct{} // closed when nothing waits for Confirm any more; nil: nothing does
	later   *Command      // a sale whose approval is still to come
	asks    int           // and how many questions it waits for
	state   state
}

// New makes a terminal, or takes up the one that the ledger file has.
func New(c Config) (*Terminal, error) {
	filled, script, err := simulate.Prepare(c.SimulatorConfig, "UAH", Grammar(c.Features, c.ConfirmWithin > 0))
	if err != nil {
		return nil, err
	}
	c.SimulatorConfig = filled
	if exp, ok := payment.Exponent(c.Currency); !ok || exp != 2 {
		return nil, fmt.Errorf("currency %q: the terminal has two decimals", c.Currency)
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&c.Adjust, DefaultAdjust}, {&c.Question, DefaultQuestion}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	t := &Terminal{cfg: c, number: simulate.Number(c.Name, 6_000_000), script: script, mood: script.Peek(), state: state{Bank: simulate.Bank{Currency: c.Currency}}}
	if err := simulate.Load(c.Ledger, &t.state); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if t.state.Unconfirmed > 0 { // it lost its power while it waited
		if err := t.giveUp(); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
	}
	return t, nil
}

// Power is the terminal's: a face serves its lines with it. It is cut by Close,
// and when the ledger cannot be written.
func (t *Terminal) Power() *simulate.Power { return &t.power }

// Close stops the terminal as a power cut would, and waits for what it started.
// What it was doing is not answered.
func (t *Terminal) Close() {
	t.power.Cut()
	t.mu.Lock()
	t.endWait()
	t.mu.Unlock()
	t.power.Off()
}

// Status is what a terminal says at any time, busy or not.
type Status struct {
	Working bool // LastResult 2
	Stage   int  // LastStatMsgCode; 0 while it is idle
}

// Status tells how far the terminal is.
func (t *Terminal) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == nil {
		return Status{}
	}
	return Status{Working: true, Stage: t.job.stage}
}

// Last is the answer to the operation that was over last, or the zero Answer.
func (t *Terminal) Last() Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Mood is the behaviour of the last operation; before any, of the first to come.
func (t *Terminal) Mood() Behaviour {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mood
}

// Ledger lists what the bank did, oldest first. No id of ours travels, so its
// entries name no attempt.
func (t *Terminal) Ledger() []link.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Ledger()
}

// Log is where the faces write too.
func (t *Terminal) Log() *slog.Logger { return t.cfg.Log }

// Currency is the ISO 4217 code of all amounts.
func (t *Terminal) Currency() string { return t.cfg.Currency }

// TID is the terminal's number at its bank, eight characters.
func (t *Terminal) TID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tid()
}

// Serial is the terminal's serial number.
func (t *Terminal) Serial() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("00CT%08d", 22927300+(t.number*10+t.state.Unit)%70_000_000)
}

func (t *Terminal) tid() string {
	if t.number == 0 {
		return fmt.Sprintf("TSTSALE%d", t.state.Unit%10)
	}
	return fmt.Sprintf("%08d", (t.number+t.state.Unit)%100_000_000)
}

// The refusals of a terminal.
var (
	ErrBusy    = errors.New("the terminal is busy")
	ErrOff     = errors.New("the terminal is off")
	ErrNothing = errors.New("nothing on the terminal waits for that")
)

// fail turns the terminal off: what is not durable must not be heard of.
func (t *Terminal) fail(err error) {
	t.cfg.Log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
	t.power.Cut()
}
