package ssi

import (
	"context"
	"time"
)

// serve is a customer: card, PIN, bank, receipt, each for as long as the pace
// says. wait is spent with the card.
func (s *Simulator) serve(ctx context.Context, c command, wait time.Duration) {
	stages := []string{statusCard, statusPIN, statusHost, "S05"}
	switch {
	case c.Method == mVoid || c.Method == mPartialVoid || c.Method == mZReport:
		stages = []string{statusHost}
	case s.unknownStatus():
		stages = []string{"S42", statusCard, statusHost, "S07"}
	}
	for i, status := range stages {
		d := s.pace
		if i == 0 || status == statusCard {
			d += wait
			wait = 0
		}
		if !s.enter(status) {
			return
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			s.interrupted(c)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.fault(s.carryOut(c))
	s.status, s.cancel = statusIdle, nil
}

func (s *Simulator) unknownStatus() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mood.odd
}

// enter goes to the next stage, if there still is power.
func (s *Simulator) enter(status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	return s.ctx.Err() == nil
}

// interrupted ends an operation that Interrupt stopped. Firmware was seen that
// leaves transactionResult empty then.
func (s *Simulator) interrupted(c command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.cancel, s.step = statusIdle, nil, nil
	if s.ctx.Err() == nil {
		s.fault(s.keep(slip{Trn: c.Method, Uid: c.Params.TransactionUid}))
	}
}

// interrupt stops an operation, where it can be stopped (5.4.2).
func (s *Simulator) interrupt() reply {
	if !interruptible(s.status) {
		return refuse(mInterrupt, "E08")
	}
	if s.status == statusFirstStep {
		c := *s.step
		s.step, s.status = nil, statusIdle
		s.fault(s.keep(slip{Trn: c.Method, Uid: c.Params.TransactionUid}))
	} else if s.cancel != nil {
		s.status = statusBusy
		s.cancel()
	}
	return ok(mInterrupt, map[string]any{})
}

// firstStep reads the card and waits for the second step.
func (s *Simulator) firstStep(c command) reply {
	s.status, s.step = statusFirstStep, &c
	s.fault(s.keep(slip{Trn: c.Method, Amount: c.minor(), Result: "FIRST_STEP_COMPLETED", Uid: c.Params.TransactionUid, Time: stamp()}))
	return s.acknowledge(c.Method)
}

func (s *Simulator) secondStep(c command) reply {
	if s.step.Params.TransactionUid != c.Params.TransactionUid || s.step.Params.TransAmount != c.Params.TransAmount {
		return refuse(c.Method, "E22")
	}
	s.step, s.status = nil, statusIdle
	s.fault(s.carryOut(c))
	return ok(c.Method, map[string]any{})
}
