package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/broker"
	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/internal/secretfile"
	"tillgate/link"
	"tillgate/mqtt"
	"tillgate/store"
)

func (b *box) storeOptions() store.Options {
	c := b.config
	return store.Options{
		Dir: filepath.Join(c.Data, "journal"), Board: boardSerial(), Destinations: b.destinations(),
		SegmentSize: int64(c.SegmentSize), Retention: c.Retention.Std(), MaxSegments: c.MaxSegments, Now: clockOf(c.Clock), Log: b.log,
	}
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
	address, err := t.Spec.Address(t.Address)
	if err != nil {
		return gateway.Terminal{}, err
	}
	line := &tap{address: address, driver: t.Spec, probe: "stop the gateway, then tillgate doctor --probe"}
	lane := gateway.Terminal{
		Name: t.Name, Driver: t.Spec, Test: t.Simulated() || b.test, Device: t.DeviceKey(), MaxAmount: t.Max, DailyCap: t.Cap,
		AcceptPartial: t.Partial == "accept", ReverseOffline: t.Offline == "reverse", Timeout: t.Timeout.Std(), Heartbeat: t.Heartbeat.Std(),
		Reconcile: gateway.Schedule{At: t.Reconcile.At, Window: t.Reconcile.Window.Std(), CatchUp: t.Reconcile.CatchUp},
		Link: link.Config{
			Name: t.Name, Address: t.Address, Dial: line.dial, Currency: t.Currency, Longest: t.Longest.Std(), Settings: t.Settings, Log: b.log,
		},
	}
	lane.Explain = line.explain
	lane.Plugged = b.hotplug.add(address)
	lane.Recovery = recoverer{terminals: b.config.Terminals, helper: helperSocket}.ladder(t, address)
	if t.Simulated() {
		sim, err := t.Spec.Simulate(link.SimulatorConfig{
			Name: t.Name, Ledger: filepath.Join(b.config.Data, "simulated-"+t.Name+".json"), Currency: t.Currency, Pace: simPace, Log: b.log,
		})
		if err != nil {
			return gateway.Terminal{}, err
		}
		b.sims = append(b.sims, sim)
		lane.Link.Dial = pipeDial(rest, sim, b.log)
		lane.Device, lane.Explain = "sim:"+t.Name, nil
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
	file := m.PasswordFile
	if b.kiosk = m.Password.Reveal(); b.kiosk == "" {
		file = filepath.Join(b.config.Data, "kiosk.password")
		if b.kiosk, err = madePassword(file); err != nil {
			return fmt.Errorf("embedded broker: %w", err)
		}
	}
	b.log.Info("embedded broker", "address", m.Address, "username", m.Username, "password_file", file)
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
		o.Destination, o.URL, o.Commands, o.Username = d.Name, d.URL, d.Commands, d.Username
		if d.PasswordFile != "" {
			o.Password = func() (string, error) { return secretfile.Read(d.PasswordFile) }
		}
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
