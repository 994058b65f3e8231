package privat

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// interruptEvery is how often an interrupt is repeated until the terminal says
// that it got it. It is a wish and moves nothing.
const (
	interruptEvery = 3 * time.Second
	maxInterrupts  = 5
)

// maxIdle is how often in a row a terminal may say that it has finished before
// its answer is given up as lost: every other poll, so six seconds as a rule.
const maxIdle = 3

// errIdle: the terminal was at it, is not any more, and has not answered.
var errIdle = errors.New("the terminal has finished, and its answer did not come")

// serve waits for the answer to a command that was sent, tells how far the
// terminal is, and interrupts it if that is wanted.
func (t *terminal) serve(ctx context.Context, req request, d link.Dialogue) (answer, error) {
	end := time.NewTimer(t.longest)
	defer end.Stop()
	poll := newTicker(t.settings.Poll)
	defer poll.stop()
	nag := newTicker(0)
	defer func() { nag.stop() }()
	abort, interrupts, questions := d.Abort, 0, 0 // questions: service messages that are not answered
	polls, working, idle := 0, false, 0
	say := func(msg string) error {
		questions++
		_, err := t.line.write(ctx, service(msg).frame())
		return err
	}
	hear := func(a answer) (ours bool) {
		switch {
		case a.method == req.method:
			return true
		case moves(a.method):
			t.keep(a)
		case a.method != methodService:
		case a.msgType == msgBusy && interrupts == 0 && questions == 0:
			return true
		case a.msgType == msgNotImplemented && questions == 0:
			return true
		case a.msgType == msgNotImplemented: // it does not say which; the command was taken before
			questions = 0
			poll.stop()
		case a.msgType == msgInterrupted:
			questions = 0
			nag.stop()
		case a.msgType == msgStatus:
			questions = 0
			if s, ok := stages[a.stage]; ok {
				d.Report(s, payment.VendorCode{Code: show(a.stage), Text: a.stageText})
			}
		case a.msgType == msgLastResult: // believed once it has said that it is at it
			questions = 0
			if working = working || a.lastResult == "2"; working && a.lastResult != "2" {
				idle++
			} else {
				idle = 0
			}
		}
		return false
	}
	for {
		select {
		case a := <-t.line.answers:
			if hear(a) {
				return a, nil
			}
			if idle == maxIdle {
				return answer{}, errIdle
			}
		case <-abort:
			abort = nil
			interrupts++
			nag = newTicker(interruptEvery)
			if err := say(msgInterrupt); err != nil {
				return answer{}, err
			}
		case <-nag.c:
			if interrupts++; interrupts == maxInterrupts {
				nag.stop()
			}
			if err := say(msgInterrupt); err != nil {
				return answer{}, err
			}
		case <-poll.c:
			msg := msgStatus
			if polls++; polls%2 == 0 {
				msg = msgLastResult
			}
			if err := say(msg); err != nil {
				return answer{}, err
			}
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-end.C:
			return answer{}, errSilent
		case <-t.line.done:
			for _, a := range t.line.late() {
				if hear(a) {
					return a, nil
				}
			}
			return answer{}, t.line.err
		}
	}
}

// ticker is a time.Ticker that may be none.
type ticker struct {
	c      <-chan time.Time
	ticker *time.Ticker
}

func newTicker(d time.Duration) *ticker {
	if d <= 0 {
		return &ticker{}
	}
	t := time.NewTicker(d)
	return &ticker{t.C, t}
}

func (t *ticker) stop() {
	if t.ticker != nil {
		t.ticker.Stop()
	}
	t.c = nil
}
