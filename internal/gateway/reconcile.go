package gateway

import (
	"context"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Schedule says when a terminal's batch is closed by itself. The zero value
// means never.
type Schedule struct {
	At      string        // local time of day, "03:00"; "" means never
	Window  time.Duration // how long after At it may still begin; 0 means an hour
	CatchUp bool          // make up for a missed one as soon as the terminal is idle
}

func (s Schedule) check(terminal string) error {
	if s.At == "" {
		return nil
	}
	if _, err := time.Parse("15:04", s.At); err != nil {
		return fmt.Errorf("terminal %s: reconcile at %q: want a time of day such as 03:00", terminal, s.At)
	}
	if s.Window < 0 || s.Window > 12*time.Hour {
		return fmt.Errorf("terminal %s: reconcile window must be between 0 and 12h", terminal)
	}
	return nil
}

// latest is the newest moment at or before now at which the batch was to be
// closed.
func (s Schedule) latest(now time.Time) time.Time {
	at, err := time.Parse("15:04", s.At)
	if err != nil {
		return time.Time{}
	}
	t := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
	if t.After(now) {
		t = t.AddDate(0, 0, -1)
	}
	return t
}

func (s Schedule) window() time.Duration {
	if s.Window == 0 {
		return time.Hour
	}
	return s.Window
}

// reconcileState is what a lane remembers of its schedule.
type reconcileState struct {
	last    time.Time // begin of the newest that succeeded
	tried   time.Time // due time of the newest attempt, so that one that fails is not repeated in its window
	missed  time.Time // due time that was reported as missed
	minutes time.Time // next look at the clock
}

// before is when the lane looks at the schedule next: each minute, since a
// kiosk's clock jumps.
func (r *reconcileState) before(t time.Time, s Schedule) time.Time {
	if s.At == "" {
		return t
	}
	if r.minutes.IsZero() {
		r.minutes = time.Now()
	}
	if r.minutes.Before(t) {
		return r.minutes
	}
	return t
}

// isDue says whether the batch has to be closed now. It goes by a synchronised
// clock only; what could not be done in its window is an alert, or is made up
// for if the schedule says so.
func (r *reconcileState) isDue(s Schedule, g *Gateway) bool {
	now := g.now()
	if s.At == "" || time.Now().Before(r.minutes) {
		return false
	}
	r.minutes = time.Now().Add(time.Minute)
	due := s.latest(now.Time)
	if now.Clock != payment.ClockSynced || !r.last.Before(due) || r.tried.Equal(due) {
		return false
	}
	if now.Time.Sub(due) <= s.window() || (s.CatchUp && !r.last.IsZero()) {
		r.tried = due
		return true
	}
	if !r.missed.Equal(due) && !r.last.IsZero() {
		r.missed = due
		g.Raise(payment.AlertReconcile, "a scheduled reconciliation was missed: "+due.Format(time.RFC3339))
	}
	return false
}

// reconcileNow closes the batch by schedule.
func (l *lane) reconcileNow(hard context.Context, term link.Terminal) error {
	j := job{payment.Command{Verb: payment.VerbReconcile, Request: payment.Request{
		ID: payment.ID("reconcile-" + newAttempt()), Terminal: l.cfg.Name, Operation: payment.Reconciliation,
	}}, make(chan payment.Reply, 1)}
	if err := l.admit(j.cmd.Request); err != nil {
		l.g.Raise(payment.AlertReconcile, "terminal "+l.cfg.Name+": "+err.Error())
		return nil
	}
	err := l.pay(hard, hard, term, j)
	reply := <-j.reply
	rec, findErr := l.g.journal.Find(j.cmd.ID)
	if findErr == nil && rec.Outcome.Result == payment.Approved {
		l.reconcile.last = rec.Started.Time
		l.g.Clear(payment.AlertReconcile)
		return err
	}
	l.g.Raise(payment.AlertReconcile, "terminal "+l.cfg.Name+": the batch was not closed: "+reply.Text+" "+rec.Outcome.Text)
	return err
}
