package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/serialio"
)

// running is what the gateway says about a terminal it holds.
func running(t payment.TerminalStatus) finding {
	f := finding{Check: "terminal " + t.Name, Level: good, Tried: "ask the running gateway", Found: string(t.Link)}
	if t.Identity != "" {
		f.Found += ", " + t.Identity
	}
	switch {
	case t.Link == payment.LinkSettling:
		what, look := "an earlier payment", "tillgate status"
		if t.Payment != "" {
			what, look = "payment "+string(t.Payment), "tillgate journal show "+string(t.Payment)
		}
		f.Level, f.Found = warning, "it is connected, and asked what became of "+what+"; until that is known it sells nothing"
		f.Next = "wait: that takes no longer than a payment can on this terminal (longest); then: " + look
	case t.Link != payment.LinkOnline && t.Error == "":
		f.Level, f.Next = warning, "it is being opened for the first time: run doctor again"
	case t.Link != payment.LinkOnline:
		f.Level, f.Found, f.Next = bad, f.Found+": "+payment.Printable(t.Error), cmp.Or(t.Next, "the line broke, and is opened again: run doctor again")
		if t.Recovery != "" {
			f.Found += "; last step of recovery: " + payment.Printable(t.Recovery)
		}
	case !t.Sellable:
		f.Level, f.Found, f.Next = warning, f.Found+", does not sell: "+join(t.Reasons), "tillgate status"
	}
	return f
}

// advise adds what a terminal that the gateway holds gives to think about, as far
// as it can be asked now: one that serves a customer is not disturbed.
func (a *app) advise(f *finding, c *control.Client, terminal string) {
	ctx, cancel := context.WithTimeout(a.ctx, 20*time.Second)
	defer cancel()
	reply, err := c.Do(ctx, payment.Command{Verb: payment.VerbDiagnose, Request: payment.Request{Terminal: terminal}})
	if err != nil || reply.Status != payment.ReplyDone {
		return
	}
	var d link.Diagnosis
	if b, err := json.Marshal(reply.Result); err == nil && json.Unmarshal(b, &d) == nil {
		f.advise(d)
	}
}

func (f *finding) advise(d link.Diagnosis) {
	if advice := d.Facts["advice"]; advice != "" {
		f.Level, f.Next = warning, advice
	}
}

// checkTerminal looks at a terminal's port, and asks the terminal if nobody
// else does.
func (a *app) checkTerminal(say func(finding), c config.Config, t config.Terminal, held map[string]payment.TerminalStatus, probe bool) {
	address, err := t.Spec.Address(t.Address)
	if err != nil || address.Scheme() == "sim" {
		return
	}
	recoverer{terminals: c.Terminals, helper: helperSocket}.check(say, t, address)
	if address.Scheme() == "serial" {
		if f := port(t.Name, address.SerialPath()); f.Level != good {
			say(f)
			return
		} else {
			say(f)
		}
	}
	if _, ok := held[t.Name]; ok {
		return // asked through the gateway: two on one line spoil both
	}
	f := finding{Check: "terminal " + t.Name, Level: good, Tried: "open " + place(t) + " and ask who it is"}
	ctx, cancel := context.WithTimeout(a.ctx, 20*time.Second)
	defer cancel()
	line := tap{address: address, driver: t.Spec, probe: "tillgate doctor --probe"}
	term, err := t.Spec.Open(ctx, link.Config{Name: t.Name, Address: t.Address, Dial: line.dial, Currency: t.Currency, Longest: t.Longest.Std(), Settings: t.Settings})
	if err != nil {
		f.Level, f.Found = bad, err.Error()
		found, next := line.explain(err)
		if found != "" {
			f.Found += "; " + found
		}
		f.Next = next
		say(f)
		if probe && address.Scheme() == "serial" {
			a.probeLine(say, t)
		}
		return
	}
	defer term.Close()
	f.Found = "it answers"
	if d, ok := term.(link.Diagnoser); ok {
		if what, err := d.Diagnose(ctx); err == nil {
			f.Found = "it answers: " + what.Identity
			if what.Blocked != "" {
				f.Level, f.Found = warning, f.Found+"; it says that it cannot sell: "+string(what.Blocked)
			}
			f.advise(what)
		} else {
			f.Level, f.Found = warning, "it answers, and cannot say who it is: "+err.Error()
		}
	}
	say(f)
}

// port looks at a serial port without opening it.
func port(name, path string) finding {
	f := finding{Check: "port of " + name, Level: good, Tried: "look at " + path}
	device, err := serialio.Resolve(path)
	switch {
	case err != nil:
		f.Level, f.Found, f.Next = bad, err.Error(), "ports that are there: "+ports()
	case unix.Access(device, unix.R_OK|unix.W_OK) != nil:
		f.Level, f.Found = bad, fmt.Sprintf("%s is there, and this user (uid %d) may not use it", device, os.Getuid())
		f.Next = "add the gateway's user to the group of the device, usually dialout, or run doctor with sudo"
	default:
		f.Found = "it is " + device
	}
	return f
}

func ports() string {
	var all []string
	for _, p := range serialio.List() {
		all = append(all, p.String())
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
