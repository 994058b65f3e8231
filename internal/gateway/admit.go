package gateway

import (
	"context"
	"slices"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// admit refuses what this terminal cannot or may not do, before anything is
// journalled or sent. It looks only at values and may be called by anybody.
func (l *lane) admit(r payment.Request) error {
	if !slices.Contains(l.cfg.Driver.Operations, r.Operation) {
		return payment.Refuse(payment.ReasonUnsupported, "terminal %s: %s has no %s", l.cfg.Name, l.cfg.Driver.Title, r.Operation)
	}
	if !r.Cashback.IsZero() && !l.cfg.Driver.Cashback {
		return payment.Refuse(payment.ReasonUnsupported, "terminal %s: %s gives out no cash", l.cfg.Name, l.cfg.Driver.Title)
	}
	if r.Merchant != "" && !l.cfg.Driver.Merchants {
		return payment.Refuse(payment.ReasonUnsupported, "terminal %s: %s has no choice of merchants", l.cfg.Name, l.cfg.Driver.Title)
	}
	if !r.Amount.IsZero() {
		if r.Amount.Currency != l.cfg.Link.Currency {
			return payment.Refuse(payment.ReasonCurrency, "terminal %s takes %s, not %s", l.cfg.Name, l.cfg.Link.Currency, r.Amount.Currency)
		}
		if r.Amount.Minor > l.cfg.MaxAmount.Minor {
			return payment.Refuse(payment.ReasonAboveMaximum, "terminal %s: %s is more than max_amount, %s", l.cfg.Name, r.Amount, l.cfg.MaxAmount)
		}
	}
	if l.cfg.Driver.Check != nil {
		if err := l.cfg.Driver.Check(l.cfg.Link.Settings, r); err != nil {
			return err
		}
	}
	return l.available(r)
}

// available refuses while the terminal cannot serve, with the weightiest reason.
// A reconciliation is possible while selling is paused, and where the terminal
// wants one.
func (l *lane) available(r payment.Request) error {
	for _, t := range l.g.Status().Terminals {
		if t.Name != l.cfg.Name {
			continue
		}
		for _, reason := range t.Reasons {
			if r.Operation == payment.Reconciliation && (reason == payment.ReasonPaused || reason == payment.ReasonReconcile || reason == payment.ReasonBlocked) {
				continue
			}
			return payment.Refuse(reason, "terminal %s cannot serve now: %s%s", l.cfg.Name, reason, because(t))
		}
	}
	return nil
}

func because(t payment.TerminalStatus) string {
	switch {
	case t.Link == payment.LinkOffline && t.Error != "":
		return " (" + t.Error + ")"
	case t.Payment != "":
		return " (payment " + string(t.Payment) + ")"
	}
	return ""
}

// sale is an approved purchase, for the daily cap.
type sale struct {
	at    time.Time
	minor int64
}

const capWindow = 24 * time.Hour

// remember reads what the cap and the schedule need to know of the past.
func (l *lane) remember(ctx context.Context) {
	for ctx.Err() == nil {
		if l.readPast() == nil {
			return
		}
		l.wait(ctx, nil, time.Second)
	}
}

func (l *lane) readPast() error {
	l.sold = nil
	if l.cfg.DailyCap.IsZero() && l.cfg.Reconcile.At == "" {
		return nil // two days of a busy terminal take long to read
	}
	for rec, err := range l.g.journal.Since(l.g.now().Time.Add(-2 * capWindow)) {
		if err != nil {
			return err
		}
		if rec.Terminal != l.cfg.Name {
			continue
		}
		l.count(rec)
		if rec.Operation == payment.Reconciliation && rec.Outcome.Result == payment.Approved {
			l.reconcile.last = rec.Started.Time
		}
	}
	return nil
}

// count adds an approved purchase to the day. A sale of the future counts too:
// the clock was wrong then or is wrong now, and a cap errs on the safe side.
func (l *lane) count(rec payment.Record) {
	if !l.cfg.DailyCap.IsZero() && rec.Operation == payment.Purchase && rec.Outcome.Result == payment.Approved {
		l.sold = append(l.sold, sale{rec.Started.Time, rec.Outcome.Amount.Minor})
	}
}

// underCap refuses a purchase that would pass the daily cap.
func (l *lane) underCap(r payment.Request) error {
	if l.cfg.DailyCap.IsZero() || r.Operation != payment.Purchase {
		return nil
	}
	from := l.g.now().Time.Add(-capWindow)
	l.sold = slices.DeleteFunc(l.sold, func(s sale) bool { return s.at.Before(from) })
	sum := r.Amount.Minor
	for _, s := range l.sold {
		sum += s.minor
	}
	if sum > l.cfg.DailyCap.Minor {
		return payment.Refuse(payment.ReasonDailyCap, "terminal %s: with %s the last 24 hours pass daily_cap, %s", l.cfg.Name, r.Amount, l.cfg.DailyCap)
	}
	return nil
}

// withinConfirm refuses a fulfilment that outlasts the terminal's patience.
func withinConfirm(term link.Terminal, r payment.Request) error {
	c, ok := term.(link.Confirmer)
	if ok && r.FulfilWithin.Duration() > c.ConfirmWithin() {
		return payment.Invalid{{Field: "fulfil_within_ms", Text: "may not exceed the terminal's confirm time of " + c.ConfirmWithin().String()}}
	}
	return nil
}
