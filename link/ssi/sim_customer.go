package ssi

import "time"

// start begins an operation that takes its time. mu is held.
func (s *Simulator) start(c command, wait time.Duration) {
	stop := make(chan struct{})
	s.status, s.stop = statusBusy, stop
	s.power.Go(func() { s.serve(stop, c, wait) })
}

// halt ends the operation that is running. mu is held.
func (s *Simulator) halt() {
	if s.stop != nil {
		close(s.stop)
		s.stop = nil
	}
}

// serve is a customer: card, PIN, bank, receipt, each for as long as the pace
// says. wait is spent with the card.
func (s *Simulator) serve(stop <-chan struct{}, c command, wait time.Duration) {
	s.mu.Lock()
	odd, stuck := s.mood.odd, s.mood.stuck
	s.mu.Unlock()
	stages := []string{statusCard, statusPIN, statusHost, statusPrinting}
	switch c.Method {
	case mVoid, mPartialVoid, mVoidPreauth, mSalePreauth, mZReport, mEcho:
		stages = []string{statusHost}
	default:
		if odd {
			stages = []string{"S42", statusCard, statusHost, statusRemoveCard}
		}
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
		case <-stop:
			timer.Stop()
			s.interrupted(c, status)
			return
		case <-s.power.Done():
			timer.Stop()
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.power.On() {
		return
	}
	s.fault(s.carryOut(c))
	s.status, s.stop = statusIdle, nil
	if stuck {
		s.status = statusBusy // for ever: only a restart ends it
	}
}

// enter goes to the next stage, if there still is power.
func (s *Simulator) enter(status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	return s.power.On()
}

// interrupted ends an operation that Interrupt or a restart stopped. Firmware
// was seen that leaves transactionResult empty then. One that was at its bank
// is approved there, and the terminal never hears of it.
func (s *Simulator) interrupted(c command, at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.step = statusIdle, nil
	if !s.power.On() {
		return
	}
	if at == statusHost && c.minor() > 0 {
		last, kept := s.state.Last, len(s.state.Kept)
		_, err := s.book(c, c.minor())
		s.state.Last, s.state.Kept = last, s.state.Kept[:min(kept, len(s.state.Kept))]
		s.fault(err)
		return
	}
	s.fault(s.keep(s.blank(c)))
}

// blank is the result of an operation that was stopped.
func (s *Simulator) blank(c command) slip { return slip{Trn: c.Method, Uid: c.Params.TransactionUid} }

// interrupt stops an operation, where it can be stopped (5.4.2).
func (s *Simulator) interrupt() reply {
	switch {
	case !interruptible(s.status):
		return refuse(mInterrupt, "E08")
	case s.status == statusFirstStep:
		s.fault(s.keep(s.blank(*s.step)))
		s.step, s.status = nil, statusIdle
	case s.stop != nil:
		s.status = statusBusy
		s.halt()
	}
	return ok(mInterrupt, map[string]any{})
}

// firstStep reads the card and waits for the second step.
func (s *Simulator) firstStep(c command) reply {
	p := s.slipOf(c)
	p.Result = "FIRST_STEP_COMPLETED"
	s.status, s.step = statusFirstStep, &c
	s.fault(s.keep(p))
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

// How long a restart takes, in paces.
const (
	appPaces      = 5
	terminalPaces = 20
)

// restart ends whatever runs. The buffers stay (5.5.1). A Linux terminal has no
// application to restart.
func (s *Simulator) restart(c command) reply {
	paces := time.Duration(terminalPaces)
	if c.Method == mRestartPaymentApp {
		if paces = appPaces; s.mood.linux {
			return refuse(c.Method, "E05")
		}
	}
	s.halt()
	s.step, s.booting, s.starts = nil, true, append(s.starts, c.Method)
	s.power.Go(func() {
		s.power.Wait(max(time.Second, paces*s.pace)) // nobody starts in no time
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.booting, s.status = false, statusIdle; s.mood.hopeless {
			s.status = statusBusy
		}
	})
	rep := ok(c.Method, map[string]any{})
	rep.hangUp = true
	return rep
}

// print puts what it is given on paper. Only Android terminals can.
func (s *Simulator) print(c command) reply {
	p := c.Params
	switch {
	case s.mood.linux:
		return refuse(c.Method, "E05")
	case s.mood.noPaper:
		return refuse(c.Method, "E18")
	case c.Method == mPrintPdfUrl && p.URL == "", c.Method == mPrintXml && p.Receipt == "":
		return refuse(c.Method, "E04")
	case c.Method == mPrintXml && p.LRC != hexLRC(p.Receipt) && p.LRC != decimalLRC(p.Receipt):
		rep := refuse(c.Method, "E09")
		rep.say["params"] = map[string]any{"errorParams": "lrc"}
		return rep
	}
	s.printed = append(s.printed, p.Receipt+p.URL)
	return ok(c.Method, map[string]any{})
}
