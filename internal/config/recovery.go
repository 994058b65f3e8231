package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillgate/link"
)

// checkRecovery refuses steps that the terminal's address cannot have.
func (b *book) checkRecovery(at string, t *Terminal, simulation bool) {
	r := t.Recovery
	address, err := link.ParseAddress(t.Address)
	for i, s := range r.Steps {
		path := at + ".steps"
		switch {
		case !slices.Contains(RecoverySteps(), s):
			b.add(path, "%s is not one of %v%s", quote(s), RecoverySteps(), suggest(s, RecoverySteps()))
			continue
		case slices.Contains(r.Steps[:i], s):
			b.add(path, "%s is there twice", s)
		case err != nil:
			continue // the address has its own problem
		}
		device := address.Scheme() == "serial" || address.Scheme() == "usb"
		switch s {
		case StepDrain:
			if !device && address.Scheme() != "tcp" {
				b.add(path, "drain is for a line of bytes: a serial, usb or tcp address")
			}
		case StepRebind, StepUSBReset, StepHubPower:
			if !device {
				b.add(path, "%s is for a terminal at a serial or usb address", s)
			}
		case StepRelay:
			if address.PowerLine() == "" {
				b.add(path, "relay needs the GPIO line of the relay in the address: ?power=GPIO27")
			}
		case StepReset:
			if address.ResetLine() == "" {
				b.add(path, "reset needs the GPIO line of the reset in the address: ?reset=GPIO22")
			}
		}
	}
	if r.USBPort != "" && !link.IsUSBPort(r.USBPort) {
		b.add(at+".usb_port", "%s is not a port like 1-1.4", quote(r.USBPort))
	}
	least := Duration(10 * time.Second)
	if simulation {
		least = Duration(time.Second)
	}
	b.duration(at+".after", r.After, least, Duration(24*time.Hour))
	b.duration(at+".every", r.Every, least, Duration(24*time.Hour))
	b.duration(at+".power_off", r.PowerOff, Duration(100*time.Millisecond), Duration(time.Minute))
	if r.PerDay < 1 || r.PerDay > 100 {
		b.add(at+".per_day", "must be between 1 and 100")
	}
}

// checkShared refuses GPIO lines of recovery that reach another device's terminal as
// well: the gateway leaves alone what may be at the bank, and looks at the terminals
// of one device only.
func (b *book) checkShared(all []Terminal) {
	for i, t := range all {
		a, err := link.ParseAddress(t.Address)
		if err != nil {
			continue
		}
		for k, other := range all {
			o, err := link.ParseAddress(other.Address)
			if k == i || err != nil || t.DeviceKey() == other.DeviceKey() {
				continue
			}
			for _, x := range []struct{ step, key, line, its string }{
				{StepRelay, "power", a.PowerLine(), o.PowerLine()},
				{StepReset, "reset", a.ResetLine(), o.ResetLine()},
			} {
				if slices.Contains(t.Recovery.Steps, x.step) && x.line != "" && strings.TrimPrefix(x.line, "!") == strings.TrimPrefix(x.its, "!") {
					b.add(fmt.Sprintf("terminals[%d].recovery.steps", i), "%s would reach terminals[%d] (%s) too, which has the same %s= line and may be paying: give both the same device",
						x.step, k, quote(other.Name), x.key)
				}
			}
		}
	}
}
