package rauc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"
)

// Client asks the RAUC of this box. Each call has a connection of its own: there
// are a handful in the life of an update, and RAUC may be started anew between
// them. The zero value works; its methods are safe for concurrent use.
type Client struct {
	Address string        // of the bus; "" is the system's
	Answer  time.Duration // how long an answer may take, but that of Install; 0 means 20 s
	Stall   time.Duration // an installation that makes no progress for so long has failed; 0 means 10 min
	Log     *slog.Logger  // nil discards
}

const (
	name      = "de.pengutronix.rauc"
	installer = "de.pengutronix.rauc.Installer"
)

// Slot is one place for a system, or for another part of an image.
type Slot struct {
	Name     string // "rootfs.0"
	Class    string // "rootfs"
	Bootname string // what the bootloader calls it; "" if it cannot be started
	State    string // "booted", "active", "inactive"
	Status   string // what the bootloader says: "good", "bad"
}

// with calls f with RAUC's object.
func (c *Client) with(ctx context.Context, f func(context.Context, *dbus.Conn, dbus.BusObject) error) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to the D-Bus of this box: %w", err)
	}
	defer conn.Close()
	return f(ctx, conn, conn.Object(name, "/"))
}

func (c *Client) connect(ctx context.Context) (*dbus.Conn, error) {
	if c.Address == "" {
		return dbus.ConnectSystemBus(dbus.WithContext(ctx))
	}
	return dbus.Connect(c.Address, dbus.WithContext(ctx))
}

func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Answer == 0 {
		return context.WithTimeout(ctx, 20*time.Second)
	}
	return context.WithTimeout(ctx, c.Answer)
}

// Slots lists every slot.
func (c *Client) Slots(ctx context.Context) (all []Slot, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	err = c.with(ctx, func(ctx context.Context, _ *dbus.Conn, o dbus.BusObject) error {
		var answer []struct {
			Name string
			Dict map[string]dbus.Variant
		}
		if err := o.CallWithContext(ctx, installer+".GetSlotStatus", 0).Store(&answer); err != nil {
			return fmt.Errorf("ask RAUC for its slots: %w", err)
		}
		for _, a := range answer {
			all = append(all, Slot{Name: a.Name, Class: text(a.Dict, "class"), Bootname: text(a.Dict, "bootname"), State: text(a.Dict, "state"), Status: text(a.Dict, "boot-status")})
		}
		return nil
	})
	return all, err
}

func text(d map[string]dbus.Variant, key string) string {
	s, _ := d[key].Value().(string) // what is not there is ""
	return s
}

// Booted is the slot of the system that runs.
func (c *Client) Booted(ctx context.Context) (string, error) {
	slots, err := c.Slots(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range slots {
		if s.State == "booted" {
			return s.Name, nil
		}
	}
	return "", errors.New("RAUC does not know which of its slots runs")
}

// other is the slot that an image is written to while booted runs.
func other(slots []Slot, booted string) (string, error) {
	var class, found string
	for _, s := range slots {
		if s.Name == booted {
			class = s.Class
		}
	}
	for _, s := range slots {
		switch {
		case s.Class != class || s.Name == booted || s.Bootname == "":
		case found != "":
			return "", fmt.Errorf("RAUC has more than two slots of class %s", class)
		default:
			found = s.Name
		}
	}
	if found == "" {
		return "", fmt.Errorf("RAUC has no second slot of class %s: this box has one system", class)
	}
	return found, nil
}

// primary is the slot that starts next.
func (c *Client) primary(ctx context.Context) (slot string, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	err = c.with(ctx, func(ctx context.Context, _ *dbus.Conn, o dbus.BusObject) error {
		return o.CallWithContext(ctx, installer+".GetPrimary", 0).Store(&slot)
	})
	if err != nil {
		err = fmt.Errorf("ask RAUC which slot starts next: %w", err)
	}
	return slot, err
}

// Activate makes slot the one that starts next.
func (c *Client) Activate(ctx context.Context, slot string) error { return c.mark(ctx, "active", slot) }

// Good tells the bootloader that the system that runs has proven itself.
func (c *Client) Good(ctx context.Context) error { return c.mark(ctx, "good", "booted") }

// Bad tells it that the system that runs is not to be started again.
func (c *Client) Bad(ctx context.Context) error { return c.mark(ctx, "bad", "booted") }

func (c *Client) mark(ctx context.Context, state, slot string) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	err := c.with(ctx, func(ctx context.Context, _ *dbus.Conn, o dbus.BusObject) error {
		return o.CallWithContext(ctx, installer+".Mark", 0, state, slot).Err
	})
	if err != nil {
		return fmt.Errorf("have RAUC mark slot %s %s: %w", slot, state, err)
	}
	return nil
}
