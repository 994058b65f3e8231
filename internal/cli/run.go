package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"tillgate/internal/broker"
	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/mqtt"
	"tillgate/store"
	"tillgate/systemd"
)

type runCmd struct {
	File string `arg:"" optional:"" help:"Configuration file. Default: the one --config names."`
}

func (runCmd) Help() string {
	return `It serves until SIGTERM or Ctrl-C, then refuses new payments, asks running
ones to stop, waits for them, and ends. A payment that is cut short all the
same is looked up at the next start.

    tillgate run /etc/tillgate/tillgate.yaml`
}

// gcPercent lets the heap grow by half, not to twice what is in use, before it is
// collected: a kiosk has little memory, and a sale leaves about 200 kB of garbage.
const gcPercent = 50

func (r *runCmd) Run(a *app) error {
	debug.SetGCPercent(gcPercent)
	if r.File == "" {
		r.File = a.table.Config
	}
	c, err := config.Load(r.File, a.drivers)
	if err != nil {
		return &exit{exitConfig, err.Error()}
	}
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := logger(a, c)
	up := newUpdates(a.table.Firmware.Dir, a.table.Firmware.Keys, c.Data, a.version.Version, log)
	b := &box{config: c, updates: up, version: a.version, log: log, ready: func(*box) { systemd.Ready() }}
	return b.run(ctx)
}

func logger(a *app, c config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel()}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.Err, o))
	}
	return slog.New(slog.NewTextHandler(a.Err, o))
}

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
//	   control socket ────────┤            │
//	   notify (HTTPS) ────────┤            ▼
//	   commands of mqtt ──────┴───── mqtt, one edge a destination ──► brokers
//	                                         embedded broker, a child ──┘
type box struct {
	config  config.Config
	version control.Version
	log     *slog.Logger
	test    bool       // its terminals are simulated, whatever their address says
	updates *updates   // nil: this box is not updated
	ready   func(*box) // called once everything has been started

	journal *store.Store
	gateway *gateway.Gateway
	broker  *broker.Supervisor // nil: none
	kiosk   string             // password of the embedded broker's user
	edges   []*mqtt.Edge
	before  uint64 // newest event of earlier runs
	socket  *control.Server
	notices *listener // nil: nobody tells by himself
	sims    []link.Simulator
	hotplug hotplug
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
	if b.notices != nil {
		others.start("notification listener", fail, func() error { return b.notices.run(rest, b) })
	}
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
	others.start("hot-plug", fail, func() error { b.hotplug.run(rest); return nil })
	if b.config.PowerFail != "" {
		others.start("power-fail input", fail, func() error { return b.watchPower(rest) })
	}
	if b.updates != nil {
		others.start("updates", fail, func() error { return b.updates.run(rest) })
	}
	var lanes group
	lanes.start("gateway", fail, func() error { return b.gateway.Run(ctx) })
	watching := make(chan struct{})
	go func() { defer close(watching); b.watch(rest) }()
	b.log.Info("gateway started", "box", b.config.Box, "terminals", len(b.config.Terminals), "socket", b.config.Socket, "journal", b.config.Data)
	if b.ready != nil {
		b.ready(b)
	}

	<-ctx.Done()
	systemd.Stopping()
	b.log.Info("gateway is stopping", "box", b.config.Box)
	lanes.wait()
	stopEdges()
	edges.wait()
	stopRest()
	others.wait()
	<-watching
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// watch tells systemd how the box stands, and that its lanes get on with their
// work. It returns when ctx has ended.
func (b *box) watch(ctx context.Context) {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { systemd.Watch(ctx, systemd.Interval(), b.gateway.Stuck, b.log) })
	for {
		changed := b.gateway.Changed()
		systemd.Status(inShort(b.gateway.Status()))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// inShort is the box in one line, for `systemctl status`.
func inShort(s payment.Status) string {
	sells := 0
	for _, t := range s.Terminals {
		if t.Sellable {
			sells++
		}
	}
	text := fmt.Sprintf("%d of %d terminals can sell", sells, len(s.Terminals))
	for _, a := range s.Alerts {
		text += ", " + string(a.Code)
	}
	return text
}

// open makes every part, in the order in which they need each other.
func (b *box) open(rest context.Context) error {
	c := &b.config
	for _, dir := range []string{c.Data, c.Runtime, filepath.Dir(c.Socket)} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make a folder of the box: %w: name folders of your own with data and runtime, or run it as a user who may make this one", err)
		}
	}
	now := clockOf(c.Clock)
	b.hotplug.log = b.log
	var err error
	if b.journal, err = store.Open(b.storeOptions()); err != nil {
		return err
	}
	b.before = b.journal.LastSeq()
	o := gateway.Options{Journal: b.journal, Now: now, Log: b.log, IDWindow: c.IDWindow.Std(), AwaitController: b.takesCommands(), Notices: c.Notify.Address != ""}
	for _, t := range c.Terminals {
		lane, err := b.terminal(rest, t)
		if err != nil {
			return fmt.Errorf("terminal %s: %w", t.Name, err)
		}
		o.Terminals = append(o.Terminals, lane)
	}
	if b.updates != nil {
		o.Held, o.Update = b.updates.onTrial(), b.updates.ask
	}
	if b.gateway, err = gateway.New(o); err != nil {
		return err
	}
	socket := control.Options{
		Path: c.Socket, Gateway: b.gateway, Journal: journal{b.journal}, Terminals: b.terminals(), Version: b.version, Log: b.log,
	}
	if b.updates != nil {
		socket.Updates = b.updates
	}
	if b.socket, err = control.Listen(socket); err != nil {
		return err
	}
	if c.Notify.Address != "" {
		if err := b.notifier(); err != nil {
			return err
		}
	}
	if c.Local() {
		if err := b.embed(); err != nil {
			return err
		}
	}
	if err := b.edge(); err != nil {
		return err
	}
	if b.updates != nil {
		b.updates.gateway, b.updates.edges, b.updates.append, b.updates.now = b.gateway, b.edges, b.journal.Append, now
	}
	return nil
}

func (b *box) close() error {
	var errs []error
	for _, s := range b.sims {
		errs = append(errs, s.Close())
	}
	b.notices.close()
	if b.journal != nil {
		errs = append(errs, b.journal.Close())
	}
	return errors.Join(errs...)
}
