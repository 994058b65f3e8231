package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// serve takes commands until something has to be settled (nil) or the line
// breaks (an error). Nothing is unsettled when it is called.
func (l *lane) serve(soft, hard context.Context, term link.Terminal) error {
	beat := time.Now().Add(l.cfg.Heartbeat)
	for soft.Err() == nil {
		open, err := l.open()
		if err != nil || slices.ContainsFunc(open, l.needsSettling) || l.g.journalBroken() {
			return nil
		}
		l.ready(open)
		idle := time.Until(l.due(beat))
		timer := time.NewTimer(idle)
		l.pulse.within(idle)
		select {
		case <-soft.Done():
		case <-l.woken:
		case <-l.cfg.Plugged:
			err = l.heartbeat(soft, term)
			beat = time.Now().Add(l.cfg.Heartbeat)
		case j := <-l.jobs:
			l.pulse.within(exchange)
			err = l.serveJob(soft, hard, term, j)
			beat = time.Now().Add(l.cfg.Heartbeat)
			if l.blocked != "" {
				beat = time.Now() // what it was asked may have been the way out
			}
		case <-timer.C:
			l.pulse.within(exchange)
			if !time.Now().Before(beat) {
				err = l.heartbeat(soft, term)
				beat = time.Now().Add(l.cfg.Heartbeat)
			}
			if err == nil {
				err = l.onTime(hard, term, open)
			}
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// ready shows a terminal that sells, or an approved payment that waits for its
// goods on it.
func (l *lane) ready(open []payment.Record) {
	l.failures = 0
	l.back()
	l.expect(open)
	var reasons []payment.Reason
	if l.blocked != "" {
		reasons = append(reasons, l.blocked)
	}
	var waiting payment.ID
	for _, r := range open {
		if r.State == payment.StateAuthorised {
			reasons, waiting = append(reasons, payment.ReasonAwaiting), r.ID
		}
	}
	if !l.wasOnline { // first the journal, which may be slow: who is told that it sells may ask at once
		l.wasOnline = true
		l.announce(payment.EventTerminalReady, map[string]string{"terminal": l.cfg.Name, "identity": l.identity})
	}
	l.show(func(t *payment.TerminalStatus) {
		t.Link, t.Stage, t.Error, t.Next, t.Recovery, t.Reasons, t.Payment = payment.LinkOnline, payment.StageIdle, "", "", "", reasons, waiting
	})
}

// due is when the lane has to do something by itself.
func (l *lane) due(beat time.Time) time.Time {
	for _, t := range l.deadlines {
		if t.Before(beat) {
			beat = t
		}
	}
	return l.reconcile.before(beat, l.cfg.Reconcile)
}

// onTime does what time asks for: deadlines of fulfilment, the reconciliation.
func (l *lane) onTime(hard context.Context, term link.Terminal, open []payment.Record) error {
	l.expire(open)
	if len(open) == 0 && l.reconcile.isDue(l.cfg.Reconcile, l.g) {
		return l.reconcileNow(hard, term)
	}
	return nil
}

// heartbeat finds out whether an idle terminal is still there, and can sell.
func (l *lane) heartbeat(ctx context.Context, term link.Terminal) error {
	d, ok := term.(link.Diagnoser)
	if !ok || !l.tryDevice() {
		return nil
	}
	defer l.freeDevice()
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	diagnosis, err := d.Diagnose(ctx)
	l.blocked = diagnosis.Blocked
	if err == nil {
		l.takeStock(diagnosis)
	}
	return err
}

// serveJob carries out one command on a settled terminal. The error says that
// the line broke.
func (l *lane) serveJob(soft, hard context.Context, term link.Terminal, j job) error {
	if _, ok := j.cmd.Verb.Operation(); ok {
		return l.pay(soft, hard, term, j)
	}
	if j.cmd.Verb == payment.VerbDispense {
		return l.grant(soft, term, j)
	}
	if j.cmd.Verb == payment.VerbAccept {
		l.accept(j)
		return nil
	}
	return l.question(soft, term, j)
}

// unready answers a command that came while the terminal is away (term is nil)
// or unsettled: a grant needs no terminal, and a question is passed on only if
// it preserves the evidence.
func (l *lane) unready(ctx context.Context, term link.Terminal, j job) error {
	if j.cmd.Verb == payment.VerbDispense {
		return l.grant(ctx, nil, j)
	}
	if j.cmd.Verb == payment.VerbAccept {
		l.accept(j)
		return nil
	}
	if term != nil && l.harmless(j.cmd) {
		return l.question(ctx, term, j)
	}
	err := l.available(j.cmd.Request)
	if err == nil {
		err = payment.Refuse(payment.ReasonBusy, "terminal %s is busy", l.cfg.Name)
	}
	j.refuse(err)
	return nil
}

// harmless says whether a question may be put while evidence is needed.
func (l *lane) harmless(c payment.Command) bool {
	switch c.Verb {
	case payment.VerbDiagnose:
		return !c.Host && l.preserves(payment.Diagnosis)
	case payment.VerbTotals:
		return l.preserves(payment.Totals)
	case payment.VerbPrint:
		return l.preserves(payment.Print)
	}
	return false
}

func (l *lane) question(ctx context.Context, term link.Terminal, j job) error {
	switch j.cmd.Verb {
	case payment.VerbDiagnose:
		if j.cmd.Host {
			return ask(ctx, l, term, j, func(ctx context.Context, d link.HostDiagnoser) (any, error) { return d.DiagnoseHost(ctx) })
		}
		return ask(ctx, l, term, j, func(ctx context.Context, d link.Diagnoser) (any, error) { return d.Diagnose(ctx) })
	case payment.VerbPrint:
		what := link.Printout{Kind: j.cmd.Print, Of: j.cmd.Original, Document: j.cmd.Document}
		return ask(ctx, l, term, j, func(ctx context.Context, p link.Printer) (any, error) { return p.Print(ctx, what) })
	case payment.VerbRestart:
		return ask(ctx, l, term, j, func(ctx context.Context, r link.Restarter) (any, error) { return nil, r.Restart(ctx, j.cmd.Deep) })
	case payment.VerbTotals:
		return ask(ctx, l, term, j, func(ctx context.Context, t link.Totaller) (any, error) { return t.Totals(ctx) })
	}
	j.refuse(payment.Invalid{{Field: "verb", Text: "is not known"}})
	return nil
}

// ask puts a question to a terminal whose driver has the power T.
func ask[T any](ctx context.Context, l *lane, term link.Terminal, j job, question func(context.Context, T) (any, error)) error {
	able, ok := term.(T)
	if !ok {
		what := string(j.cmd.Verb)
		if j.cmd.Verb == payment.VerbDiagnose && j.cmd.Host {
			what = "question whether the bank is reached"
		}
		j.refuse(payment.Refuse(payment.ReasonUnsupported, "terminal %s: %s has no %s", l.cfg.Name, l.cfg.Driver.Title, what))
		return nil
	}
	if !l.tryDevice() {
		j.refuse(payment.Refuse(payment.ReasonBusy, "device %s is busy", l.cfg.Device))
		return nil
	}
	defer l.freeDevice()
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	answer, err := question(ctx, able)
	if errors.Is(err, link.ErrUnsupported) {
		j.refuse(payment.Refuse(payment.ReasonUnsupported, "terminal %s: %v", l.cfg.Name, err))
		return nil
	}
	if reason := payment.ReasonOf(err); reason != "" {
		j.refuse(payment.Refuse(reason, "terminal %s: %v", l.cfg.Name, err))
		return nil
	}
	if err != nil {
		j.refuse(payment.Refuse(payment.ReasonOffline, "terminal %s: %v", l.cfg.Name, err))
		return brokenLine(err)
	}
	j.answer(payment.Reply{Status: payment.ReplyDone, Result: answer})
	return nil
}

// open lists this terminal's records that are not over.
func (l *lane) open() ([]payment.Record, error) {
	all, err := l.g.journal.Open()
	if err != nil {
		l.g.journalFailed(err)
		return nil, err
	}
	return slices.DeleteFunc(all, func(r payment.Record) bool { return r.Terminal != l.cfg.Name }), nil
}

// brokenLine keeps of err what means that the connection is of no more use.
func brokenLine(err error) error {
	if _, ok := errors.AsType[*link.Error](err); ok {
		return err
	}
	return nil
}
