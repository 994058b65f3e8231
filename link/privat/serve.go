package privat

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
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

// serving is a command that was sent, until its answer has come.
type serving struct {
	t   *terminal
	tx  payment.Transaction
	req request
	d   link.Dialogue

	poll, nag  *ticker
	interrupts int
	questions  int // service messages that are not answered
	polls      int
	taken      bool // the terminal is seen to be at something, so it took the command
	working    bool // it has said that it is at it
	idle       int  // how often in a row it has said that it is not

	asked  bool          // for the card's discount group
	agreed payment.Money // the amount after the discount that was offered
	waited bool          // the terminal waited for a key
}

// run waits for the answer, tells how far the terminal is, offers the profile's
// discounts, and interrupts the command if that is wanted.
func (s *serving) run(ctx context.Context) (answer, error) {
	t := s.t
	end := time.NewTimer(t.longest)
	defer end.Stop()
	s.poll, s.nag = newTicker(t.settings.Poll), newTicker(0)
	defer func() { s.poll.stop(); s.nag.stop() }()
	abort := s.d.Abort
	for {
		var err error
		select {
		case a := <-t.line.Messages():
			var ours bool
			if ours, err = s.hear(ctx, a); ours {
				return a, nil
			}
			if s.idle == maxIdle {
				return answer{}, errIdle
			}
		case <-abort:
			abort = nil
			s.nag = newTicker(interruptEvery)
			err = s.interrupt(ctx)
		case <-s.nag.c:
			err = s.interrupt(ctx)
		case <-s.poll.c:
			msg := msgStatus
			if s.polls++; s.polls%2 == 0 {
				msg = msgLastResult
			}
			err = s.say(ctx, service(msg))
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-end.C:
			return answer{}, stream.ErrSilent
		case <-t.line.Done():
			for _, a := range t.line.Late() {
				if ours, _ := s.hear(ctx, a); ours {
					return a, nil
				}
			}
			return answer{}, t.line.Err()
		}
		if err != nil {
			return answer{}, err
		}
	}
}

func (s *serving) say(ctx context.Context, r request) error {
	s.questions++
	_, err := s.t.line.Write(ctx, r.frame(), stream.WriteTimeout)
	return err
}

func (s *serving) interrupt(ctx context.Context) error {
	if s.interrupts++; s.interrupts == maxInterrupts {
		s.nag.stop()
	}
	return s.say(ctx, service(msgInterrupt))
}

// hear takes one message in. ours says that it is the answer to the command.
func (s *serving) hear(ctx context.Context, a answer) (ours bool, err error) {
	switch {
	case a.method == s.req.method:
		if s.t.repeated(a, s.tx) {
			s.t.tell(s.d, stray{a, s.t.owner(a)})
			return false, nil
		}
		s.t.last = a
		return true, nil
	case moves(a.method):
		s.t.keep(a)
		return false, nil
	case a.method != methodService:
		return false, nil
	case a.msgType == msgBusy:
		return s.interrupts == 0 && s.questions == 0 && !s.taken, nil
	case a.msgType == msgNotImplemented && s.questions == 0 && !s.taken:
		return true, nil
	}
	switch a.msgType {
	case msgNotImplemented: // it does not say which; the command was taken before
		s.poll.stop()
	case msgInterrupted:
		s.nag.stop()
	case msgStatus:
		err = s.stage(ctx, a)
	case msgDiscount:
		err = s.discount(ctx, a)
	case msgCorrect, msgCorrected:
		if a.failed {
			s.t.log.Warn("the terminal refuses the discount, the purchase goes on without")
		}
	case msgLastResult: // believed once it has said that it is at it
		s.idle++
		if s.working = s.working || a.lastResult == "2"; !s.working || a.lastResult == "2" {
			s.idle = 0
		}
		s.taken = s.taken || s.working
	default:
		return false, nil
	}
	s.questions = max(0, s.questions-1)
	return false, err
}

// stage takes in how far the terminal is.
func (s *serving) stage(ctx context.Context, a answer) error {
	s.taken = s.taken || a.stage != "0"
	if stage, ok := stages[a.stage]; ok {
		s.d.Report(stage, payment.VendorCode{Code: payment.Word(a.stage), Text: a.stageText})
	}
	if a.stage == stageCashier && !s.waited {
		s.waited, s.t.waited = true, true
		s.t.log.Warn(waitsForKey)
	}
	if a.stage != stageCorrect || s.asked || len(s.t.settings.Discounts) == 0 || s.req.method != methodPurchase {
		return nil
	}
	s.asked = true
	return s.say(ctx, service(msgDiscount))
}

// discount takes in the discount group of the card and offers what it is worth.
// From then on the amount with the discount is agreed on, whatever the terminal
// says about the offer; one without is what was asked.
func (s *serving) discount(ctx context.Context, a answer) error {
	r, final, ok := s.t.offer(s.tx, a.group)
	if !ok || !s.agreed.IsZero() {
		return nil
	}
	s.agreed = final
	return s.say(ctx, r)
}

// waitsForKey is for the person who finds a kiosk that sells once and then
// stands still.
const waitsForKey = "the terminal waits for a key on its keypad, which nobody presses at a kiosk: have the bank switch off the question before a further payment"

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
