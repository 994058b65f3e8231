package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Ladder is what is done for a terminal that stays away, beside opening it again
// and again. It is climbed rung by rung, and from the first again once the
// terminal has been back. The zero value has no rungs.
type Ladder struct {
	Rungs  []Rung
	After  time.Duration // so long away before the first rung; 0 means a minute
	Every  time.Duration // between two rungs; 0 means two minutes
	PerDay int           // rungs in 24 hours, counted since the start of the process; 0 means 12
}

// Rung is one step of a ladder.
type Rung struct {
	Name string
	// Do is given two minutes. nil restarts the terminal by its own protocol.
	Do func(ctx context.Context) error
}

const rungLimit = 2 * time.Minute

// topPause is how many times Every passes after the last rung, before the first.
const topPause = 10

func (d Ladder) withDefaults() Ladder {
	if d.After == 0 {
		d.After = time.Minute
	}
	if d.Every == 0 {
		d.Every = 2 * time.Minute
	}
	if d.PerDay == 0 {
		d.PerDay = 12
	}
	return d
}

// climb is where a lane stands on its ladder.
type climb struct {
	since time.Time // away since
	next  int       // rung
	last  time.Time // when the last one was taken
	taken []time.Time
}

// climb takes the next rung if it is time, the budget has it, and nothing of
// this terminal can be at the bank. It is called when an opening has failed.
func (l *lane) climb(ctx context.Context) {
	d, c, now := l.cfg.Recovery, &l.climbed, time.Now()
	if c.since.IsZero() {
		c.since = now
	}
	if len(d.Rungs) == 0 || now.Sub(c.since) < d.After || !c.last.IsZero() && now.Sub(c.last) < d.Every {
		return
	}
	if c.next == len(d.Rungs) {
		l.unreachable(fmt.Sprintf("all of %s was done in vain", d.names()))
		if now.Sub(c.last) < topPause*d.Every {
			return
		}
		c.next = 0
	}
	c.taken = slices.DeleteFunc(c.taken, func(t time.Time) bool { return now.Sub(t) > 24*time.Hour })
	if len(c.taken) >= d.PerDay {
		l.unreachable(fmt.Sprintf("%d steps of recovery in a day are enough", d.PerDay))
		return
	}
	if l.atTheBank() || !l.tryDevice() {
		return
	}
	defer l.freeDevice()
	r := d.Rungs[c.next]
	if !l.journalled(recovery{Terminal: l.cfg.Name, Step: r.Name, State: "begun"}) {
		return
	}
	c.next, c.last, c.taken = c.next+1, now, append(c.taken, now)
	l.log.Warn("terminal does not come back", "away", now.Sub(c.since).Round(time.Second), "step", r.Name)
	l.pulse.within(rungLimit)
	limited, cancel := context.WithTimeout(ctx, rungLimit)
	defer cancel()
	do := r.Do
	if do == nil {
		do = l.restart
	}
	end := recovery{Terminal: l.cfg.Name, Step: r.Name, State: "done"}
	if err := do(limited); err != nil {
		end.State, end.Error = "failed", err.Error()
		l.log.Warn("step of recovery", "step", r.Name, "err", err)
	}
	l.journalled(end)
	l.failures = min(l.failures, 1) // it may be there at once
}

// recovery is the data of terminal.recovery.
type recovery struct {
	Terminal string `json:"terminal"`
	Step     string `json:"step"`
	State    string `json:"state"` // begun, done, failed
	Error    string `json:"error,omitempty"`
}

func (l *lane) journalled(r recovery) bool {
	e := payment.NewEvent(payment.EventTerminalRecovery, "terminal/"+l.cfg.Name, l.g.now(), l.cfg.Test, r)
	if err := l.g.journal.Append(nil, []payment.Event{e}); err != nil {
		l.g.journalFailed(err)
		return false
	}
	return true
}

func (d Ladder) names() string {
	var all []string
	for _, r := range d.Rungs {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", ")
}

// atTheBank says whether something of this terminal may still be at the bank: a
// step now could take an approval away before it is printed or kept. It is over
// once the longest time that a payment can take has passed.
func (l *lane) atTheBank() bool {
	open, err := l.open()
	return err != nil || slices.ContainsFunc(open, func(r payment.Record) bool {
		return r.Unsettled() && l.quiet(r) <= l.cfg.Link.Longest
	})
}

// restart asks the terminal itself, if it can be asked anything.
func (l *lane) restart(ctx context.Context) error {
	term, err := l.cfg.Driver.Open(ctx, l.cfg.Link)
	if err != nil {
		return err
	}
	defer term.Close()
	r, ok := term.(link.Restarter)
	if !ok {
		return errors.New("its protocol has no restart")
	}
	return r.Restart(ctx, true)
}

// unreachable raises the one alert for all terminals that do not come back.
func (l *lane) unreachable(why string) {
	l.g.unreachable(func(m map[string]string) { m[l.cfg.Name] = why })
}

// back is called when the terminal has answered.
func (l *lane) back() {
	if l.climbed.since.IsZero() {
		return
	}
	l.climbed = climb{taken: l.climbed.taken}
	l.g.unreachable(func(m map[string]string) { delete(m, l.cfg.Name) })
}

func (g *Gateway) unreachable(change func(map[string]string)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := maps.Clone(g.away)
	change(g.away)
	if maps.Equal(before, g.away) {
		return
	}
	if len(g.away) == 0 {
		g.Clear(payment.AlertUnreachable)
		return
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(g.away)) {
		all = append(all, name+": "+g.away[name])
	}
	g.Raise(payment.AlertUnreachable, "terminals do not come back: "+strings.Join(all, "; "))
}
