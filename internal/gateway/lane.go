package gateway

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// lane owns one terminal. Its goroutine is run; everything not under mu
// belongs to it.
type lane struct {
	g   *Gateway
	cfg Terminal
	log *slog.Logger

	jobs  chan job      // unbuffered: a lane that is not listening is busy
	woken chan struct{} // the journal has news for this lane
	pulse pulse

	identity  string                         // of the terminal, as it says itself
	blocked   payment.Reason                 // why it cannot sell, as it says itself
	stock     payment.Inventory              // what it is, as it said last
	said      map[payment.ID]link.Answered   // what the terminal answered when the exchange broke, if it was no outcome
	answers   map[payment.ID]payment.Outcome // answers that the journal would not take yet
	deadlines map[payment.ID]time.Time       // of fulfilment
	held      map[payment.ID]bool            // authorised and not to be looked up: this connection knows
	repeats   map[payment.ID]int             // how often a reversal was sent again
	unsent    map[payment.ID]int             // how often the line broke before an owed reversal or refund was sent
	toSend    map[payment.ID]bool            // begun, and certainly not sent: nobody has to be asked about it
	sold      []sale                         // approved in the last 24 hours, for the cap
	reconcile reconcileState
	failures  int // connections that failed in a row
	climbed   climb
	wasOnline bool // as the events say

	mu        sync.Mutex
	running   *running                 // the operation on the terminal now, from before it is durable
	asked     map[payment.ID]bool      // looked up since the doubt began
	quietFrom map[payment.ID]time.Time // when the exchange broke, on the monotonic clock
}

type running struct {
	id      payment.ID
	aborted <-chan struct{}
	abort   func() // closes aborted
}

// job is a command on its way through a lane. The lane answers exactly once.
type job struct {
	cmd   payment.Command
	reply chan payment.Reply // buffered for the one answer
}

func (j job) answer(r payment.Reply) {
	r.Verb, r.ID = j.cmd.Verb, j.cmd.ID
	j.reply <- r
}

func (j job) refuse(err error) { j.reply <- payment.Refused(j.cmd, err) }

func newLane(g *Gateway, t Terminal) *lane {
	return &lane{
		g: g, cfg: t, log: g.log.With("terminal", t.Name),
		jobs: make(chan job), woken: make(chan struct{}, 1),
		said: map[payment.ID]link.Answered{}, answers: map[payment.ID]payment.Outcome{}, deadlines: map[payment.ID]time.Time{},
		held: map[payment.ID]bool{}, repeats: map[payment.ID]int{}, unsent: map[payment.ID]int{}, toSend: map[payment.ID]bool{},
		quietFrom: map[payment.ID]time.Time{}, asked: map[payment.ID]bool{},
	}
}

// wake makes the lane look at the journal again.
func (l *lane) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// offer hands a command to the lane's goroutine if it listens within patience.
func (l *lane) offer(ctx context.Context, c payment.Command, patience time.Duration) payment.Reply {
	j := job{c, make(chan payment.Reply, 1)}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case l.jobs <- j:
	case <-timer.C:
		return payment.Refused(c, payment.Refuse(payment.ReasonBusy, "terminal %s is busy", l.cfg.Name))
	case <-ctx.Done():
		return payment.Refused(c, payment.Refuse(payment.ReasonBusy, "terminal %s: %v", l.cfg.Name, ctx.Err()))
	case <-l.g.stopping:
		return payment.Refused(c, payment.Refuse(payment.ReasonStopping, "the gateway is shutting down"))
	}
	return <-j.reply // a lane that took a job always answers, and within the time of one exchange
}

// run is the life of a lane: open, settle, serve; a broken line, a crash and a
// restart all take this road. soft ends new work, hard ends everything.
func (l *lane) run(soft, hard context.Context) {
	defer l.pulse.stop()
	l.pulse.within(l.longest(0)) // behind a long history
	l.remember(soft)
	for soft.Err() == nil {
		err := l.connection(soft, hard)
		if soft.Err() != nil {
			return
		}
		if err == nil { // everything was served on this connection: nothing broke
			continue
		}
		l.away(err)
		_ = l.climb(soft, nil) // there is no connection that it could break
		l.wait(soft, nil, l.backoff())
	}
}

// away shows a terminal that cannot be reached. What is unknown grows older
// meanwhile.
func (l *lane) away(err error) {
	if l.g.journalBroken() {
		l.g.journalHealthy()
	}
	l.age()
	var reasons []payment.Reason
	if open, err := l.open(); err != nil || slices.ContainsFunc(open, l.needsSettling) {
		reasons = []payment.Reason{payment.ReasonUnsettled}
	}
	l.show(func(t *payment.TerminalStatus) {
		t.Link, t.Stage, t.Error, t.Next, t.Reasons = payment.LinkOffline, payment.StageIdle, err.Error(), nextAfter(err), reasons
	})
}

// connection opens the terminal and stays with it until the line breaks.
func (l *lane) connection(soft, hard context.Context) error {
	l.pulse.within(exchange)
	ctx, cancel := context.WithTimeout(soft, exchange)
	defer cancel()
	term, err := l.cfg.Driver.Open(ctx, l.cfg.Link)
	if err != nil {
		err = l.explain(err)
		l.lost(err)
		return err
	}
	defer term.Close()
	clear(l.held)
	if err := l.identify(ctx, term); err != nil {
		l.lost(err)
		return err
	}
	cancel()
	for soft.Err() == nil {
		if err := l.settle(soft, hard, term); err != nil {
			return err
		}
		if err := l.serve(soft, hard, term); err != nil {
			return err
		}
	}
	return nil
}

// identify asks the terminal who it is. Two lanes that reach the same terminal
// by different ways must not sell: they would read each other's evidence.
func (l *lane) identify(ctx context.Context, term link.Terminal) error {
	d, ok := term.(link.Diagnoser)
	if open, err := l.open(); !ok || ((err != nil || len(open) > 0) && !l.preserves(payment.Diagnosis)) {
		return nil // evidence first: it is asked after settling, by the heartbeat
	}
	if err := l.takeDevice(ctx); err != nil {
		return err
	}
	diagnosis, err := d.Diagnose(ctx)
	l.freeDevice()
	if err != nil {
		return l.explain(err)
	}
	l.identity, l.blocked = diagnosis.Identity, diagnosis.Blocked
	l.show(func(t *payment.TerminalStatus) { t.Identity = diagnosis.Identity })
	l.takeStock(diagnosis)
	l.g.findTwins()
	return nil
}

// findTwins marks terminals of different devices that give the same identity.
func (g *Gateway) findTwins() {
	conflict := false
	g.board.update(func(s *state) {
		clear(s.conflicts)
		for _, a := range s.terminals {
			for _, b := range s.terminals {
				if a.Name != b.Name && a.Identity != "" && a.Identity == b.Identity && g.byName[a.Name].cfg.Device != g.byName[b.Name].cfg.Device {
					s.conflicts[a.Name], conflict = true, true
				}
			}
		}
	})
	if conflict {
		g.Raise(payment.AlertDevice, "two configured terminals are one and the same: give both the same device key, or remove one")
	} else {
		g.Clear(payment.AlertDevice)
	}
}

// wait serves control commands until d has passed or the journal has news.
// Money is refused: term may be nil, and if not it is not settled.
func (l *lane) wait(ctx context.Context, term link.Terminal, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		l.pulse.within(d)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-l.woken:
			return
		case <-l.cfg.Plugged:
			l.failures = min(l.failures, 1) // what just came may take a moment
			return
		case j := <-l.jobs:
			l.pulse.within(exchange)
			if l.unready(ctx, term, j) != nil {
				return // the line broke; whoever waits finds out with the next exchange
			}
		}
	}
}

// backoff is 0 after the first failure, since a reopened line often works at
// once, then doubles from 250 ms to 15 s.
func (l *lane) backoff() time.Duration {
	l.failures++
	if l.failures == 1 {
		return 0
	}
	return min(250*time.Millisecond<<min(l.failures-2, 10), 15*time.Second)
}

// lost announces, once, that a terminal that had been online is not.
func (l *lane) lost(err error) {
	if !l.wasOnline {
		return
	}
	l.wasOnline = false
	l.log.Warn("terminal lost", "err", err)
	l.announce(payment.EventTerminalLost, map[string]string{"terminal": l.cfg.Name, "error": err.Error()})
}

func (l *lane) announce(t payment.EventType, data any) {
	e := payment.NewEvent(t, "terminal/"+l.cfg.Name, l.g.now(), l.cfg.Test, data)
	if err := l.g.journal.Append(nil, []payment.Event{e}); err != nil {
		l.g.journalFailed(err)
	}
}

// preserves says whether an operation may be sent while evidence is needed.
func (l *lane) preserves(op payment.Operation) bool {
	return slices.Contains(l.cfg.Driver.Preserving, op)
}

func (l *lane) show(f func(*payment.TerminalStatus)) { l.g.board.terminal(l.cfg.Name, f) }

func (l *lane) takeDevice(ctx context.Context) error {
	select {
	case l.g.devices[l.cfg.Device] <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lane) tryDevice() bool {
	select {
	case l.g.devices[l.cfg.Device] <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *lane) freeDevice() { <-l.g.devices[l.cfg.Device] }

// newAttempt is 20 random characters of A-Z and 2-7: 100 bits.
func newAttempt() string { return rand.Text()[:20] }
