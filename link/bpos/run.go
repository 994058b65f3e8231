package bpos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// answer is what the library says when the terminal is done: LastResult 0, or 1
// with why.
type answer struct {
	result int64  // LastResult
	fault  int64  // LastErrorCode
	code   int64  // ResponseCode
	text   string // LastErrorDescription
	worked bool   // the library was seen at work on it
	waited bool   // the terminal waited for a key
}

// err is why an operation was not done; it is what a question of ours says.
func (a answer) err() error {
	if a.result == resultDone {
		return nil
	}
	switch a.fault {
	case faultOpen:
		return errors.New("the library cannot open the port")
	case faultNotOpen:
		return errors.New("the library's port is not open")
	case faultLink:
		return errSilent
	}
	if c, ok := terminalCodes[a.code]; ok {
		return fmt.Errorf("the terminal says %d: %s", a.code, c.text)
	}
	return fmt.Errorf("the terminal says %d", a.code)
}

// said says whether the terminal itself gave this answer.
func (a answer) said() bool { return a.result == resultDone || a.fault == faultTerminal }

var (
	errSilent  = errors.New("the library does not reach the terminal: is it on, connected, and set to BPOS by the bank (not to 4in1 or JSON)?")
	errWorking = errors.New("the library is still at work on an earlier operation")
	errLong    = errors.New("the terminal did not finish in time")
	errState   = errors.New("the library gives a state that the guide does not have")
)

// Properties that are read together.
var (
	progress = []string{"LastResult", "LastStatMsgCode"}
	failure  = []string{"LastErrorCode", "ResponseCode", "LastErrorDescription"}
)

// watch is what somebody wants to hear of a running operation, and may do to it.
type watch struct {
	within time.Duration
	abort  <-chan struct{}
	status func(int64)                 // each new LastStatMsgCode; may be nil
	offer  func(context.Context) error // at status 11, once; may be nil
}

// call calls a method that is done when it returns.
func (t *terminal) call(ctx context.Context, method string, args ...any) error {
	code, sent, err := t.bridge.Call(ctx, t.settings.QueryTimeout, method, args...)
	switch {
	case err != nil:
		return &link.Error{Op: method, Sent: sent, Err: err}
	case code != 0:
		return &refused{method, code}
	}
	return nil
}

// refused is a method that returned something else than done.
type refused struct {
	method string
	code   int
}

func (r *refused) Error() string { return fmt.Sprintf("%s: the library returned %d", r.method, r.code) }

// get reads properties.
func (t *terminal) get(ctx context.Context, names ...string) (bridge.Values, error) {
	v, err := t.bridge.Get(ctx, t.settings.QueryTimeout, names...)
	if err != nil {
		return nil, &link.Error{Op: names[0], Err: err}
	}
	return v, nil
}

// ask puts a question to the terminal and waits for the end of it. The error is
// a [link.Error] if the connection, or the terminal behind it, is of no more use.
func (t *terminal) ask(ctx context.Context, method string, args ...any) (answer, error) {
	a, _, err := t.run(ctx, watch{within: t.settings.QueryTimeout}, method, args...)
	if err != nil {
		return a, &link.Error{Op: method, Err: err}
	}
	if !a.said() {
		return a, &link.Error{Op: method, Err: a.err()}
	}
	return a, nil
}

// run calls a method on which the terminal works, and polls until it is done.
// sent says whether the terminal may have got it.
func (t *terminal) run(ctx context.Context, w watch, method string, args ...any) (a answer, sent bool, err error) {
	code, sent, err := t.bridge.Call(ctx, t.settings.QueryTimeout, method, args...)
	if err != nil {
		return a, sent, err
	}
	if code != 0 {
		a, err = t.failed(ctx, code)
		if errors.Is(err, errWorking) {
			return a, false, err
		}
		return a, err != nil || !(unsent(code) || a.fault == faultOpen || a.fault == faultNotOpen), err
	}
	a, err = t.follow(ctx, w)
	// COM drops S_FALSE: that the port is not open is seen only here.
	notOpen := err == nil && a.result == resultError && (a.fault == faultOpen || a.fault == faultNotOpen)
	return a, !notOpen, err
}

// failed reads why a method returned code.
func (t *terminal) failed(ctx context.Context, code int) (answer, error) {
	a := answer{result: resultError}
	v, err := t.get(ctx, failure...)
	if err != nil {
		return a, err
	}
	a.fault, a.code, a.text = v.Number("LastErrorCode"), v.Number("ResponseCode"), v.Text("LastErrorDescription")
	switch {
	case code == returnBusy:
		return a, errWorking
	case unsent(code):
		a.fault = faultNotOpen
	case a.fault != faultOpen && a.fault != faultNotOpen:
		a.fault = faultLink // it was not accepted, so no ResponseCode is about it
	}
	return a, nil
}

// follow polls until LastResult is not 2.
func (t *terminal) follow(ctx context.Context, w watch) (answer, error) {
	f := follower{t: t, w: w, last: -1, changed: time.Now()}
	end := time.NewTimer(w.within)
	defer end.Stop()
	poll := time.NewTimer(t.settings.Poll)
	defer poll.Stop()
	for {
		done, err := f.look(ctx)
		if err != nil || done {
			return f.answer, err
		}
		poll.Reset(t.settings.Poll)
		select {
		case <-poll.C:
		case <-f.w.abort:
			f.w.abort, f.unwanted = nil, true
		case <-end.C:
			return f.answer, errLong
		case <-ctx.Done():
			return f.answer, ctx.Err()
		}
	}
}

// Cancel is a wish that moves nothing, and is for LastResult 2 only: what came to
// an end meanwhile is left alone. It is repeated, since the library does not wait
// for the terminal to take it.
const (
	cancelEvery = 3 * time.Second
	maxCancels  = 5
)

// follower is one operation that is followed.
type follower struct {
	t *terminal
	w watch
	answer

	last      int64     // status
	changed   time.Time // when it became what it is, or was checked
	unwanted  bool      // the operation is to be cancelled
	cancels   int
	cancelled time.Time
	offered   bool
}

// look reads the state once, and does what it asks for.
func (f *follower) look(ctx context.Context) (done bool, err error) {
	v, err := f.t.get(ctx, progress...)
	if err != nil {
		return false, err
	}
	switch f.result = v.Number("LastResult"); {
	case v["LastResult"] == nil || f.result > resultWorking:
		return false, errState
	case f.result == resultDone:
		return true, nil
	case f.result == resultError:
		if v, err = f.t.get(ctx, failure...); err != nil {
			return false, err
		}
		f.fault, f.code, f.text = v.Number("LastErrorCode"), v.Number("ResponseCode"), v.Text("LastErrorDescription")
		return true, nil
	}
	f.worked = true
	return false, f.working(ctx, v.Number("LastStatMsgCode"))
}

// working reports the status, cancels what is not wanted any more, offers a
// corrected amount, and has a terminal looked for that has not moved for long.
func (f *follower) working(ctx context.Context, code int64) error {
	if code != f.last {
		f.last, f.changed = code, time.Now()
		f.waited = f.waited || code == statusCashier
		if f.w.status != nil {
			f.w.status(code)
		}
	}
	switch since := time.Since(f.changed); {
	case f.unwanted && f.cancels < maxCancels && time.Since(f.cancelled) >= cancelEvery:
		f.cancels++
		f.cancelled = time.Now()
		return tolerate(f.t.call(ctx, "Cancel"))
	case code == statusCorrect && !f.offered && f.w.offer != nil:
		f.offered = true
		return f.w.offer(ctx)
	case f.t.settings.CheckAfter > 0 && since >= f.t.settings.CheckAfter:
		f.changed = time.Now()
		return tolerate(f.t.call(ctx, "CheckTerminal"))
	}
	return nil
}

// tolerate keeps of err what means that nobody answers: a library that does not
// have a method, or returns something else than done, is there.
func tolerate(err error) error {
	if _, ok := errors.AsType[*refused](err); ok {
		return nil
	}
	if r, ok := errors.AsType[*bridge.Refusal](err); ok && r.Fault != bridge.FaultBusy {
		return nil
	}
	return err
}

// report tells the stage of a status.
func report(d link.Dialogue, code int64) {
	s, known := statuses[code]
	if known && s.stage != "" {
		d.Report(s.stage, payment.VendorCode{Code: fmt.Sprint(code), Text: s.text})
	}
}
