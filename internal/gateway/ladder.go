package gateway

import (
	"context"
	"strings"
	"time"
)

// Ladder is what is done for a terminal that stays away, beside opening it again
// and again, and for one that answers and hangs at a payment. It is climbed rung
// by rung, and from the first again once the terminal is in service. The zero
// value has no rungs: then there is only the alert.
type Ladder struct {
	Rungs  []Rung
	After  time.Duration // so long out of service before the first rung; 0 means a minute
	Every  time.Duration // between two rungs; 0 means three minutes, in which a terminal starts anew
	PerDay int           // rungs in 24 hours, counted since the start of the process; 0 means 12
}

// Rung is one step of a ladder: something that is done to the line or the power
// of a terminal that is away, or a restart that the terminal itself is asked for
// (link.Restarter).
type Rung struct {
	Name string
	Do   func(ctx context.Context) error // within two minutes; nil asks the terminal
	Deep bool                            // of a restart: the terminal, not only its payment application
}

// rungLimit bounds one step.
const rungLimit = 2 * time.Minute

// topPause is how many times Every passes after the last rung, before the first.
const topPause = 10

func (d Ladder) withDefaults() Ladder {
	if d.After == 0 {
		d.After = time.Minute
	}
	if d.Every == 0 {
		d.Every = 3 * time.Minute
	}
	if d.PerDay == 0 {
		d.PerDay = 12
	}
	return d
}

// end says what there is at the top of the ladder.
func (d Ladder) end() string {
	if len(d.Rungs) == 0 {
		return "no steps of recovery are configured"
	}
	var all []string
	for _, r := range d.Rungs {
		all = append(all, r.Name)
	}
	return "no step of recovery is left of " + strings.Join(all, ", ")
}
