package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
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
	return `An embedded MQTT broker, a simulated Ingenico terminal on a real pseudo-terminal, and the gateway between them. The state stays between runs: end it in the middle of a payment (kill -9 as well), start it again, and see how it finds out what became of it.

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

// tell prints what runs and how to join in, then what happens.
func tell(ctx context.Context, w io.Writer, b *box, device string) error {
	introduce(w, b, device)
	var mu sync.Mutex // one line at a time
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
	}
	var parts sync.WaitGroup
	parts.Go(func() { tellProgress(ctx, b, say) })
	parts.Go(func() { tellStatus(ctx, b, say) })
	err := tellEvents(ctx, b, say)
	parts.Wait()
	return err
}

func introduce(w io.Writer, b *box, device string) {
	host, port, _ := net.SplitHostPort(b.config.MQTT.Broker.Address)
	self := "tillgate"
	if exe, err := os.Executable(); err == nil && strings.Contains(exe, "go-build") {
		self = "go run ."
	}
	socket := ""
	if b.config.Socket != filepath.Join(demoDir(), socketName) {
		socket = " --socket " + b.config.Socket
	}
	login := fmt.Sprintf("-h %s -p %s -u %s -P %s", host, port, b.config.MQTT.Broker.Username, b.kiosk)
	fmt.Fprintf(w, `Tillgate demo. Ctrl-C ends it; what happened stays in %s

  broker    mqtt://%s (embedded, MQTT 3.1.1)
  terminal  %s: a simulated %s on %s
  journal   %s

Pay with a card from a second window:

  %s pay 123456%s

or as a kiosk controller would, with any MQTT client. Listen:

  mosquitto_sub %s -v -t 'tillgate/v1/%s/#'

A money command quotes the session it reads from the retained topic info, so
that one that was delayed charges nobody. Ask for a payment:

  SESSION=$(mosquitto_sub %s -C 1 -t tillgate/v1/%s/info | sed 's/.*"session":"\([^"]*\)".*/\1/')
  mosquitto_pub %s -q 1 -t tillgate/v1/%s/command/purchase \
    -m '{"id":"'$(date +%%s)'","amount":{"minor":123456,"currency":"VND"},"session":"'$SESSION'"}'

Kill this process in the middle of a payment (kill -9 %d), start it again, and
see it ask the terminal what became of it.

`, b.config.Data, b.config.MQTT.Broker.Address, demoTerminal, b.config.Terminals[0].Spec.Title, device,
		filepath.Join(b.config.Data, "journal"), self, socket, login, demoBox, login, demoBox, login, demoBox, os.Getpid())
}

func tellProgress(ctx context.Context, b *box, say func(string, ...any)) {
	news, stop := b.gateway.Progress()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-news:
			say("%s: %s  %s", p.Terminal, stageText(p), p.ID)
		}
	}
}

// tellStatus says when a terminal is lost or found, and what alerts there are.
func tellStatus(ctx context.Context, b *box, say func(string, ...any)) {
	links := map[string]string{}
	alerts := map[payment.AlertCode]bool{}
	for {
		changed := b.gateway.Changed()
		s := b.gateway.Status()
		for _, t := range s.Terminals {
			text := string(t.Link)
			if t.Error != "" {
				text += ": " + printable(t.Error)
			}
			if t.Link == payment.LinkSettling && t.Payment != "" {
				text += fmt.Sprintf(": asking what became of %s (at most %v, as long as a payment can last on it)", t.Payment, longest(b, t.Name))
			}
			if links[t.Name] != text {
				links[t.Name] = text
				say("%s: terminal %s", t.Name, text)
			}
		}
		now := map[payment.AlertCode]bool{}
		for _, al := range s.Alerts {
			if now[al.Code] = true; !alerts[al.Code] {
				say("ALERT %s: %s", al.Code, printable(al.Text))
			}
		}
		for code := range alerts {
			if !now[code] {
				say("alert %s is over", code)
			}
		}
		alerts = now
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func longest(b *box, terminal string) time.Duration {
	for _, t := range b.config.Terminals {
		if t.Name == terminal {
			return t.Longest.Std()
		}
	}
	return link.DefaultLongest
}

func tellEvents(ctx context.Context, b *box, say func(string, ...any)) error {
	for from := b.before + 1; ; {
		changed := b.journal.Changed()
		for from <= b.journal.LastSeq() {
			events, err := b.journal.Range(from, b.journal.LastSeq(), 100)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				say("event %d  %s", e.Seq, eventText(e))
				from = e.Seq + 1
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
