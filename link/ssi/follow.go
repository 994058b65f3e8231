package ssi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxMisses is how many exchanges in a row may fail while a command runs, where
// each has a connection of its own: a wireless terminal comes and goes.
const maxMisses = 5

// running is a command that the terminal has accepted, or may have.
type running struct {
	t           *terminal
	r           request
	tx          payment.Transaction
	d           link.Dialogue
	until       time.Time // then nobody waits any more
	unheard     error     // why nobody knows whether the newest command was accepted, or nil
	stage       payment.Stage
	carded      bool // the card was asked for
	interrupted bool // the terminal has accepted an Interrupt
	misses      int  // exchanges that failed in a row
	strayed     bool // the terminal was away since
}

// follow asks for the status until the terminal is idle, and then for the
// result. An accepted command is never given up before the longest time it can
// take.
func (x *running) follow(ctx context.Context) (payment.Outcome, error) {
	for {
		o, finished, err := x.look(ctx)
		if finished || err != nil && !x.bear(ctx, err) {
			if err != nil {
				err = &link.Error{Op: x.r.Method, Sent: true, Err: err}
			}
			return o, err
		}
		if time.Now().After(x.until) {
			return payment.Outcome{}, &link.Error{Op: x.r.Method, Sent: true, Err: fmt.Errorf("the terminal is busy for longer than %s", x.t.longest)}
		}
		if err := x.wait(ctx); err != nil {
			return payment.Outcome{}, &link.Error{Op: x.r.Method, Sent: true, Err: err}
		}
	}
}

// bear says whether a failed exchange is borne: the next one has a connection
// of its own.
func (x *running) bear(ctx context.Context, err error) bool {
	if _, broken := errors.AsType[*link.Error](err); !broken || !x.t.line.fresh() || !x.t.reachable(ctx, err) {
		return false
	}
	x.misses, x.strayed = x.misses+1, true
	x.t.log.Warn("terminal not reached while it serves a customer", "err", err, "misses", x.misses)
	return x.misses < maxMisses
}

// begin tells that the terminal serves a customer.
func (x *running) begin() {
	if x.stage == "" {
		x.stage = firstStage(x.tx.Operation)
		x.d.Report(x.stage, payment.VendorCode{})
	}
}

// wait pauses until the next question. An abort ends it once.
func (x *running) wait(ctx context.Context) error {
	abort := x.d.Abort
	if x.aborted() {
		abort = nil
	}
	timer := time.NewTimer(x.t.settings.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	case <-abort:
	}
	return nil
}

func (x *running) aborted() bool {
	select {
	case <-x.d.Abort:
		return true
	default:
		return false
	}
}

// look asks once how far the terminal is, and does what follows from it.
func (x *running) look(ctx context.Context) (o payment.Outcome, finished bool, err error) {
	status, err := x.t.status(ctx)
	if err != nil {
		return o, false, err
	}
	x.misses = 0
	x.report(status)
	switch {
	case over(status):
		return x.finish(ctx)
	case x.aborted() && !x.interrupted && interruptible(status):
		a, err := x.t.ask(ctx, request{Method: mInterrupt})
		if err != nil {
			return o, false, err
		}
		x.interrupted = !a.failed() // E08 means that it came too late, or too soon
	case status == statusFirstStep && x.r.Step == "1" && !x.interrupted:
		return x.secondStep(ctx)
	case status == statusFirstStep && x.unheard != nil && !x.interrupted:
		// The second step was lost on its way. Nothing sends it again, and the
		// first one pays nothing.
		a, err := x.t.ask(ctx, request{Method: mInterrupt})
		if err != nil {
			return o, false, err
		}
		x.interrupted = !a.failed()
	}
	return o, false, nil
}

func (x *running) report(status string) {
	stage, known := stages[status]
	switch {
	case over(status):
		return
	default:
		x.begin()
	}
	switch {
	case !known && x.carded:
		stage = payment.StageHost
	case !known:
		return // S01 before the card: the customer is told to present one already
	}
	x.carded = x.carded || stage == payment.StageWaitingCard
	if stage != x.stage {
		x.stage = stage
		x.d.Report(stage, payment.VendorCode{Code: status})
	}
}

// secondStep asks for the result of the first, which pays nothing, and sends
// the second one of the same purchase.
func (x *running) secondStep(ctx context.Context) (o payment.Outcome, finished bool, err error) {
	a, err := x.t.ask(ctx, request{Method: mGetLastResult})
	if err != nil || judge(a) != firstStep || !x.ours(a.Params.result) {
		return o, false, err
	}
	x.r.Step = "2"
	a, err = x.t.ask(ctx, x.r)
	switch {
	case err != nil && x.t.reachable(ctx, err):
		x.unheard = err // whether it left or not: it is not sent again
		return o, false, nil
	case err != nil:
		return o, true, err
	case a.failed():
		return o, true, &refusedError{x.r.Method, a.code(), a.why()}
	}
	x.unheard = nil
	return o, false, nil
}

// finish reads what became of the command.
func (x *running) finish(ctx context.Context) (o payment.Outcome, finished bool, err error) {
	if x.tx.Operation == payment.Reconciliation {
		if x.unheard != nil {
			return o, true, x.unheard
		}
		return x.t.readReport(ctx)
	}
	a, err := x.t.ask(ctx, request{Method: mGetLastResult})
	if err != nil {
		return o, false, err
	}
	if a.code() == "E06" {
		return o, false, nil // not idle after all
	}
	switch {
	case x.unheard != nil:
		a, err = x.own(ctx)
	case x.strayed:
		err = x.t.same(ctx, x.tx)
	}
	if err != nil {
		return o, true, err
	}
	o, err = x.conclude(a)
	if err == nil && x.unheard != nil {
		o.Source = payment.SourceLookup
	}
	return o, true, err
}

// own finds the result of a command of which nobody knows whether it was
// accepted: it has to prove itself, since the terminal may have served somebody
// else, or nobody.
func (x *running) own(ctx context.Context) (answer, error) {
	own, _, err := x.t.evidence(ctx, x.tx)
	if err == nil && own != nil {
		return *own, nil
	}
	return answer{}, errors.Join(x.unheard, err)
}

// conclude says whether a, read after the terminal accepted our command and
// became idle again, is its outcome.
func (x *running) conclude(a answer) (payment.Outcome, error) {
	r, verdict := a.Params.result, judge(a)
	if x.interrupted && (verdict == none || verdict == firstStep || r.Result == "" && a.code() == "" && r.bankSilent()) {
		return payment.Outcome{
			Result: payment.Cancelled, Condition: payment.CondAborted, Source: payment.SourceAnswer, Text: "stopped by the till",
			Vendor: payment.VendorCode{Code: string(r.Result), Text: a.why()},
		}, nil
	}
	switch verdict {
	case none:
		return payment.Outcome{}, errors.New("the terminal accepted the command and keeps no result")
	case doubtful, firstStep:
		return payment.Outcome{}, doubt(a)
	}
	if err := x.belongs(r, verdict); err != nil {
		return payment.Outcome{}, err
	}
	x.t.took.fingerprint, x.t.took.attempt = r.fingerprint(), x.tx.Attempt
	return x.t.outcome(a, x.tx, payment.SourceAnswer), nil
}

// belongs checks that a result is that of our command and not an older or a
// foreign one. Without a transactionUid it must differ from what was there
// before, and an approval must have our amount.
func (x *running) belongs(r result, v verdict) error {
	switch {
	case r.Uid != "" && x.uid() != "":
		if !x.ours(r) {
			return errors.New("the last result is another attempt's")
		}
	case !x.ours(r):
		return errors.New("the last result is of another operation")
	case r.fingerprint() == markOf(x.tx.Baseline).Last && (v == done || r.when() != ""):
		return errors.New("the last result is the one from before")
	case v == done && !x.t.agreed(r, x.tx):
		return errors.New("the last result has another amount")
	}
	return nil
}

func (x *running) uid() string { return x.t.settings.uid(x.tx.Attempt) }

// ours says whether nothing in r speaks against its being ours: operation and
// transactionUid, where they are told.
func (x *running) ours(r result) bool {
	return (r.Trn == "" || strings.EqualFold(string(r.Trn), x.r.Method)) && (r.Uid == "" || string(r.Uid) == x.uid())
}

// doubt says why a result is no outcome.
func doubt(a answer) error {
	err := fmt.Errorf("the terminal says %q, %q, which does not exclude an approval", payment.Word(string(a.Params.Result)), payment.Word(a.code()))
	said := &link.Answered{Condition: transactionResults[spelled(a.Params.result.Result)].condition, Vendor: payment.VendorCode{Code: payment.Word(string(a.Params.Result)), Text: a.why()}, Err: err}
	if code := errorCodes[a.code()]; code.condition != "" {
		said.Condition, said.Vendor.Code = code.condition, a.code()
	}
	return said
}

// agreed says whether r has the amount of tx, or the discounted one that was
// offered. A balance inquiry has none.
func (t *terminal) agreed(r result, tx payment.Transaction) bool {
	got := t.charged(r, tx)
	return got == tx.Amount || t.offered(tx) > 0 && got.Minor == t.offered(tx)
}

// charged is the amount that r tells of tx, the cash in it included. A terminal
// that shows the end amount of a completion apart means that one.
func (t *terminal) charged(r result, tx payment.Transaction) payment.Money {
	m := t.money(r.Amount)
	switch {
	case tx.Operation == payment.Balance:
		return payment.Money{}
	case tx.Operation == payment.Completion && r.EndAmount != "":
		return t.money(r.EndAmount)
	case !tx.Cashback.IsZero() && t.settings.Cashback == CashbackBeside && m != tx.Amount && !m.IsZero():
		m.Minor += tx.Cashback.Minor
	}
	return m
}

// offered is the discounted amount that was offered with tx, or 0.
func (t *terminal) offered(tx payment.Transaction) int64 {
	if tx.Operation != payment.Purchase || !tx.Cashback.IsZero() {
		return 0
	}
	return t.settings.discounted(tx.Amount.Minor)
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }
