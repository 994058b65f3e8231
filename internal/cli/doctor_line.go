package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/discover"
	"tillgate/link"
	"tillgate/serialio"
)

// checkPorts looks for what disturbs serial and USB terminals on this machine.
func checkPorts(say func(finding), c config.Config) {
	wired := false
	ours := map[string]bool{} // ports
	for _, t := range c.Terminals {
		a, err := link.ParseAddress(t.Address)
		wired = wired || err == nil && (a.Scheme() == "serial" || a.Scheme() == "usb")
		if device, err := serialio.Resolve(a.SerialPath()); err == nil {
			ours[device] = true
		}
	}
	if !wired {
		return
	}
	f := finding{Check: "ports", Level: good, Tried: "look for what disturbs terminals: ModemManager, missing udev rules, rights"}
	found := slices.DeleteFunc(discover.Scan("/", false), func(f discover.Found) bool { return !f.Terminal && !ours[f.Path] })
	all := discover.Troubles("/", found)
	if len(all) == 0 {
		f.Found = "nothing"
		say(f)
	}
	for _, t := range all {
		f.Level, f.Found, f.Next = warning, t.What, t.Next
		say(f)
	}
}

// speeds that terminals are met with, in the order of how often.
var speeds = []int{115200, 9600, 57600, 38400, 19200}

// candidate is a protocol at a speed that may be the one of a mute terminal.
type candidate struct {
	driver   link.Driver
	settings any
	address  link.Address
}

// probeLine tries every protocol at its own speed, the configured one first, then
// all of them at others. Opening only asks; nothing that is sent moves money.
func (a *app) probeLine(say func(finding), t config.Terminal) {
	all := candidates(t, a.drivers)
	f := finding{Check: "probe of " + t.Name, Level: bad, Tried: fmt.Sprintf("try %d pairs of protocol and speed", len(all)), Found: "none was answered",
		Next: "is the terminal on, and its link to a cash register enabled by the bank? Is it the right port? Receive and transmit may be swapped: see docs/hardware.md"}
	for _, c := range all {
		ctx, cancel := context.WithTimeout(a.ctx, 12*time.Second)
		term, err := c.driver.Open(ctx, link.Config{Name: t.Name, Address: c.address.String(), Dial: c.address.Dial, Currency: t.Currency, Longest: t.Longest.Std(), Settings: c.settings})
		cancel()
		if a.ctx.Err() != nil {
			return
		}
		if err == nil {
			term.Close()
			f.Level, f.Found = warning, fmt.Sprintf("it answers to %s at %s", c.driver.Name, c.address.Line())
			f.Next = fmt.Sprintf("write driver: %s and address: %s", c.driver.Name, c.address)
			break
		}
	}
	say(f)
}

func candidates(t config.Terminal, drivers []link.Driver) []candidate {
	var own, others []candidate
	add := func(d link.Driver, settings any) {
		for i, address := range lineAddresses(d, t.Address) {
			if c := (candidate{d, settings, address}); i == 0 {
				own = append(own, c)
			} else {
				others = append(others, c)
			}
		}
	}
	add(t.Spec, t.Settings)
	for _, d := range drivers {
		if d.Name == t.Driver || d.Open == nil {
			continue
		}
		var settings any
		if d.Settings != nil {
			settings = d.Settings()
		}
		if v, ok := settings.(interface{ Validate() error }); ok && v.Validate() != nil {
			continue // it needs a key or a name that nobody has told
		}
		add(d, settings)
	}
	return append(own, others...)
}

// lineAddresses are the addresses of a port at the protocol's own speed, then at
// the others that terminals are met with.
func lineAddresses(d link.Driver, configured string) (all []link.Address) {
	path, query, _ := strings.Cut(configured, "?")
	words := slices.DeleteFunc(strings.FieldsFunc(query, func(r rune) bool { return r == '&' }), func(w string) bool { return strings.HasPrefix(w, "baud=") })
	known := map[string]bool{}
	for _, baud := range append([]int{0}, speeds...) {
		w := words
		if baud != 0 {
			w = append([]string{fmt.Sprintf("baud=%d", baud)}, words...)
		}
		text := path
		if len(w) > 0 {
			text += "?" + strings.Join(w, "&")
		}
		if address, err := d.Address(text); err == nil && !known[address.Line()] {
			known[address.Line()] = true
			all = append(all, address)
		}
	}
	return all
}
