package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tillgate/internal/broker"
	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/mqtt"
	"tillgate/store"
)

type runCmd struct {
	File string `arg:"" optional:"" help:"Configuration file. Default: the one --config names."`
}

func (runCmd) Help() string {
	return `It serves until SIGTERM or Ctrl-C, then refuses new payments, asks running ones to stop, waits for them, and ends. A payment that is cut short all the same is looked up at the next start.

    tillgate run /etc/tillgate/tillgate.yaml`
}

func (r *runCmd) Run(a *app) error {
	if r.File == "" {
		r.File = a.table.Config
	}
	c, err := config.Load(r.File, a.drivers)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w\nMake one with `tillgate config example`, or try `tillgate demo`, which needs none.", err)
		}
		return err
	}
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	b := &box{config: c, version: a.version, log: logger(a, c), ready: func(*box) { notify(daemon.SdNotifyReady) }}
	return b.run(ctx)
}

func logger(a *app, c config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel()}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.Err, o))
	}
	return slog.New(slog.NewTextHandler(a.Err, o))
}

func notify(state string) { _, _ = daemon.SdNotify(false, state) } // without systemd nobody listens

type brokerCmd struct{}

// Run is the child process of the embedded broker.
func (brokerCmd) Run(a *app) error {
	if code := broker.Main(a.In, a.Out, a.Err); code != 0 {
		return &exit{code: code}
	}
	return nil
}

// box is everything that runs in one gateway process:
//
//	terminals ◄── link ──► gateway ──► store (journal and outbox)
//	                          ▲            │
//	   control socket ────────┤            ▼
//	   commands of mqtt ──────┴───── mqtt, one edge a destination ──► brokers
//	                                         embedded broker, a child ──┘
type box struct {
	config  config.Config
	version control.Version
	log     *slog.Logger
	test    bool       // its terminals are simulated, whatever their address says
	ready   func(*box) // called once everything has been started

	journal *store.Store
	gateway *gateway.Gateway
	broker  *broker.Supervisor // nil: none
	kiosk   string             // password of the embedded broker's user
	edges   []*mqtt.Edge
	before  uint64 // newest event of earlier runs
	socket  *control.Server
	sims    []link.Simulator
}

// run starts everything, and ends everything in the order that loses nothing
// when ctx ends or a part cannot go on: first the gateway, while its answers
// and events still find their way out, then the edges, then the rest.
func (b *box) run(ctx context.Context) (err error) {
	rest, stopRest := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRest()
	if err := b.open(rest); err != nil {
		b.close()
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var others, edges group
	edging, stopEdges := context.WithCancel(rest)
	defer stopEdges()
	if b.broker != nil {
		others.start("embedded broker", fail, func() error { return b.broker.Run(rest) })
	}
	others.start("control socket", fail, func() error { return b.socket.Serve(rest) })
	for _, e := range b.edges {
		edges.start("mqtt", fail, func() error {
			if b.broker != nil && e.State().Destination == local {
				if _, err := b.broker.Wait(edging); err != nil {
					return nil // it never came up before the end
				}
			}
			return e.Run(edging)
		})
	}
	var lanes group
	lanes.start("gateway", fail, func() error { return b.gateway.Run(ctx) })
	watch := b.watch(rest)
	b.log.Info("gateway started", "box", b.config.Box, "terminals", len(b.config.Terminals), "socket", b.config.Socket, "journal", b.config.Data)
	if b.ready != nil {
		b.ready(b)
	}

	<-ctx.Done()
	notify(daemon.SdNotifyStopping)
	b.log.Info("gateway is stopping", "box", b.config.Box)
	lanes.wait()
	stopEdges()
	edges.wait()
	stopRest()
	others.wait()
	<-watch
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// watch tells systemd's watchdog that the gateway still answers, if systemd
// asks for it. The channel is closed when it has ended.
func (b *box) watch(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		t := time.NewTicker(every / 3)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				b.gateway.Status() // blocks if the gateway does
				notify(daemon.SdNotifyWatchdog)
			}
		}
	}()
	return ended
}

// open makes every part, in the order in which they need each other.
func (b *box) open(rest context.Context) error {
	c := &b.config
	for _, dir := range []string{c.Data, c.Runtime, filepath.Dir(c.Socket)} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make a folder of the box: %w", err)
		}
	}
	now := clockOf(c.Clock)
	var err error
	if b.journal, err = store.Open(b.storeOptions()); err != nil {
		return err
	}
	b.before = b.journal.LastSeq()
	o := gateway.Options{Journal: b.journal, Now: now, Log: b.log, IDWindow: c.IDWindow.Std(), AwaitController: b.takesCommands()}
	for _, t := range c.Terminals {
		lane, err := b.terminal(rest, t)
		if err != nil {
			return fmt.Errorf("terminal %s: %w", t.Name, err)
		}
		o.Terminals = append(o.Terminals, lane)
	}
	if b.gateway, err = gateway.New(o); err != nil {
		return err
	}
	if b.socket, err = control.Listen(control.Options{
		Path: c.Socket, Gateway: b.gateway, Journal: journal{b.journal}, Terminals: b.terminals(), Version: b.version, Log: b.log,
	}); err != nil {
		return err
	}
	if c.Local() {
		if err := b.embed(); err != nil {
			return err
		}
	}
	return b.edge()
}

func (b *box) storeOptions() store.Options {
	c := b.config
	return store.Options{
		Dir: filepath.Join(c.Data, "journal"), Board: boardSerial(), Destinations: b.destinations(),
		SegmentSize: int64(c.SegmentSize), Retention: c.Retention.Std(), MaxSegments: c.MaxSegments, Now: clockOf(c.Clock), Log: b.log,
	}
}

func (b *box) close() error {
	var errs []error
	for _, s := range b.sims {
		errs = append(errs, s.Close())
	}
	if b.journal != nil {
		errs = append(errs, b.journal.Close())
	}
	return errors.Join(errs...)
}

// simPace is how long the customer of a sim:// terminal takes at each stage.
const simPace = 500 * time.Millisecond

const local = "local" // the embedded broker as a destination

func (b *box) destinations() []string {
	var all []string
	if b.config.Local() {
		all = append(all, local)
	}
	for _, d := range b.config.MQTT.Destinations {
		all = append(all, d.Name)
	}
	return all
}

func (b *box) takesCommands() bool {
	for _, d := range b.config.MQTT.Destinations {
		if d.Commands {
			return true
		}
	}
	return b.config.Local()
}

func (b *box) terminal(rest context.Context, t config.Terminal) (gateway.Terminal, error) {
	address, err := link.ParseAddress(t.Address)
	if err != nil {
		return gateway.Terminal{}, err
	}
	lane := gateway.Terminal{
		Name: t.Name, Driver: t.Spec, Test: t.Simulated() || b.test, Device: t.Device, MaxAmount: t.Max, DailyCap: t.Cap,
		AcceptPartial: t.Partial == "accept", ReverseOffline: t.Offline == "reverse", Timeout: t.Timeout.Std(),
		Reconcile: gateway.Schedule{At: t.Reconcile.At, Window: t.Reconcile.Window.Std(), CatchUp: t.Reconcile.CatchUp},
		Link: link.Config{
			Name: t.Name, Address: t.Address, Dial: address.Dial, Currency: t.Currency, Longest: t.Longest.Std(), Settings: t.Settings, Log: b.log,
		},
	}
	if lane.Device == "" {
		lane.Device = address.Device()
	}
	if t.Simulated() {
		sim, err := t.Spec.Simulate(link.SimulatorConfig{
			Ledger: filepath.Join(b.config.Data, "simulated-"+t.Name+".json"), Currency: t.Currency, Pace: simPace, Log: b.log,
		})
		if err != nil {
			return gateway.Terminal{}, err
		}
		b.sims = append(b.sims, sim)
		lane.Link.Dial = pipeDial(rest, sim, b.log)
		lane.Device = "sim:" + t.Name
	}
	return lane, nil
}

func (b *box) terminals() []control.Terminal {
	var all []control.Terminal
	for _, t := range b.config.Terminals {
		all = append(all, control.Terminal{Name: t.Name, Driver: t.Driver, Currency: t.Currency, MaxAmount: t.Max, Test: t.Simulated() || b.test})
	}
	return all
}

// embed prepares the embedded broker.
func (b *box) embed() error {
	if !broker.Built {
		return errors.New("this binary was built without the embedded broker (tag nobroker): name a broker under mqtt.destinations, and leave mqtt.broker.enabled out or false")
	}
	m := b.config.MQTT.Broker
	host, text, err := net.SplitHostPort(m.Address)
	if err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	if b.kiosk = m.Password.Reveal(); b.kiosk == "" {
		if b.kiosk, err = madePassword(filepath.Join(b.config.Data, "kiosk.password")); err != nil {
			return fmt.Errorf("embedded broker: %w", err)
		}
	}
	// The journal is ours by now, so this is what a killed process left behind.
	queue := filepath.Join(b.config.Runtime, "broker")
	if err := errors.Join(os.RemoveAll(queue), os.Mkdir(queue, 0o700)); err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	user := broker.KioskUser(b.config.Box, b.kiosk)
	user.Name = m.Username
	b.broker = &broker.Supervisor{Box: b.config.Box, Host: host, Port: port, Users: []broker.User{user}, Dir: queue, Log: b.log}
	return nil
}

// edge prepares one edge for each destination.
func (b *box) edge() error {
	versions := map[string]string{"tillgate": short(b.version), "go": b.version.Go, "drivers": strings.Join(b.version.Drivers, " ")}
	common := mqtt.Options{Box: b.config.Box, Versions: versions, Gateway: b.gateway, Outbox: b.journal, Log: b.log}
	if b.broker != nil {
		o := common
		user, password := b.broker.Gateway()
		o.Destination, o.URL, o.Commands = local, "tcp://"+b.config.MQTT.Broker.Address, true
		o.Username, o.Password = user, func() (string, error) { return password, nil }
		e, err := mqtt.New(o)
		if err != nil {
			return err
		}
		b.edges = append(b.edges, e)
	}
	for _, d := range b.config.MQTT.Destinations {
		o := common
		o.Destination, o.URL, o.Commands, o.Username, o.PasswordFile = d.Name, d.URL, d.Commands, d.Username, d.PasswordFile
		var err error
		if o.TLS, err = tlsOf(d.TLS); err != nil {
			return fmt.Errorf("destination %s: %w", d.Name, err)
		}
		e, err := mqtt.New(o)
		if err != nil {
			return err
		}
		b.edges = append(b.edges, e)
	}
	return nil
}

// journal is the store as the control socket sees it.
type journal struct{ *store.Store }

func (j journal) History(q control.Query) iter.Seq2[payment.Record, error] {
	return j.Store.History(store.Query{Order: q.Order, Last4: q.Last4, Auth: q.Auth, Terminal: q.Terminal, Since: q.Since, Until: q.Until, Limit: q.Limit})
}

func (j journal) Verify(ctx context.Context) (control.Check, error) {
	r, err := j.Store.Verify(ctx)
	c := control.Check{OK: r.OK(), Segments: r.Segments, Bytes: r.Bytes, Entries: r.Entries, Payments: r.Payments, Events: r.Events, Open: r.Open, Faults: []control.Fault{}}
	for _, f := range r.Faults {
		c.Faults = append(c.Faults, control.Fault{Segment: f.Segment, Text: f.Text})
	}
	return c, err
}
