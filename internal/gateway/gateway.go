package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Options is what a gateway is made of. Terminals and Journal are required.
type Options struct {
	Terminals []Terminal
	Journal   Journal
	Now       func() payment.Moment // nil: the system clock, unsynced
	Log       *slog.Logger          // nil discards

	// IDWindow is how long an id is answered as known; later it is refused, so
	// that an old approval buys nothing new. 0 means a day.
	IDWindow time.Duration

	// AwaitController: a controller will report by ControllerConnected, and
	// fulfilment deadlines of an earlier process start only then.
	AwaitController bool

	// Notices says that notifiers are configured: [Gateway.Notify] takes notices.
	Notices bool

	// Held: nothing is sold until Release. A version of the box that is on
	// trial holds from its first moment.
	Held bool

	// Update starts to fetch the bundle at an address, or refuses; what comes of
	// it is an event. nil: this box is not updated from here.
	Update func(ctx context.Context, bundle string) error

	// StopWithin bounds how long Run waits for customers who are paying when
	// it is told to stop. 0 means 320 s, below systemd's TimeoutStopSec=330.
	StopWithin time.Duration
}

// Terminal is one configured terminal. Name, Driver, Link and MaxAmount are
// required.
type Terminal struct {
	Name      string
	Driver    link.Driver
	Link      link.Config
	Test      bool   // simulated: its events say so
	Device    string // lanes with the same device never overlap; "" means the address
	MaxAmount payment.Money
	DailyCap  payment.Money // of approved purchases in 24 hours; zero: none

	AcceptPartial  bool // keep an approval for less than was asked; default: reverse it
	ReverseOffline bool // reverse what was approved without the host; default: keep it

	Timeout   time.Duration // for the card, where the request names none; 0 means payment.DefaultTimeout
	Heartbeat time.Duration // how often an idle terminal is asked how it is; 0 means 30 s
	Pace      time.Duration // between two lookups of one payment; 0 means 2 s
	Reconcile Schedule

	// Plugged tells that a device came or went where the terminal may be: one
	// that is away is opened at once, an idle one is asked whether it is still
	// there. May be nil.
	Plugged <-chan struct{}

	Recovery Ladder // of a terminal that stays away or hangs

	// Explain tells what a line looks like on which the terminal could not be
	// reached, beside the error, and what a person can do next; either may be "".
	// It is called by the lane's goroutine. May be nil.
	Explain func(err error) (found, next string)
}

// Gateway routes commands to lanes and shows how the box stands. Its methods
// are safe for concurrent use.
type Gateway struct {
	opt     Options
	journal Journal
	log     *slog.Logger
	lanes   []*lane
	byName  map[string]*lane
	devices map[string]chan struct{} // one token each
	started time.Time                // monotonic: age of what an earlier process left

	board   board // status, alerts, progress
	notices notices

	mu         sync.Mutex
	away       map[string]string // terminals that do not come back, and what was done
	swaps      map[string]string // terminals that are not what was accepted, and in what
	flights    map[payment.ID]*flight
	lease      *time.Timer // ends a hold
	controller chan struct{}
	connected  sync.Once
	stopping   chan struct{}
}

// flight is a money command on its way to the journal: a second one with the
// same id waits for the first one's reply instead of being refused as busy.
type flight struct {
	request payment.Request
	done    chan struct{}
	reply   payment.Reply
}

// New checks the options and makes a gateway; Run starts it.
func New(opt Options) (*Gateway, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = func() payment.Moment { return payment.Moment{Time: time.Now(), Clock: payment.ClockUnsynced} }
	}
	if opt.IDWindow == 0 {
		opt.IDWindow = 24 * time.Hour
	}
	if opt.StopWithin == 0 {
		opt.StopWithin = 320 * time.Second
	}
	g := &Gateway{
		opt: opt, journal: opt.Journal, log: opt.Log, started: time.Now(),
		byName: map[string]*lane{}, devices: map[string]chan struct{}{}, flights: map[payment.ID]*flight{}, away: map[string]string{}, swaps: map[string]string{},
		controller: make(chan struct{}), stopping: make(chan struct{}),
	}
	if opt.Notices {
		g.notices.index = newIndex()
		g.journal = noticed{opt.Journal, g}
	}
	g.board.init()
	g.board.state.held = opt.Held
	if !opt.AwaitController {
		g.ControllerConnected()
	}
	var wrong []error
	for _, t := range opt.Terminals {
		if err := t.check(); err != nil {
			wrong = append(wrong, err)
			continue
		}
		g.addLane(t)
	}
	g.stillPaused()
	return g, errors.Join(wrong...)
}

func (g *Gateway) addLane(t Terminal) {
	t = t.withDefaults()
	if g.devices[t.Device] == nil {
		g.devices[t.Device] = make(chan struct{}, 1)
	}
	l := newLane(g, t)
	g.lanes = append(g.lanes, l)
	g.byName[t.Name] = l
	g.board.addTerminal(payment.TerminalStatus{Name: t.Name, Driver: t.Driver.Name, Link: payment.LinkOffline, Stage: payment.StageIdle, Test: t.Test})
}

// Run serves until ctx is cancelled, then refuses new work, asks running
// payments to stop, waits for them, and returns. What is left is settled at
// the next start. It may be called once.
func (g *Gateway) Run(ctx context.Context) error {
	started := payment.NewEvent(payment.EventStarted, "", g.now(), false, map[string]int{"terminals": len(g.lanes)})
	if err := g.journal.Append(nil, []payment.Event{started}); err != nil {
		g.journalFailed(err)
	}
	g.findOrphans()
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var lanes sync.WaitGroup
	for _, l := range g.lanes {
		lanes.Go(func() { l.run(ctx, hard) })
	}
	lanes.Go(func() { g.remind(ctx) })
	if g.opt.Notices {
		lanes.Go(func() { g.fillIndex(ctx) })
	}
	<-ctx.Done()
	close(g.stopping)
	g.board.update(func(s *state) { s.stopping = true })
	for _, l := range g.lanes {
		l.abortRunning("")
	}
	timer := time.AfterFunc(g.opt.StopWithin, cancel)
	defer timer.Stop()
	lanes.Wait()
	return nil
}

// findOrphans looks for unfinished payments of terminals that are no longer
// configured: nobody can ask about them.
func (g *Gateway) findOrphans() {
	open, err := g.journal.Open()
	if err != nil {
		g.journalFailed(err)
		return
	}
	for _, rec := range open {
		if g.byName[rec.Terminal] == nil {
			g.Raise(payment.AlertOrphan, "payments of a terminal that is no longer configured are not settled: configure it again, or `tillgate resolve --force`", rec.ID)
		}
	}
}

// lookBack is how far back a start looks for what a person still has to see to.
const lookBack = 7 * 24 * time.Hour

// remind raises again what a restart has made everybody forget. It takes its
// time behind a long history, so nothing waits for it.
func (g *Gateway) remind(ctx context.Context) {
	for rec, err := range g.journal.NeedsPerson(g.now().Time.Add(-lookBack)) {
		switch {
		case err != nil || ctx.Err() != nil:
			return
		case rec.Contradicted != nil:
			g.Raise(payment.AlertContradicted, contradictedText, rec.ID)
		default:
			g.Raise(payment.AlertUnreversed, unreversedTextOf(rec), rec.ID)
		}
	}
}

// ControllerConnected tells that a controller can be heard.
func (g *Gateway) ControllerConnected() {
	g.connected.Do(func() {
		close(g.controller)
		for _, l := range g.lanes {
			l.wake()
		}
	})
}

func (g *Gateway) now() payment.Moment { return g.opt.Now() }

func (g *Gateway) isStopping() bool { return isClosed(g.stopping) }

// lane finds the terminal a command means: the named one, the one of the
// payment it is about, or the only one there is.
func (g *Gateway) lane(name string) (*lane, error) {
	if name == "" && len(g.lanes) == 1 {
		return g.lanes[0], nil
	}
	if l := g.byName[name]; l != nil {
		return l, nil
	}
	names := make([]string, len(g.lanes))
	for i, l := range g.lanes {
		names[i] = l.cfg.Name
	}
	slices.Sort(names)
	if name == "" {
		return nil, payment.Refuse(payment.ReasonUnknownTerminal, "name a terminal: there are %v", names)
	}
	return nil, payment.Refuse(payment.ReasonUnknownTerminal, "no terminal has that name: there are %v", names)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
