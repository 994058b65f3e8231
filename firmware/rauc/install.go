package rauc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"
)

// Install has RAUC verify a bundle and write it into the slot that does not run,
// and returns that slot's name. The system that runs stays the one that starts
// next. RAUC cannot be stopped: if ctx ends, it goes on without us, and the next
// Install says that it is busy.
func (c *Client) Install(ctx context.Context, bundle string) (slot string, err error) {
	booted, err := c.Booted(ctx)
	if err != nil {
		return "", err
	}
	slots, err := c.Slots(ctx)
	if err != nil {
		return "", err
	}
	if slot, err = other(slots, booted); err != nil {
		return "", err
	}
	err = c.with(ctx, func(ctx context.Context, conn *dbus.Conn, o dbus.BusObject) error {
		return c.install(ctx, conn, o, bundle)
	})
	if err != nil {
		return "", fmt.Errorf("have RAUC install the image: %w", err)
	}
	next, err := c.primary(ctx)
	if err == nil && next != booted { // it would be started by the next power cut, with nobody asked
		err = errors.Join(fmt.Errorf("RAUC has made %s the slot that starts next by itself: its configuration needs activate-installed=false", next), c.Activate(ctx, booted))
	}
	return slot, err
}

func (c *Client) install(ctx context.Context, conn *dbus.Conn, o dbus.BusObject, bundle string) error {
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	// Before it begins: an installation that fails at once has completed before
	// the call returns.
	for _, m := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(name), dbus.WithMatchInterface(installer), dbus.WithMatchMember("Completed")},
		{dbus.WithMatchSender(name), dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged")},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)},
	} {
		if err := conn.AddMatchSignalContext(ctx, m...); err != nil {
			return err
		}
	}
	begin, cancel := c.bounded(ctx)
	defer cancel()
	// Starts RAUC if it does not run: its appearance on the bus is not its end.
	if _, err := property(begin, o, "Operation"); err != nil {
		return err
	}
	if err := o.CallWithContext(begin, installer+".InstallBundle", 0, bundle, map[string]dbus.Variant{}).Err; err != nil {
		return err
	}
	return c.completed(ctx, signals, o)
}

// completed waits until RAUC says that it is done. The properties that change
// meanwhile are its progress.
func (c *Client) completed(ctx context.Context, signals <-chan *dbus.Signal, o dbus.BusObject) error {
	log, patience := c.Log, c.Stall
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if patience == 0 {
		patience = 10 * time.Minute
	}
	stalled := time.NewTimer(patience)
	defer stalled.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stalled.C:
			return fmt.Errorf("it made no progress for %v", patience)
		case s, ok := <-signals:
			if !ok {
				return errors.New("the bus is gone")
			}
			switch s.Name {
			case installer + ".Completed":
				return c.result(ctx, s.Body, o)
			case "org.freedesktop.DBus.NameOwnerChanged":
				if len(s.Body) == 3 && s.Body[2] == "" {
					return errors.New("RAUC has ended in the middle of it")
				}
			case "org.freedesktop.DBus.Properties.PropertiesChanged":
				stalled.Reset(patience)
				progress(log, s.Body)
			}
		}
	}
}

// result reads Completed: 0 is success.
func (c *Client) result(ctx context.Context, body []any, o dbus.BusObject) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if len(body) == 1 && body[0] == int32(0) {
		return nil
	}
	if why, err := property(ctx, o, "LastError"); err == nil && why != "" {
		return fmt.Errorf("%.500s", why)
	}
	return errors.New("it failed and RAUC does not say why")
}

func property(ctx context.Context, o dbus.BusObject, which string) (text string, err error) {
	var v dbus.Variant
	if err = o.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, installer, which).Store(&v); err == nil {
		text, _ = v.Value().(string)
	}
	return text, err
}

func progress(log *slog.Logger, body []any) {
	if len(body) < 2 {
		return
	}
	changed, _ := body[1].(map[string]dbus.Variant)
	v, ok := changed["Progress"]
	if !ok {
		return
	}
	if p, ok := v.Value().([]any); ok && len(p) == 3 {
		log.Info("image is being installed", "percent", p[0], "step", p[1])
	}
}
