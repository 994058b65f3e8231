package gateway

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// rungPause is how long a terminal has to come to itself after one rung of the
// ladder, before the next.
const rungPause = 3 * time.Minute

// rungs is how far a lane has gone to bring a terminal back that hangs at one
// payment: its payment application was started anew, then the terminal itself.
// There is no third rung: from there on a person decides.
type rungs struct {
	taken int
	at    time.Time // of the newest
}

// revive starts a terminal anew that answers, and says that it is still at rec
// when no payment lasts so long. A terminal that asks its host refuses
// (link.Restarter), and is asked again in the next round. The error ends the
// connection: what follows needs a new one.
func (l *lane) revive(ctx context.Context, term link.Terminal, rec payment.Record) error {
	r, able := term.(link.Restarter)
	now := l.rungs[rec.ID]
	if !able || now.taken > 1 || l.quiet(rec) <= l.cfg.Link.Longest || !now.at.IsZero() && time.Since(now.at) < rungPause {
		return nil
	}
	l.pulse.within(exchange)
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	deep := now.taken == 1
	err := r.Restart(ctx, deep)
	if errors.Is(err, link.ErrUnsupported) && !deep { // no application to start anew: the next round takes the terminal
		l.rungs[rec.ID] = rungs{taken: 1}
		return nil
	}
	if payment.ReasonOf(err) != "" {
		l.log.Info("a terminal that hangs is not restarted now", "id", string(rec.ID), "err", err)
		return nil
	}
	l.rungs[rec.ID] = rungs{now.taken + 1, time.Now()}
	l.log.Warn("a terminal that hangs was restarted", "id", string(rec.ID), "deep", deep, "err", err)
	if err != nil {
		return brokenLine(err)
	}
	return errRestarted
}

var errRestarted = errors.New("the terminal hung at a payment and is restarting")
