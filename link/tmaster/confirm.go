package tmaster

import "time"

// Confirm makes the last approval final: the commit point of BPOS1. Within
// Config.ConfirmWithin of the answer it does; later, and where nothing waits, it
// is [ErrNothing]. The fault is [Silent] if the wire loses the question or the
// answer; only the ledger knows which.
func (t *Terminal) Confirm() (Fault, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.power.On():
		return Silent, ErrOff
	case t.mood.Outcome == "confirm-lost":
		return Silent, nil
	case t.state.Unconfirmed == 0:
		return Sound, ErrNothing
	}
	t.endWait()
	t.state.Unconfirmed = 0
	if err := t.save(); err != nil {
		t.fail(err)
		return Silent, ErrOff
	}
	if t.mood.Outcome == "confirm-mute" {
		return Silent, nil
	}
	return Sound, nil
}

// Unconfirmed says whether an approval waits for Confirm.
func (t *Terminal) Unconfirmed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Unconfirmed > 0
}

// await has the newest receipt wait for Confirm.
func (t *Terminal) await() {
	if t.cfg.ConfirmWithin == 0 {
		return
	}
	t.state.Unconfirmed = len(t.state.Slips)
	settled := make(chan struct{})
	t.settled = settled
	t.power.Go(func() {
		timer := time.NewTimer(t.cfg.ConfirmWithin)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-settled:
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.settled != settled || !t.power.On() {
			return
		}
		if err := t.giveUp(); err != nil {
			t.fail(err)
		}
	})
}

// endWait ends the wait for Confirm, whatever came of it.
func (t *Terminal) endWait() {
	if t.settled != nil {
		close(t.settled)
		t.settled = nil
	}
}

// giveUp takes back the approval that waits for Confirm, if there is one.
func (t *Terminal) giveUp() error {
	t.endWait()
	i := t.state.Unconfirmed - 1
	if i < 0 {
		return nil
	}
	t.state.Unconfirmed = 0
	t.takeBack(i)
	return t.save()
}

// takeBack undoes an approval of the open batch. The bank hears of it now, or,
// if the reversal of a payment is pending, when the batch is closed: until then
// the customer has paid.
func (t *Terminal) takeBack(i int) {
	s := &t.state.Slips[i]
	e, l := &t.state.Entries[s.Entry], &t.state.Lines[s.Entry]
	s.Left, s.Status = 0, StatusReversed
	switch {
	case s.Operation == Refund:
		t.giveBack(s.Entry, -s.Amount)
	case s.Operation == Completion:
		e.Amount.Minor, l.Hold = l.Held, true
	case s.Pending:
		s.Status, l.Pending = StatusCanceled, true
	default:
		l.Back, e.Reversed = e.Amount.Minor, true
	}
}
