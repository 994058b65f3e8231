package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

// tap counts what passes on a terminal's line while it is being opened.
type tap struct {
	sent, heard, strange atomic.Int64
}

type tapped struct {
	link.Conn
	tap *tap
}

func (t *tap) dial(dial func(context.Context) (link.Conn, error)) func(context.Context) (link.Conn, error) {
	return func(ctx context.Context) (link.Conn, error) {
		c, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return tapped{c, t}, nil
	}
}

func (c tapped) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tap.sent.Add(int64(n))
	return n, err
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tap.heard.Add(int64(n))
	for _, x := range b[:n] {
		if x == 0 || x >= 0x80 {
			c.tap.strange.Add(1)
		}
	}
	return n, err
}

// explain tells what a line that could not be opened looks like: nobody there,
// somebody mute, or somebody else.
func (t *tap) explain(f *finding, spec link.Driver, serial bool) {
	probe := ""
	if serial {
		probe = "; to try other speeds and protocols: tillgate doctor --probe"
	}
	switch sent, heard, strange := t.sent.Load(), t.heard.Load(), t.strange.Load(); {
	case sent == 0 && heard == 0:
		f.Next = "is the terminal on, connected, and set to talk to a cash register?"
	case heard == 0:
		f.Found += fmt.Sprintf("; the line is there and mute: %d bytes were sent, none came back", sent)
		f.Next = "is the terminal on and at its idle screen? Is this its port, and the cable crossed where it must be? Has the bank enabled the link to a cash register (ECR)? Many are delivered without it" + probe
	case serial && strange*4 > heard:
		f.Found += fmt.Sprintf("; somebody answers, but %d of %d bytes are no text: that is what a wrong speed looks like", strange, heard)
		f.Next = "compare baud, bits and parity with the terminal's menu" + probe
	default:
		f.Found += fmt.Sprintf("; somebody answers with %d bytes that are not %s", heard, spec.Title)
		f.Next = "which protocol does the bank's paper name? Compare driver and profile with it" + probe
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
