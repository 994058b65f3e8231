package gateway

import (
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func (t Terminal) check() error {
	switch exp, ok := payment.Exponent(t.Link.Currency); {
	case t.Name == "":
		return fmt.Errorf("a terminal has no name")
	case t.Driver.Open == nil:
		return fmt.Errorf("terminal %s: no driver", t.Name)
	case !ok:
		return fmt.Errorf("terminal %s: currency %q is not in ISO 4217", t.Name, t.Link.Currency)
	case t.MaxAmount.Minor <= 0 || t.MaxAmount.Currency != t.Link.Currency:
		return fmt.Errorf("terminal %s: max_amount is required, in %s (%d decimals)", t.Name, t.Link.Currency, exp)
	case !t.DailyCap.IsZero() && t.DailyCap.Currency != t.Link.Currency:
		return fmt.Errorf("terminal %s: daily_cap must be in %s", t.Name, t.Link.Currency)
	}
	return t.Reconcile.check(t.Name)
}

func (t Terminal) withDefaults() Terminal {
	if t.Device == "" {
		t.Device = t.Link.Address
	}
	if t.Device == "" {
		t.Device = t.Name
	}
	if t.Timeout == 0 {
		t.Timeout = payment.DefaultTimeout
	}
	if t.Heartbeat == 0 {
		t.Heartbeat = 30 * time.Second
	}
	if t.Pace == 0 {
		t.Pace = 2 * time.Second
	}
	if t.Link.Longest == 0 {
		t.Link.Longest = link.DefaultLongest
	}
	t.Recovery = t.Recovery.withDefaults()
	if t.Link.Name == "" {
		t.Link.Name = t.Name
	}
	return t
}
