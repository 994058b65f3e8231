package ssi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Diagnose tells how the terminal is; who it is, and which merchants it has,
// only while it is idle, since a busy one answers nothing else.
func (t *terminal) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	status, err := t.status(ctx)
	if err != nil {
		return link.Diagnosis{}, err
	}
	d := link.Diagnosis{Facts: map[string]string{"status": payment.Word(status)}}
	if over(status) {
		if err := t.known(ctx); err != nil {
			return link.Diagnosis{}, err
		}
		if err := t.listMerchants(ctx); err != nil {
			return link.Diagnosis{}, err
		}
	}
	d.Identity, d.Inventory = t.identity.String(), t.identity.inventory()
	for k, v := range t.identity.facts {
		d.Facts[k] = v
	}
	if len(t.merchants) > 0 {
		d.Facts["merchants"] = strings.Join(t.merchants, ", ")
	}
	switch mid := strings.TrimSpace(t.settings.MerchantID); {
	case status == statusNeedsZ:
		d.Blocked = payment.ReasonReconcile
		d.Facts["blocked"] = "the terminal wants its batch closed before it sells: tillgate reconcile"
	case mid != "" && len(t.merchants) > 0 && !slices.Contains(t.merchants, mid):
		d.Blocked = payment.ReasonBlocked
		d.Facts["blocked"] = "the terminal has no merchant " + mid + ": set merchant_id to one of merchants"
	}
	return d, nil
}

// listMerchants asks for the merchants, once in the life of a connection. A
// terminal that does not tell has none that we know.
func (t *terminal) listMerchants(ctx context.Context) error {
	if t.listed {
		return nil
	}
	a, err := t.ask(ctx, request{Method: mGetMerchantList})
	if err != nil {
		return err
	}
	if t.listed = a.code() != "E06"; !a.failed() {
		t.merchants = a.Params.Merchants
	}
	return nil
}

// DiagnoseHost has the terminal reach its bank (Echo). Its result overwrites
// the last one: the gateway asks only when everything is settled.
func (t *terminal) DiagnoseHost(ctx context.Context) (link.Diagnosis, error) {
	d, err := t.Diagnose(ctx)
	if err != nil {
		return d, err
	}
	if status := d.Facts["status"]; status != statusIdle && status != statusNeedsZ {
		return d, payment.Refuse(payment.ReasonBusy, "the terminal is busy (%s)", status)
	}
	before, err := t.last(ctx)
	if err != nil {
		return d, err
	}
	mid, tid := t.settings.merchant("")
	if _, err := t.tell(ctx, request{Method: mEcho, Params: &requestParams{MerchantID: mid, TerminalID: tid}}); err != nil {
		return d, err
	}
	if err := t.untilIdle(ctx, mEcho); err != nil {
		return d, err
	}
	a, err := t.last(ctx)
	if err != nil {
		return d, err
	}
	r := a.Params.result
	if r.Trn != "" && !strings.EqualFold(string(r.Trn), mEcho) || r.fingerprint() == before.Params.fingerprint() && r.when() != "" {
		return d, errors.New("the terminal accepted the question and does not say what came of it")
	}
	d.Facts["host"] = "not reached"
	switch judge(a) {
	case done:
		d.Facts["host"] = "reached"
	case none:
		d.Facts["host"] = "not told"
	default:
		d.Facts["host_answer"] = payment.Clip(strings.TrimSpace(string(r.Result)+" "+a.why()), maxText)
	}
	if code := r.response(); code != "" {
		d.Facts["host_response"] = payment.Word(code)
	}
	return d, nil
}

// untilIdle waits until the terminal has carried out what it accepted.
func (t *terminal) untilIdle(ctx context.Context, method string) error {
	for {
		status, err := t.status(ctx)
		if err == nil && over(status) {
			return nil
		}
		if err == nil {
			err = t.pause(ctx, t.settings.Poll)
		}
		if ctx.Err() != nil { // the line is in order, the terminal is slow
			return fmt.Errorf("%s: the terminal is still at it", method)
		}
		if err != nil {
			return err
		}
	}
}

const (
	awayTimeout = 10 * time.Second // for a terminal that restarts to be gone
	awayPing    = 2 * time.Second  // for the answer of one that is still there
)

// Restart starts the payment application anew, or the terminal if deep. It is
// refused while the bank is being asked (S04): what it says then would be lost.
// Afterwards it waits until the terminal is gone, so that nobody sells to one
// that is about to go.
func (t *terminal) Restart(ctx context.Context, deep bool) error {
	status, err := t.status(ctx)
	if err != nil {
		return err
	}
	if status == statusHost {
		return payment.Refuse(payment.ReasonBusy, "the terminal is asking its bank (%s): ask again when it has its answer", statusHost)
	}
	if over(status) {
		if err := t.known(ctx); err != nil {
			return err
		}
	}
	method := mRestartPaymentApp
	switch {
	case deep:
		method = mRestart
	case t.identity.linux:
		return fmt.Errorf("%w: a Linux terminal restarts as a whole only: ask for a deep restart", link.ErrUnsupported)
	}
	a, err := t.ask(ctx, request{Method: method})
	switch {
	case err != nil:
		return err
	case a.code() == "E05":
		return fmt.Errorf("%w: it does not know %s", link.ErrUnsupported, method)
	case a.failed():
		return &refusedError{method, a.code(), a.why()}
	}
	t.log.Info("terminal restarts", "method", method, "status", payment.Word(status))
	t.untilAway(ctx)
	return t.Close() // what follows has a connection of its own
}

// untilAway asks until the terminal answers no more. One that was back before
// anybody noticed is as good.
func (t *terminal) untilAway(ctx context.Context) {
	for until := time.Now().Add(awayTimeout); time.Now().Before(until); {
		if t.pause(ctx, t.settings.Poll) != nil {
			return
		}
		if _, _, err := t.line.exchange(ctx, request{Method: mPingDevice}, awayPing); err != nil {
			return
		}
	}
}
