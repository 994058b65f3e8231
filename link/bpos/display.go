package bpos

import (
	"context"
	"errors"
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Unattended terminals let the cash desk have their display while they are idle.
// It has to be given back before anything else: control mode "can't be used
// during financial transaction" (guide, SetControlMode).

// show takes the display and puts the profile's lines or screen on it.
func (t *terminal) show(ctx context.Context) error {
	s := t.settings
	if !s.Unattended || t.control || len(s.Lines) == 0 && s.Screen == 0 {
		return nil
	}
	if err := t.take(ctx); err != nil {
		return err
	}
	for row, line := range s.Lines {
		if err := t.call(ctx, "SetLine", row, 0, line, 0); err != nil {
			return err
		}
	}
	if len(s.Lines) > 0 {
		if err := t.done(ctx, "DisplayText", 0); err != nil {
			return err
		}
	}
	if s.Screen > 0 {
		return t.done(ctx, "SetScreen", s.Screen)
	}
	return nil
}

// take enters control mode.
func (t *terminal) take(ctx context.Context) error {
	err := t.done(ctx, "SetControlMode", true)
	t.control = err == nil
	return err
}

// hide gives the display back.
func (t *terminal) hide(ctx context.Context) error {
	if !t.control {
		return nil
	}
	if err := t.done(ctx, "SetControlMode", false); err != nil {
		return err
	}
	t.control = false
	return nil
}

// restore takes the display again after an operation that is over. What cannot
// be shown is no reason to doubt the operation: the next one finds out.
func (t *terminal) restore(ctx context.Context) {
	if err := t.show(ctx); err != nil {
		t.log.Warn("the idle display cannot be shown", "err", err)
	}
}

// termStatuses are the values of TermStatus.
var termStatuses = map[int64]struct {
	text    string
	blocked payment.Reason
}{
	11: {"unknown", ""}, termNormal: {"normal", ""}, 13: {"system operation", payment.ReasonBlocked},
	termCloseBatch: {"the batch has to be closed", payment.ReasonReconcile}, termReadersFailed: {"the readers have failed", payment.ReasonBlocked},
}

// exchange tells the terminal that we are here, and adds its status to d. One that
// does not do that can sell all the same: d says so.
func (t *terminal) exchange(ctx context.Context, d *link.Diagnosis) error {
	code, err := t.termStatus(ctx)
	if _, broken := errors.AsType[*link.Error](err); broken && tolerate(err) != nil {
		return err
	}
	if err != nil {
		d.Facts["term_status"] = "not told: " + err.Error()
		return nil
	}
	s, known := termStatuses[code]
	if !known {
		s.text = fmt.Sprint(code)
	}
	d.Facts["term_status"] = s.text
	switch {
	case s.blocked == payment.ReasonReconcile:
		d.Blocked, d.Facts["advice"] = s.blocked, "the terminal wants its batch closed: tillgate reconcile"
	case s.blocked != "":
		d.Blocked, d.Facts["advice"] = s.blocked, "the terminal says that it cannot sell ("+s.text+"): look at it, switch it off and on, then call its service"
	}
	return nil
}

// termStatus exchanges statuses, which works in control mode only (guide,
// ExchangeStatuses): a display that is not ours is taken for as long.
func (t *terminal) termStatus(ctx context.Context) (code int64, err error) {
	if !t.control {
		if err := t.take(ctx); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, t.hide(ctx)) }()
	}
	if err := t.done(ctx, "ExchangeStatuses", ecrNormal); err != nil {
		return 0, err
	}
	v, err := t.get(ctx, "TermStatus")
	return v.Number("TermStatus"), err
}
