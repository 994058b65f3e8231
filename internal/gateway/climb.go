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

// climb is where a lane stands on its ladder.
type climb struct {
	since time.Time   // out of service since
	hung  bool        // it has answered meanwhile, and hung
	next  int         // rung
	last  time.Time   // when the last one was taken
	taken []time.Time // in the last day
}

// climb takes the next rung if it is time, the budget has it, and nothing of
// this terminal can be at the bank. It is called when an opening has failed, with
// term nil, and when a terminal answers that it is still at a payment. One that
// answers is only restarted, by its own protocol: it refuses while it asks its
// bank, whatever the clock says. That is done once; from there on a person
// decides. The error says that the connection is of no more use.
func (l *lane) climb(ctx context.Context, term link.Terminal) error {
	d, c, now := l.cfg.Recovery, &l.climbed, time.Now()
	if c.since.IsZero() {
		c.since = now
	}
	if now.Sub(c.since) < d.After || !c.last.IsZero() && now.Sub(c.last) < d.Every {
		return nil
	}
	// With the device in hand no other lane of it begins a payment, or breaks one
	// off, between the look and the step; the one that answers has it already.
	if term == nil {
		if !l.tryDevice() {
			return nil
		}
		defer l.freeDevice()
	}
	if l.atTheBank() {
		return nil
	}
	if term != nil && !c.hung {
		c.hung, c.next = true, 0
	}
	if c.next == len(d.Rungs) && term == nil && !c.last.IsZero() && now.Sub(c.last) >= topPause*d.Every {
		c.next = 0
	}
	c.taken = slices.DeleteFunc(c.taken, func(t time.Time) bool { return now.Sub(t) > 24*time.Hour })
	if len(c.taken) >= d.PerDay {
		l.unreachable(fmt.Sprintf("%d steps of recovery in a day are enough", d.PerDay))
		return nil
	}
	begun := c.next
	for ; c.next < len(d.Rungs); c.next++ {
		r := d.Rungs[c.next]
		if r.Do != nil && term == nil {
			return l.take(ctx, r, r.Do)
		}
		if r.Do == nil {
			if own, done := l.restarter(ctx, term); own != nil {
				defer done()
				return l.take(ctx, r, func(ctx context.Context) error { return own.Restart(ctx, r.Deep) })
			}
		}
	}
	if c.next > begun || c.last.IsZero() {
		c.last = now // nothing of it could be done
	}
	l.unreachable(d.end())
	return nil
}

// restarter is a terminal that can be asked for a restart, and what ends the
// asking: the one that hangs, or one that can be opened and is lost later. It is
// nil if there is none.
func (l *lane) restarter(ctx context.Context, term link.Terminal) (own link.Restarter, done func()) {
	if term != nil {
		own, _ = term.(link.Restarter)
		return own, func() {}
	}
	l.pulse.within(exchange)
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	term, err := l.cfg.Driver.Open(ctx, l.cfg.Link)
	if err != nil {
		return nil, nil
	}
	own, ok := term.(link.Restarter)
	if !ok {
		term.Close()
		return nil, nil
	}
	return own, func() { term.Close() }
}

// take takes one rung; it is in the journal before. A refusal is no step: the
// terminal is asked again. Nor is one that this terminal has not: the next one
// follows at once.
func (l *lane) take(ctx context.Context, r Rung, do func(context.Context) error) error {
	c := &l.climbed
	step := recovery{Terminal: l.cfg.Name, Step: r.Name, State: "begun"}
	if !l.journalled(step) {
		return nil
	}
	l.log.Warn("terminal is out of service", "for", time.Since(c.since).Round(time.Second), "hangs", c.hung, "step", r.Name)
	l.pulse.within(rungLimit)
	limited, cancel := context.WithTimeout(ctx, rungLimit)
	defer cancel()
	before := c.last
	err := do(limited)
	c.next, c.last = c.next+1, time.Now()
	step.State = "done"
	switch {
	case payment.ReasonOf(err) != "":
		step.State, c.next = "refused", c.next-1
	case errors.Is(err, link.ErrUnsupported):
		step.State, c.last = "unsupported", before
	case err != nil:
		step.State = "failed"
		fallthrough
	default:
		c.taken = append(c.taken, c.last)
		l.failures = min(l.failures, 1) // it may be there at once
	}
	if err != nil {
		step.Error = err.Error()
		l.log.Warn("step of recovery", "step", r.Name, "state", step.State, "err", err)
	}
	l.journalled(step)
	l.show(func(t *payment.TerminalStatus) { t.Recovery = step.String() })
	if r.Do == nil && err == nil {
		return errRestarted
	}
	return brokenLine(err)
}

var errRestarted = errors.New("the terminal is restarting")

// recovery is the data of terminal.recovery.
type recovery struct {
	Terminal string `json:"terminal"`
	Step     string `json:"step"`
	State    string `json:"state"` // begun; then done, failed, refused, or unsupported
	Error    string `json:"error,omitempty"`
}

func (r recovery) String() string {
	if r.Error != "" {
		return r.Step + " " + r.State + ": " + r.Error
	}
	return r.Step + " " + r.State
}

func (l *lane) journalled(r recovery) bool {
	e := payment.NewEvent(payment.EventTerminalRecovery, "terminal/"+l.cfg.Name, l.g.now(), l.cfg.Test, r)
	if err := l.g.journal.Append(nil, []payment.Event{e}); err != nil {
		l.g.journalFailed(err)
		return false
	}
	return true
}

// atTheBank says whether something on this device may still be at the bank: a
// step now could take an approval away before it is printed or kept. It is over
// once the longest time that a payment can take has passed.
func (l *lane) atTheBank() bool {
	return slices.ContainsFunc(l.g.lanes, func(o *lane) bool {
		if o.cfg.Device != l.cfg.Device {
			return false
		}
		open, err := o.open()
		return err != nil || slices.ContainsFunc(open, func(r payment.Record) bool {
			return r.Unsettled() && o.quiet(r) <= o.cfg.Link.Longest
		})
	})
}

// unreachable raises the one alert for all terminals that do not come back.
func (l *lane) unreachable(why string) {
	trouble := "does not come back"
	if l.climbed.hung {
		trouble = "hangs at a payment"
	}
	l.g.unreachable(func(m map[string]string) { m[l.cfg.Name] = trouble + ", " + why })
}

// back is called when the terminal is in service.
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
		all = append(all, name+" "+g.away[name])
	}
	g.Raise(payment.AlertUnreachable, "out of service: "+strings.Join(all, "; "))
}
