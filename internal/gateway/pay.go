package gateway

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// pay carries one money command, or a reconciliation, from the baseline to its
// outcome. The error says that the line broke.
//
//	baseline ─► Begin (durable) ─► reply accepted ─► Execute ─► outcome (durable)
func (l *lane) pay(soft, hard context.Context, term link.Terminal, j job) error {
	if !l.tryDevice() {
		j.refuse(payment.Refuse(payment.ReasonBusy, "device %s is busy", l.cfg.Device))
		return nil
	}
	defer l.freeDevice()
	tx, err := l.prepare(soft, term, j.cmd.Request)
	if err != nil {
		j.refuse(refusal(err, l.cfg.Name))
		return brokenLine(err)
	}
	l.occupy(tx.ID) // who finds the payment in the journal can abort it
	defer l.vacate()
	rec, known, err := l.g.journal.Begin(tx)
	switch {
	case err != nil:
		if isJournal(err) {
			l.g.journalFailed(err)
		}
		j.refuse(err)
		return nil
	case known:
		j.reply <- l.g.knownRecord(j.cmd, rec)
		return nil
	}
	view := rec.View()
	j.answer(payment.Reply{Status: payment.ReplyAccepted, Payment: &view})
	return l.execute(hard, term, rec)
}

// prepare makes the transaction that will be journalled: limits, and what the
// terminal says about itself before it is told anything.
func (l *lane) prepare(ctx context.Context, term link.Terminal, r payment.Request) (payment.Transaction, error) {
	tx := payment.Transaction{Request: r, Attempt: newAttempt(), Started: l.g.now(), Test: l.cfg.Test}
	if err := l.available(r); err != nil {
		return tx, err
	}
	if err := l.underCap(r); err != nil {
		return tx, err
	}
	if err := withinConfirm(term, r); err != nil {
		return tx, err
	}
	b, ok := term.(link.Baseliner)
	if !ok {
		return tx, nil
	}
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	baseline, err := b.Baseline(ctx, tx)
	if err != nil {
		return tx, err
	}
	if l.identity != "" && baseline.Identity != "" && baseline.Identity != l.identity {
		l.g.Raise(payment.AlertSwapped, "terminal "+l.cfg.Name+" is not the one it was when it was connected: "+baseline.Identity)
		return tx, &link.Error{Op: "baseline", Err: errors.New("another terminal answers")}
	}
	tx.Baseline = baseline
	return tx, nil
}

// refusal turns what prepare met into a reason for the controller.
func refusal(err error, terminal string) error {
	_, invalid := errors.AsType[payment.Invalid](err)
	switch {
	case payment.ReasonOf(err) != "" || invalid:
		return err
	case errors.Is(err, link.ErrNotReversible):
		return payment.Refuse(payment.ReasonState, "terminal %s: %v", terminal, err)
	}
	return payment.Refuse(payment.ReasonBaseline, "terminal %s: its state before the payment could not be read: %v", terminal, err)
}

// execute sends the money command, once, and writes down what came of it. rec
// is durable.
func (l *lane) execute(hard context.Context, term link.Terminal, rec payment.Record) error {
	run := l.occupy(rec.ID)
	l.show(func(t *payment.TerminalStatus) {
		t.Reasons, t.Payment = []payment.Reason{payment.ReasonBusy}, rec.ID
	})
	patience := rec.Timeout.Duration()
	if patience == 0 {
		patience = l.cfg.Timeout
	}
	timer := time.AfterFunc(patience, run.abort)
	l.pulse.within(l.longest(patience))
	var strays []payment.Outcome
	o, err := term.Execute(hard, rec.Transaction, link.Dialogue{
		Abort:    run.aborted,
		Evidence: func(o payment.Outcome) { strays = append(strays, o) },
		Progress: func(stage payment.Stage, v payment.VendorCode) {
			if stage != payment.StageWaitingCard && stage != payment.StageIdle {
				timer.Stop() // the card is read: from here the bank's time counts, not the customer's
			}
			l.show(func(t *payment.TerminalStatus) { t.Stage = stage })
			l.g.board.tell(payment.Progress{ID: rec.ID, Terminal: l.cfg.Name, Stage: stage, Vendor: v})
		},
	})
	timer.Stop()
	l.pulse.within(exchange)
	l.vacate()
	for _, s := range strays {
		l.stray(s)
	}
	if err == nil {
		return l.conclude(hard, term, rec, o)
	}
	if link.Sent(err) {
		l.log.Warn("exchange broken, outcome not known yet", "id", string(rec.ID), "err", err)
		l.broken(rec.ID)
		if a, ok := errors.AsType[*link.Answered](err); ok {
			l.said[rec.ID] = *a
		}
		return err
	}
	if l.notYet(rec) {
		return err
	}
	o = payment.Outcome{Result: payment.Failed, Source: payment.SourceGateway, Condition: payment.CondUnavailableDevice, Text: err.Error()}
	if a, ok := errors.AsType[*link.Answered](err); ok {
		o.Condition, o.Vendor = a.Condition, a.Vendor
	}
	return errors.Join(err, l.conclude(hard, term, rec, o))
}

// occupy makes id the operation of this lane, which it may be already.
func (l *lane) occupy(id payment.ID) *running {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == nil || l.running.id != id {
		aborted := make(chan struct{})
		l.running = &running{id, aborted, onceClose(aborted)}
	}
	return l.running
}

func (l *lane) vacate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = nil
}

// abortRunning asks the terminal to stop serving id, or whatever it serves if
// id is "". It says whether there was something to stop.
func (l *lane) abortRunning(id payment.ID) bool {
	l.mu.Lock()
	r := l.running
	l.mu.Unlock()
	if r == nil || (id != "" && r.id != id) {
		return false
	}
	r.abort()
	return true
}

func (l *lane) isRunning(id payment.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running != nil && l.running.id == id
}
