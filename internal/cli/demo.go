package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link"
)

type demoCmd struct {
	Dir    string        `help:"Folder that keeps the demo's state between runs. Default: in this user's state folder." placeholder:"DIR"`
	Once   bool          `help:"Take one payment end to end through MQTT, in a temporary folder, and end."`
	JSON   bool          `name:"json" help:"With --once: print the outcome as JSON."`
	Amount string        `default:"123456" help:"With --once: amount in VND." placeholder:"AMOUNT"`
	Script []string      `help:"What happens to each money command, as for sim." placeholder:"BEHAVIOUR,..."`
	Pace   time.Duration `default:"-1s" help:"How long the customer takes at each stage. Default: 1s, and none with --once." placeholder:"TIME"`
	Log    bool          `help:"Show the gateway's log as well."`
}

func (demoCmd) Help() string {
	return `An embedded MQTT broker, a simulated Ingenico terminal on a real
pseudo-terminal, and the gateway between them. The state stays between runs:
end it in the middle of a payment (kill -9 as well), start it again, and see
how it finds out what became of it.

    tillgate demo
    tillgate demo --script decline:51,lost-answer,approve
    tillgate demo --once --json`
}

const (
	demoBox      = "demo"
	demoTerminal = "front"
	demoDriver   = "ecrvn"
	demoCurrency = "VND"
)

func (d *demoCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if d.JSON && !d.Once {
		return &exit{exitUsage, "--json goes with --once; for a running demo see `tillgate events --follow --json`"}
	}
	dir := d.Dir
	switch {
	case d.Once:
		temp, err := os.MkdirTemp("", "tillgate-once-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	case dir == "":
		dir = demoDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := private(dir); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	if d.Pace < 0 {
		d.Pace = time.Second
		if d.Once {
			d.Pace = 0
		}
	}
	return d.serve(ctx, a, dir)
}

// serve runs the simulated terminal and the box until ctx ends, or the one
// payment is over.
func (d *demoCmd) serve(ctx context.Context, a *app, dir string) error {
	log := slog.New(slog.DiscardHandler)
	if d.Log {
		log = slog.New(slog.NewTextHandler(a.Err, nil))
	}
	c, err := d.config(a, dir)
	if err != nil {
		return err
	}
	sim, err := c.Terminals[0].Spec.Simulate(link.SimulatorConfig{
		Ledger: filepath.Join(dir, "bank.json"), Script: d.Script, Currency: demoCurrency, Pace: d.Pace, Log: log,
	})
	if err != nil {
		return err
	}
	defer sim.Close()

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cabling, unplug := context.WithCancel(context.WithoutCancel(ctx))
	defer unplug()
	plugged := make(chan string, 1)
	var cable, story group
	cable.start("simulated terminal", end, func() error {
		return ptyCable(cabling, filepath.Join(dir, "terminal"), sim, log, func(device string) {
			select {
			case plugged <- device:
			default:
			}
		})
	})
	var device string
	select {
	case device = <-plugged:
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	b := &box{config: c, version: a.version, log: log, test: true}
	var outcome *payment.Record
	b.ready = func(b *box) {
		story.start("demo", end, func() error {
			if d.Once {
				rec, err := d.once(ctx, b)
				if err != nil {
					return err
				}
				outcome = &rec
				end(nil)
				return nil
			}
			return tell(ctx, a.Out, b, device)
		})
	}
	err = b.run(ctx)
	story.wait()
	unplug()
	cable.wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil || outcome == nil {
		return err
	}
	return a.outcome(*outcome, d.JSON)
}

// config is a box with one terminal, made here instead of read from a file.
func (d *demoCmd) config(a *app, dir string) (config.Config, error) {
	port, err := freePort(1883)
	if err != nil {
		return config.Config{}, err
	}
	text := fmt.Sprintf(`box: %s
data: %q
runtime: %q
socket: %q
segment_size: 2MiB
mqtt:
  broker:
    address: 127.0.0.1:%d
terminals:
  - name: %s
    driver: %s
    address: %q
    currency: %s
    max_amount: "5000000"
    longest: 15s
    timeout: 10s
    profile:
      silent_when_busy: true
`, demoBox, dir, filepath.Join(dir, "run"), filepath.Join(dir, socketName), port, demoTerminal, demoDriver, "serial://"+filepath.Join(dir, "terminal"), demoCurrency)
	return config.Parse("the demo's configuration", []byte(text), a.drivers)
}

// freePort is the first free TCP port on loopback from start on.
func freePort(start int) (int, error) {
	for port := start; port < start+1000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no TCP port from %d to %d is free on 127.0.0.1", start, start+999)
}
