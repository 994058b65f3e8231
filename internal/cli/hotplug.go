package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"tillgate/internal/uevent"
	"tillgate/link"
)

// settleTime is how long after the last news about a device the lanes are told:
// a terminal that is plugged in comes with a dozen of them.
const settleTime = 50 * time.Millisecond

// hotplug tells lanes that a device came or went where their terminals may be.
type hotplug struct {
	ports []*watched
	log   *slog.Logger
}

// watched is a terminal at a serial or USB address.
type watched struct {
	scheme string
	ids    string        // of a USB address, as the kernel writes them: "79b/28/"; "" is any
	told   chan struct{} // holds one
}

// add returns the channel for a lane, nil for an address that is no device of
// this machine.
func (h *hotplug) add(a link.Address) <-chan struct{} {
	if a.Scheme() != "serial" && a.Scheme() != "usb" {
		return nil
	}
	w := &watched{scheme: a.Scheme(), told: make(chan struct{}, 1)}
	if vendor, product := a.USB(); vendor != 0 {
		w.ids = fmt.Sprintf("%x/%x/", vendor, product)
	}
	h.ports = append(h.ports, w)
	return w.told
}

// concerns says whether an event may be about the terminal. The name of a
// serial port cannot be compared: it leads nowhere once the port is gone, and
// not yet while it comes.
func (w *watched) concerns(e uevent.Event) bool {
	if e.Action == "change" {
		return false
	}
	if w.scheme == "serial" {
		return e.Subsystem == "tty"
	}
	return e.Subsystem == "usb" && e.Type == "usb_device" && strings.HasPrefix(e.Product, w.ids)
}

// run listens until ctx ends. Without the kernel's news, terminals are found
// again by the lanes' own patience.
func (h *hotplug) run(ctx context.Context) {
	if len(h.ports) == 0 {
		return
	}
	l, err := uevent.Listen()
	if err == nil {
		err = l.Follow(ctx, settleTime, h.tell)
	}
	if err != nil {
		h.log.Warn("hot-plug is not heard; terminals that come back are found later", "err", err)
	}
}

// tell wakes the lanes that a burst of news may be about.
func (h *hotplug) tell(burst []uevent.Event, lost bool) {
	for _, w := range h.ports {
		i := slices.IndexFunc(burst, w.concerns)
		if i < 0 && !lost {
			continue
		}
		if i >= 0 {
			e := burst[i]
			h.log.Debug("device", "action", e.Action, "path", e.Path, "name", e.Name, "udev", e.Udev)
		}
		select {
		case w.told <- struct{}{}:
		default: // it has been told and has not looked yet
		}
	}
}
