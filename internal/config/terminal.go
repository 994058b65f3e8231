package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func (b *book) checkTerminals(c *Config, drivers []link.Driver) {
	if len(c.Terminals) == 0 && !b.has("terminals") {
		b.add("terminals", "is required: a box without a terminal sells nothing")
	}
	if most := 32; len(c.Terminals) > most {
		b.add("terminals", "has more than %d entries", most)
		return
	}
	seen := map[string]int{}
	real := ""
	places := map[string]int{}
	for i := range c.Terminals {
		t := &c.Terminals[i]
		at := fmt.Sprintf("terminals[%d]", i)
		b.name(at+".name", t.Name)
		if first, twice := seen[t.Name]; twice && t.Name != "" {
			b.add(at+".name", "is the name of terminals[%d] too", first)
		}
		seen[t.Name] = i
		b.checkDriver(at, t, drivers)
		b.checkAddress(at+".address", t)
		b.checkPlace(at, i, c.Terminals, places)
		b.checkAmounts(at, t)
		b.checkTimes(at, t, c.AllowSimulation)
		b.checkRecovery(at+".recovery", t, c.AllowSimulation)
		b.oneOf(at+".partial", t.Partial, "reverse", "accept")
		b.oneOf(at+".offline", t.Offline, "accept", "reverse")
		if !t.Simulated() && real == "" {
			real = at
		}
	}
	b.checkShared(c.Terminals)
	for i, t := range c.Terminals {
		if t.Simulated() && real != "" && !c.AllowSimulation {
			b.add(fmt.Sprintf("terminals[%d].address", i), "a simulated terminal beside a real one (%s) would approve payments that nobody makes: remove it, or set allow_simulation: true", real)
		}
	}
}

func (b *book) checkDriver(at string, t *Terminal, drivers []link.Driver) {
	var known []string
	for _, d := range drivers {
		if !d.Notifies() {
			known = append(known, d.Name)
		}
	}
	i := slices.IndexFunc(drivers, func(d link.Driver) bool { return d.Name == t.Driver })
	if i < 0 {
		if t.Driver == "" {
			b.add(at+".driver", "is required, one of %v", known)
		} else {
			b.add(at+".driver", "%s is not one of %v%s", quote(t.Driver), known, suggest(t.Driver, known))
		}
		return
	}
	if drivers[i].Notifies() {
		b.add(at+".driver", "%s is no terminal: it only tells; name it under notify.senders", t.Driver)
		return
	}
	t.Spec = drivers[i]
	t.Settings = b.settings(at, t.Driver, t.Spec.Settings, t.Profile)
}

func scheme(address string) string {
	a, err := link.ParseAddress(address)
	if err != nil {
		return ""
	}
	return a.Scheme()
}

func (b *book) checkAddress(path string, t *Terminal) {
	if b.has(path) {
		return
	}
	if t.Address == "" {
		b.add(path, "is required, like serial:///dev/serial/by-id/... or sim://%s", t.Driver)
		return
	}
	address, err := link.ParseAddress(t.Address)
	switch {
	case err != nil:
		kind, _, _ := strings.Cut(t.Address, ":")
		b.add(path, "%v%s", err, suggest(kind, []string{"serial", "uart", "usb", "tcp", "http", "https", "sim"}))
	case address.Scheme() != "sim":
	case address.URL().Host != t.Driver:
		b.add(path, "%s is not a simulator of the driver: write sim://%s", quote(t.Address), t.Driver)
	case t.Spec.Name != "" && t.Spec.Simulate == nil:
		b.add(path, "the driver %s has no simulator", t.Driver)
	}
}

// checkPlace looks at a terminal's place beside those before it, and at what its
// settings say of the place. Terminals may share one where they are one device,
// with several merchants; then they speak one protocol.
func (b *book) checkPlace(at string, i int, all []Terminal, places map[string]int) {
	t := &all[i]
	address, err := link.ParseAddress(t.Address)
	if err != nil {
		return
	}
	if v, ok := t.Settings.(link.LocalProfile); ok && !b.has(at+".profile") {
		b.complain(at+".profile", v.ValidateAt(t.Address))
	}
	if address.Scheme() == "sim" {
		return
	}
	if first, twice := places[address.Device()]; !twice {
		places[address.Device()] = i
	} else if all[first].Driver != t.Driver {
		b.add(at+".address", "%s is where terminals[%d] (%s) is too, which speaks %s: one port has one terminal", quote(t.Address), first, quote(all[first].Name), quote(all[first].Driver))
	}
}

func (b *book) checkAmounts(at string, t *Terminal) {
	if t.MaxAmount == "" {
		b.add(at+".max_amount", "is required: the largest amount that may ever be charged at once, like \"5000000\"")
	}
	if _, ok := payment.Exponent(t.Currency); !ok {
		if t.Currency == "" {
			b.add(at+".currency", "is required: the ISO 4217 code the terminal works in, like VND")
		} else {
			b.add(at+".currency", "%s is not in ISO 4217", quote(t.Currency))
		}
		return
	}
	if t.MaxAmount != "" {
		t.Max = b.amount(at+".max_amount", t.MaxAmount, t.Currency)
	}
	if t.DailyCap != "" {
		t.Cap = b.amount(at+".daily_cap", t.DailyCap, t.Currency)
	}
}

func (b *book) amount(path string, a Amount, currency string) payment.Money {
	if b.has(path) {
		return payment.Money{}
	}
	m, err := payment.ParseMoney(string(a), currency)
	switch {
	case err != nil:
		b.add(path, "%s is %v", quote(string(a)), err)
	case m.Minor <= 0:
		b.add(path, "must be more than zero")
	case m.Minor > payment.MaxMinor:
		b.add(path, "has more than 12 digits in the minor unit")
	default:
		return m
	}
	return payment.Money{}
}

// shortest is the least that longest may be: a customer, a PIN and a bank need
// it. Simulated ones behind a real port are quicker.
func shortest(simulation bool) Duration {
	if simulation {
		return Duration(time.Second)
	}
	return Duration(10 * time.Second)
}

func (b *book) checkTimes(at string, t *Terminal, simulation bool) {
	b.duration(at+".longest", t.Longest, shortest(simulation), Duration(30*time.Minute))
	b.duration(at+".timeout", t.Timeout, Duration(time.Second), Duration(payment.MaxTimeout))
	b.duration(at+".heartbeat", t.Heartbeat, Duration(5*time.Second), Duration(10*time.Minute))
	if !b.has(at+".timeout") && !b.has(at+".longest") && t.Timeout > t.Longest {
		b.add(at+".timeout", "is longer than longest (%v), which includes it", t.Longest)
	}
	if t.Reconcile.At == "" {
		return
	}
	if _, err := time.Parse("15:04", t.Reconcile.At); err != nil || len(t.Reconcile.At) != 5 {
		b.add(at+".reconcile.at", "%s is not a time of day like \"03:00\"", quote(t.Reconcile.At))
	}
	b.duration(at+".reconcile.window", t.Reconcile.Window, Duration(time.Minute), Duration(23*time.Hour))
}
