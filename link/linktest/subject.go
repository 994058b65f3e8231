package linktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Subject is a driver under test, with the names that its simulator has for
// what the suite needs.
type Subject struct {
	Driver   link.Driver
	Currency string // ISO 4217; required

	// Settings returns a profile under which a lookup can tell most. Required if
	// the driver has settings. The suite runs with it, and with Driver.Settings'.
	Settings func() any

	Approve, Decline, Cancel string // behaviours; Cancel charges nothing

	// Charged are behaviours after which the bank has approved, the driver must
	// not know, and a lookup must find it: lost answers, doubtful codes.
	Charged []string

	// Dead are behaviours after which the bank was never asked, and the driver
	// cannot know.
	Dead []string

	// Late are behaviours in which the bank approves after the first lookup.
	Late []string

	// Foreign are behaviours after which what the terminal shows is not the
	// payment: another terminal, a closed batch, a sale by hand. No lookup may
	// take it for an answer.
	Foreign []string

	// Swapped is the one of Foreign that puts another terminal there.
	Swapped string

	// ByID says that the protocol finds an attempt by its own id: what is sold
	// afterwards does not change what a lookup says about a dead command.
	ByID bool

	// Apart says that the driver makes a connection for each request, on which its
	// answer comes and no other.
	Apart bool

	// Slow approves, and takes 20 seconds longer to do it. SlowDecline declines.
	Slow, SlowDecline string

	// Stride breaks a line at each Stride-th byte only, where an exchange has
	// thousands of them; 0 is at each.
	Stride int

	// Confirms says that the terminal takes an approval back that is not confirmed
	// (link.Confirmer): a payment whose answer is lost ends as not paid, and until
	// then a lookup does not know. The suite confirms as a lane does.
	Confirms bool

	// Positional says that no id travels: under the driver's own profile the last
	// transaction proves nothing, and a lookup may say that it does not know.
	// Payments are told apart in the ledger by their amounts.
	Positional bool

	// Dials is how many connections Open makes before the one that it keeps,
	// which is the one that is broken.
	Dials int

	// AnswersOnly says that the terminal never speaks unasked, so that no answer
	// to one attempt can come while another one waits for its own.
	AnswersOnly bool

	// Junk is what a hostile or broken line sends; the suite adds its own.
	Junk [][]byte

	// Uncarried are requests that Driver.Check must refuse.
	Uncarried map[string]payment.Request

	// Valid and Invalid are captures for Driver.Explain.
	Valid, Invalid [][]byte
}

const longest = link.DefaultLongest

// bench is one simulator with one terminal at a time.
type bench struct {
	t        *testing.T
	s        Subject
	settings any
	sim      link.Simulator
	dial     func(*bench) (ours, theirs link.Conn)
	mu       sync.Mutex
	wrap     func(link.Conn) link.Conn // of the next connection, of all with Apart; nil: none; under mu
	n        int                       // attempts so far
}

// blind says whether err is all that a lookup can say under this profile.
func (s Subject) blind(settings any, err error) bool {
	own := s.Driver.Settings != nil && reflect.DeepEqual(settings, s.Driver.Settings())
	return s.Positional && own && (errors.Is(err, link.ErrInProgress) || errors.Is(err, link.ErrUnproven))
}

// pending says whether err is all that a lookup can say while the terminal still
// waits for a Confirm.
func (s Subject) pending(err error) bool { return s.Confirms && errors.Is(err, link.ErrInProgress) }

// undone says whether a payment came out as one that was taken back, since it was
// not confirmed. Whether it was, judge sees.
func (s Subject) undone(o payment.Outcome, err error) bool {
	return s.Confirms && err == nil && o.Result.NotPaid()
}

func newBench(t *testing.T, s Subject, settings any, script ...string) *bench {
	t.Helper()
	sim, err := s.Driver.Simulate(link.SimulatorConfig{Script: script, Currency: s.Currency})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, s: s, settings: settings, sim: sim, dial: pipe}
}

func pipe(*bench) (link.Conn, link.Conn) {
	ours, theirs := net.Pipe()
	return ours, theirs
}

// open connects to the simulator as it is.
func (b *bench) open() (link.Terminal, error) {
	dials := 0
	return b.s.Driver.Open(context.Background(), link.Config{
		Name: "under-test", Currency: b.s.Currency, Longest: longest, Settings: b.settings,
		Dial: func(context.Context) (link.Conn, error) {
			ours, theirs := b.dial(b)
			go b.sim.Serve(context.Background(), theirs)
			if dials++; dials > b.s.Dials {
				ours = b.wrapped(ours)
			}
			return ours, nil
		},
	})
}

// breakAt makes the next connection break, or with Apart all that follow
// together. line is the newest.
func (b *bench) breakAt(line **Breaking, n int, kind Kind) {
	*line = nil
	b.wrapNext(func(c link.Conn) link.Conn {
		if *line == nil {
			*line = BreakAt(c, n, kind)
		} else {
			*line = (*line).Again(c)
		}
		return *line
	})
}

// wrapNext wraps the next connection, with Apart all that follow. A driver that
// makes connections by itself may be at it.
func (b *bench) wrapNext(wrap func(link.Conn) link.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrap = wrap
}

func (b *bench) wrapped(c link.Conn) link.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrap == nil {
		return c
	}
	c = b.wrap(c)
	if !b.s.Apart {
		b.wrap = nil
	}
	return c
}

// mustOpen tries for ten minutes, as a lane would: a terminal that serves a
// customer need not answer.
func (b *bench) mustOpen() link.Terminal {
	b.t.Helper()
	var err error
	for range 600 {
		var term link.Terminal
		if term, err = b.open(); err == nil {
			return term
		}
		time.Sleep(time.Second)
	}
	b.t.Fatalf("the terminal does not come back: %v", err)
	return nil
}

func (b *bench) close(term link.Terminal) {
	if term != nil {
		term.Close()
	}
	b.sim.Close()
}

// purchase is a new attempt, without a baseline, for 123456 minor units or
// thereabouts.
func (b *bench) purchase() payment.Transaction {
	b.n++
	id, minor := fmt.Sprintf("T%d", b.n), int64(123456)
	if b.s.Positional {
		minor += int64(b.n)
	}
	return payment.Transaction{
		Request: payment.Request{ID: payment.ID("test-" + id), Order: "order-" + id, Operation: payment.Purchase,
			Amount: payment.Money{Minor: minor, Currency: b.s.Currency}},
		Attempt: id + strings.Repeat("A", 20-len(id)),
	}
}

// baseline fills the baseline in, where the driver has one.
func baseline(term link.Terminal, tx *payment.Transaction) (err error) {
	if bl, ok := term.(link.Baseliner); ok {
		tx.Baseline, err = bl.Baseline(context.Background(), *tx)
	}
	return err
}

// sell does what a lane does: baseline, then the command.
func (b *bench) sell(ctx context.Context, term link.Terminal, tx *payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	if err := baseline(term, tx); err != nil {
		return payment.Outcome{}, &link.Error{Op: "baseline", Err: err}
	}
	return execute(ctx, term, *tx, d)
}

// execute sends the command and confirms an approval, as a lane does once it is
// written down. A payment that was not confirmed is as unknown as one that was
// not answered.
func execute(ctx context.Context, term link.Terminal, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	o, err := term.Execute(ctx, tx, d)
	if c, ok := term.(link.Confirmer); ok && err == nil && o.Result == payment.Approved {
		if err := c.Confirm(ctx, tx, o); err != nil {
			return o, &link.Error{Op: "confirm", Sent: true, Err: err}
		}
	}
	return o, err
}

// charged lists what the bank charged for an attempt. A terminal may carry only
// the first characters of its id, or none.
func (b *bench) charged(tx payment.Transaction) (all []link.Entry) {
	for _, e := range b.sim.Ledger() {
		if b.s.Confirms && e.Reversed {
			continue // the terminal took it back
		}
		if b.s.Positional && e.Charged && e.Amount == tx.Amount {
			all = append(all, e)
		}
		if e.Charged && e.Attempt != "" && strings.HasPrefix(tx.Attempt, e.Attempt) {
			all = append(all, e)
		}
	}
	return all
}

// judge compares what the driver said with the bank's ledger.
func (b *bench) judge(what string, tx payment.Transaction, o payment.Outcome, err error) {
	b.t.Helper()
	all := b.charged(tx)
	if len(all) > 1 {
		b.t.Errorf("%s: the bank charged %d times", what, len(all))
	}
	switch {
	case err != nil:
		if !link.Sent(err) && len(all) > 0 {
			b.t.Errorf("%s: %v, and the bank charged it", what, err)
		}
	case o.Result == payment.Approved:
		if len(all) == 0 {
			b.t.Errorf("%s: approved, and the bank did not charge it: %+v", what, o)
		} else if o.Amount != all[0].Amount {
			b.t.Errorf("%s: approved with %s, and the bank charged %s", what, o.Amount, all[0].Amount)
		}
	case o.Result.NotPaid():
		if len(all) > 0 {
			b.t.Errorf("%s: %s, and the bank charged it", what, o.Result)
		}
	default:
		b.t.Errorf("%s: %q is no outcome of a driver", what, o.Result)
	}
}

// lookup asks and judges; the ledger must be the same before and after, unless
// the script has the bank approve meanwhile.
func (b *bench) lookup(what string, term link.Terminal, tx payment.Transaction, quiet time.Duration, moves bool) (payment.Outcome, error) {
	b.t.Helper()
	if !moves {
		synctest.Wait() // what the terminal is at happens first
	}
	before := fmt.Sprint(b.sim.Ledger())
	o, err := term.Lookup(context.Background(), tx, quiet)
	if err == nil {
		b.judge(what, tx, o, nil)
	}
	if err != nil && errors.Is(err, link.ErrNotFound) && len(b.charged(tx)) > 0 {
		b.t.Errorf("%s: not found, and the bank charged it", what)
	}
	if after := fmt.Sprint(b.sim.Ledger()); after != before && !moves {
		b.t.Errorf("%s: a lookup changed the ledger from %s to %s", what, before, after)
	}
	return o, err
}
