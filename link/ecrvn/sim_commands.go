package ecrvn

import (
	"bytes"
	"strconv"
	"time"

	"tillgate/internal/payment"
)

// sale behaves as the script says.
func (s *Simulator) sale(r request) (reply, error) {
	b := s.mood
	if len(r.args) == 0 {
		return s.answer(r, "ERROR", nil), nil
	}
	minor, err := payment.ParseMinor(r.args[0])
	if err != nil || len(r.args[0]) > maxAmount || minor == 0 {
		return s.answer(r, "ERROR", nil), nil
	}
	c := charge{r, minor + b.extra}
	switch b.outcome {
	case "decline":
		p := s.slip(typeSale, minor)
		p.Code, p.Request, p.Client = b.arg, r.id, r.client
		return s.answer(r, statusDone, &p), s.save()
	case "cancel":
		return s.answer(r, statusCanceled, nil), nil
	case "busy":
		return s.answer(r, "BUSY", nil), nil
	case "mute":
		return reply{}, nil
	case "reboot-before":
		return reply{hangUp: true}, nil
	case "hand-sale":
		return reply{}, s.handSale(minor)
	case "late-approval":
		s.approveLater(c)
		return reply{}, nil
	}
	p, err := s.book(c)
	if err != nil {
		return reply{}, err
	}
	return s.afterCharge(r, p)
}

// afterCharge is what goes wrong once the bank has approved.
func (s *Simulator) afterCharge(r request, p slip) (reply, error) {
	good := s.answer(r, statusDone, &p)
	switch s.mood.outcome {
	case "charged":
		return s.misreport(r, p), nil
	case "lost-answer":
		return reply{}, nil
	case "half-answer":
		return reply{say: good.say[:len(good.say)/2]}, nil
	case "garbage":
		return reply{say: bytes.Repeat([]byte("\x00\xff{\x1b}{\"~"), 40)}, nil
	case "reboot":
		return reply{hangUp: true}, nil
	case "swapped":
		return reply{}, s.swap()
	case "batch-closed":
		s.closeBatch()
		s.state.Last = nil
		return reply{}, s.save()
	case "hand-after":
		return reply{}, s.handSale(p.Amount)
	}
	return good, nil
}

// misreport says something else than that the bank has approved.
func (s *Simulator) misreport(r request, p slip) reply {
	switch arg := s.mood.arg; {
	case len(arg) == 2 && arg[0] >= '0' && arg[0] <= '9':
		p.Code = arg
		return s.answer(r, statusDone, &p)
	case arg != "":
		return s.answer(r, arg, nil)
	}
	p.Code = ""
	return s.answer(r, statusDone, &p)
}

func (s *Simulator) approveLater(c charge) {
	s.later, s.asks = &c, s.mood.asks
	if s.mood.after <= 0 {
		return // see lastTransaction
	}
	after := s.mood.after
	s.power.Go(func() {
		if !s.power.Wait(after) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.approveNow(); err != nil {
			s.fault(err)
		}
	})
}

func (s *Simulator) approveNow() error {
	if s.later == nil {
		return nil
	}
	c := *s.later
	s.later = nil
	_, err := s.book(c)
	return err
}

// void takes back a sale of this batch.
func (s *Simulator) void(r request) (reply, error) {
	switch s.mood.outcome {
	case "mute", "hand-sale":
		return reply{}, nil
	case "cancel":
		return s.answer(r, statusCanceled, nil), nil
	case "busy":
		return s.answer(r, "BUSY", nil), nil
	case "reboot-before":
		return reply{hangUp: true}, nil
	}
	i := -1
	if len(r.args) > 0 {
		i = s.findSale(r.args[0])
	}
	if i < 0 || s.mood.outcome == "decline" {
		p := slip{Type: typeVoid, Code: "25", Batch: s.state.Batch, Request: r.id, Client: r.client}
		if i >= 0 {
			p.Code = s.mood.arg
		}
		return s.answer(r, statusDone, &p), nil
	}
	e := &s.state.Entries[i]
	e.Reversed = true
	s.state.STAN++
	n, _ := strconv.Atoi(e.Receipt)
	p := slip{
		Type: typeVoid, Entry: i, Amount: e.Amount.Minor, Batch: s.state.Batch, Receipt: n, STAN: s.state.STAN, Code: "00",
		Time: time.Now().Format("20060102150405"), RRN: "31" + e.RRN[2:], Auth: six(300000 + s.state.STAN%300000), Request: r.id, Client: r.client,
	}
	s.state.Last = &p
	if err := s.save(); err != nil {
		return reply{}, err
	}
	return s.afterCharge(r, p)
}

// findSale finds a sale of the open batch that can be voided, or -1.
func (s *Simulator) findSale(receipt string) int {
	for i := len(s.state.Entries) - 1; i >= s.state.Opened; i-- {
		if e := s.state.Entries[i]; e.Charged && !e.Reversed && sameNumber(e.Receipt, receipt) {
			return i
		}
	}
	return -1
}

// settle closes the batch. Its answer has zeros (document, RS232, 3.). The last
// transaction stays readable.
func (s *Simulator) settle(r request) (reply, error) {
	switch s.mood.outcome {
	case "mute":
		return reply{}, nil
	case "busy", "cancel":
		return s.answer(r, statusCanceled, nil), nil
	}
	s.closeBatch()
	if err := s.save(); err != nil {
		return reply{}, err
	}
	return s.afterCharge(r, slip{Type: typeSettle, Request: r.id, Client: r.client})
}

// lastTransaction shows the last successful one.
func (s *Simulator) lastTransaction(r request) (reply, error) {
	rep := s.answer(r, statusDone, s.state.Last)
	if s.later == nil || s.mood.after > 0 {
		return rep, nil
	}
	if s.asks--; s.asks > 0 {
		return rep, nil
	}
	return rep, s.approveNow()
}
