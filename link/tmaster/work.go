package tmaster

import (
	"sync"
	"time"
)

// The status codes (LastStatMsgCode) that the terminal goes through. The others
// of the guide are a matter of cards.
const (
	StageNone     = 0
	StageHost     = 3
	StageCashier  = 4 // waits for a key
	StagePIN      = 6
	StageCard     = 9
	StageDiscount = 11 // waits for a correction
)

// job is an operation that takes its time.
type job struct {
	stage  int           // guarded by the terminal
	cancel chan struct{} // closed when the operation is wanted no more
	over   sync.Once
	key    chan bool     // green or red, at [StageCashier]
	amount chan struct{} // closed when the amount has been corrected, at [StageDiscount]
	once   sync.Once
	cmd    Command // as corrected; guarded by the terminal
}

// phase is one step of an operation. One that waits for somebody ends when he
// has done it, or with its time.
type phase struct {
	stage int
	takes time.Duration
}

// Begin starts an operation with the next behaviour of the script, or refuses it
// with [ErrBusy] or [ErrOff]. answered, which may be nil, is called once when it is over,
// before Begin returns if it takes no time; it is not called if the terminal is
// switched off. An approval that waits for Confirm is taken back first.
func (t *Terminal) Begin(c Command, answered func(Answer)) error {
	t.mu.Lock()
	switch {
	case !t.power.On():
		t.mu.Unlock()
		return ErrOff
	case t.job != nil:
		t.mu.Unlock()
		return ErrBusy
	}
	if err := t.giveUp(); err != nil {
		t.fail(err)
		t.mu.Unlock()
		return ErrOff
	}
	t.mood = t.script.Next()
	if t.mood.Outcome == "busy" {
		t.mu.Unlock()
		return ErrBusy
	}
	phases := t.phases(c)
	if len(phases) == 0 {
		t.finish(c, answered)
		return nil
	}
	j := t.occupy(phases[0].stage)
	j.cmd = c
	t.mu.Unlock()
	t.power.Go(func() { t.run(j, phases, answered) })
	return nil
}

// phases are what an operation goes through; none if it takes no time.
func (t *Terminal) phases(c Command) (all []phase) {
	b := t.mood
	if t.state.Question && !c.Operation.silent() {
		all = append(all, phase{StageCashier, t.cfg.Question})
	}
	d := b.slow + 3*t.cfg.Pace
	if c.Operation.silent() {
		d = b.slow + t.cfg.Pace
	}
	offers := b.discount != "" && c.Operation == Purchase
	switch {
	case d == 0 && !offers:
		return all
	case c.Operation.silent():
		return append(all, phase{StageHost, d})
	}
	all = append(all, phase{StageCard, d / 3})
	if offers {
		all = append(all, phase{StageDiscount, t.cfg.Adjust})
	}
	return append(all, phase{StagePIN, d / 3}, phase{StageHost, d - 2*(d/3)})
}

// occupy makes the terminal busy.
func (t *Terminal) occupy(stage int) *job {
	t.job = &job{stage: stage, cancel: make(chan struct{}), key: make(chan bool, 1), amount: make(chan struct{})}
	return t.job
}

func (t *Terminal) run(j *job, phases []phase, answered func(Answer)) {
	for i, p := range phases {
		t.mu.Lock()
		j.stage = p.stage
		if i > 0 && phases[i-1].stage == StageCashier {
			t.state.Question = false // somebody has answered it
		}
		t.mu.Unlock()
		if !t.pass(j, p) {
			t.mu.Lock()
			if !t.power.On() {
				t.mu.Unlock()
				return
			}
			t.job = nil
			a, err := t.interrupted(j.cmd, p.stage)
			t.say(a, err, answered)
			return
		}
	}
	t.mu.Lock()
	t.job = nil
	t.finish(j.cmd, answered)
}

// pass lives through one phase. It tells whether the operation goes on.
func (t *Terminal) pass(j *job, p phase) bool {
	timer := time.NewTimer(p.takes)
	defer timer.Stop()
	var key chan bool
	var amount chan struct{}
	switch p.stage {
	case StageCashier:
		key = j.key
	case StageDiscount:
		amount = j.amount
	}
	select {
	case <-timer.C:
		return p.stage != StageCashier // nobody pressed a key
	case green := <-key:
		return green
	case <-amount:
		return true
	case <-j.cancel:
	case <-t.power.Done():
	}
	return false
}

// Cancel gives up what the terminal is doing; it then answers with 1001. It says
// whether there was anything.
func (t *Terminal) Cancel() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == nil {
		return false
	}
	j := t.job
	j.over.Do(func() { close(j.cancel) })
	return true
}

// TestHost tests the way to the bank. answered is called once, with [Approved] or
// a code: at once, or with choose after somebody has chosen a merchant with
// [Terminal.Press]; [Cancelled] if nobody has. It takes no entry of the script: it
// is the one to come that says whether the bank can be reached.
func (t *Terminal) TestHost(choose bool, answered func(code int)) error {
	t.mu.Lock()
	switch {
	case !t.power.On():
		t.mu.Unlock()
		return ErrOff
	case t.job != nil:
		t.mu.Unlock()
		return ErrBusy
	}
	code := t.host()
	if !choose {
		t.mu.Unlock()
		answered(code)
		return nil
	}
	j := t.occupy(StageCashier)
	t.mu.Unlock()
	t.power.Go(func() {
		if !t.pass(j, phase{StageCashier, t.cfg.Question}) {
			code = Cancelled
		}
		t.mu.Lock()
		t.job = nil
		on := t.power.On()
		t.mu.Unlock()
		if on {
			answered(code)
		}
	})
	return nil
}

// Host is what a test of the way to the bank would say now: [Approved], or the
// code with which the script ends the operation to come.
func (t *Terminal) Host() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.host()
}

func (t *Terminal) host() int {
	if b := t.script.Peek(); b.Outcome == "ended" {
		return b.code
	}
	return Approved
}

// Press is somebody at the keypad: the green or the red key. It says whether the
// terminal waited for one.
func (t *Terminal) Press(green bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == nil || t.job.stage != StageCashier {
		return false
	}
	select {
	case t.job.key <- green:
		return true
	default:
		return false
	}
}

// Discount is the card's group and how it was read, while the terminal waits at
// [StageDiscount] for a correction; ok is false at any other time.
func (t *Terminal) Discount() (group string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == nil || t.job.stage != StageDiscount {
		return "", false
	}
	return t.mood.discount, true
}

// Correct sets amount and discount of the purchase that waits at
// [StageDiscount]. Otherwise it is [ErrNothing], and the purchase goes on as it was.
func (t *Terminal) Correct(amount, discount int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.job
	if j == nil || j.stage != StageDiscount || amount <= 0 || discount < 0 || discount >= amount {
		return ErrNothing
	}
	err := ErrNothing
	j.once.Do(func() {
		j.cmd.Amount, j.cmd.Discount = amount, discount
		close(j.amount)
		err = nil
	})
	return err
}

// finish does what the operation asks for, makes it durable and says so. It
// unlocks the terminal.
func (t *Terminal) finish(c Command, answered func(Answer)) {
	if !t.power.On() {
		t.mu.Unlock()
		return
	}
	a, err := t.carryOut(c)
	t.say(a, err, answered)
}

// say hands an answer over and unlocks the terminal. What could not be made
// durable is not said.
func (t *Terminal) say(a Answer, err error, answered func(Answer)) {
	if err != nil {
		t.fail(err)
		t.mu.Unlock()
		return
	}
	a.Behaviour = t.mood
	if a.Fault == Sound {
		a.Fault = t.mood.fault()
	}
	t.last = a
	t.mu.Unlock()
	if answered != nil {
		answered(a)
	}
}
