package privat

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// maxBatch is how many receipts the log of the simulated terminal holds.
const maxBatch = 500

// carryOut behaves as the script says.
func (s *Simulator) carryOut(r request) (reply, error) {
	b := s.mood
	switch b.outcome {
	case "mute":
		return reply{}, nil
	case "reboot-before":
		return reply{hangUp: true}, nil
	case "cancel":
		return s.short(r.method, codeCancelled, "Transaction canceled by user"), nil
	case "ended":
		return s.short(r.method, b.arg, terminalCodes[b.arg].text), nil
	}
	if r.method == methodVerify {
		return s.verify(r)
	}
	if len(s.state.Slips) >= maxBatch {
		return s.short(r.method, "1003", "Transaction log is full. Need close batch"), nil
	}
	if r.method == methodVoid || r.method == methodPartly {
		return s.void(r)
	}
	asked := r.get("amount")
	if r.method == methodCompletion {
		asked = r.get("addamount")
	}
	m, err := payment.ParseMoney(strings.Replace(asked, ",", ".", 1), s.state.Currency)
	if err != nil || m.Minor == 0 {
		return s.short(r.method, "1000", "Операція неможлива"), nil
	}
	return s.sell(r, m.Minor)
}

func (s *Simulator) sell(r request, minor int64) (reply, error) {
	b := s.mood
	switch b.outcome {
	case "decline":
		p := s.slip(r, minor)
		p.Code = "00" + b.arg
		s.state.Slips = append(s.state.Slips, p)
		return s.full(r.method, p), s.save()
	case "hand-sale":
		return reply{}, s.handSale(minor)
	case "late-approval":
		s.approveLater(minor)
		return reply{}, nil
	case "partial":
		p := s.slip(r, minor-b.extra)
		p.Code = codePartial
		return s.afterCharge(r, p, s.book(p))
	case "signature":
		p := s.slip(r, minor)
		p.Signature = signatureWanted
		return s.afterCharge(r, p, s.book(p))
	}
	p := s.slip(r, minor+b.extra)
	return s.afterCharge(r, p, s.book(p))
}

// afterCharge is what goes wrong once the bank has approved.
func (s *Simulator) afterCharge(r request, p slip, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	good := s.full(r.method, p)
	switch s.mood.outcome {
	case "charged":
		return s.short(r.method, s.mood.arg, "?"), nil
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
		s.state.Slips = nil
		return reply{}, s.save()
	case "hand-after":
		return reply{}, s.handSale(p.Amount)
	}
	return good, nil
}

// approveLater books a sale that nobody hears of: after a time, for which the
// terminal is busy, or after some questions.
func (s *Simulator) approveLater(minor int64) {
	s.later, s.asks = minor, s.mood.asks
	after := s.mood.after
	if after <= 0 {
		return // see receiptInfo
	}
	s.occupy(after)
	s.work.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.job = nil
		if err := s.approveNow(); err != nil {
			s.fail(err)
		}
	})
}

func (s *Simulator) approveNow() error {
	if s.later == 0 {
		return nil
	}
	p := s.slip(request{method: methodPurchase}, s.later)
	s.later = 0
	return s.book(p)
}

// void takes back a payment of this batch, all of it or an amount. Its receipt
// keeps number and RRN of the original.
func (s *Simulator) void(r request) (reply, error) {
	if s.mood.outcome == "decline" {
		return s.short(r.method, "1000", "Операція неможлива"), nil
	}
	i := s.find(r.get("invoiceNumber"))
	if i < 0 {
		return s.short(r.method, "1000", "Cannot get receipt: Невірний чек!"), nil
	}
	p := s.state.Slips[i]
	if p.Type == typeVoid {
		return s.short(r.method, "1008", "Transaction is already complete"), nil
	}
	minor := p.Amount
	if r.method == methodPartly {
		m, err := payment.ParseMoney(r.get("amount"), s.state.Currency)
		if err != nil || m.Minor == 0 || m.Minor > p.Left {
			return s.short(r.method, "1000", "Операція неможлива"), nil
		}
		minor = m.Minor
	}
	s.state.Slips[i].Left -= minor
	if s.state.Slips[i].Left <= 0 && p.Entry < len(s.state.Entries) {
		s.state.Entries[p.Entry].Reversed = true
	}
	back := s.slip(r, minor)
	back.Entry, back.RRN = p.Entry, p.RRN
	if s.state.Slips[i].Left <= 0 {
		back.Invoice = p.Invoice
	}
	s.state.Slips = append(s.state.Slips, back)
	return s.afterCharge(r, back, s.save())
}

// find is the newest receipt of a number in the open batch, or -1.
func (s *Simulator) find(invoice string) int {
	for i := len(s.state.Slips) - 1; i >= 0; i-- {
		if sameNumber(six(s.state.Slips[i].Invoice), invoice) {
			return i
		}
	}
	return -1
}

// verify closes the batch: no receipt of it can be read any more.
func (s *Simulator) verify(r request) (reply, error) {
	if len(s.state.Slips) == 0 {
		return s.write(r.method, true, "Cannot obtain receipt: log file is empty!", param{"receipt", ""}, param{"responseCode", "0001"}), nil
	}
	text := "[ Z БАЛАНС ]\nТЕРМ. " + s.tid() + "\nЧЕКІВ " + strconv.Itoa(len(s.state.Slips)) + "\nПІДСУМКИ ВИЛУЧЕНІ"
	s.state.Slips = nil
	if err := s.save(); err != nil {
		return reply{}, err
	}
	switch s.mood.outcome {
	case "lost-answer":
		return reply{}, nil
	case "reboot":
		return reply{hangUp: true}, nil
	}
	return s.write(r.method, false, "", param{"receipt", text}, param{"responseCode", codeApproved}), nil
}

// question answers what moves no money.
func (s *Simulator) question(r request) reply {
	switch r.method {
	case methodPing, "CheckConnection":
		return s.write(r.method, false, "", param{"code", "00"}, param{"responseCode", codeApproved})
	case methodInfo:
		return s.write(r.method, false, "", param{"version", "TE7E132 " + s.serial()})
	case methodReceipt:
		return s.receiptInfo(r)
	}
	return s.note(msgNotImplemented)
}

func (s *Simulator) receiptInfo(r request) reply {
	i := len(s.state.Slips) - 1
	if n := r.get("invoiceNumber"); n != "0" && n != "" {
		i = s.find(n)
	}
	if s.later > 0 && s.mood.after <= 0 {
		if s.asks--; s.asks <= 0 {
			defer func() {
				if err := s.approveNow(); err != nil {
					s.fail(err)
				}
			}()
		}
	}
	if i < 0 {
		text := "Cannot get receipt: Невірний чек!"
		if len(s.state.Slips) == 0 {
			text = "Cannot get receipt: log file is empty!"
		}
		return s.short(r.method, "1000", text)
	}
	return s.info(s.state.Slips[i])
}

// service answers at any time.
func (s *Simulator) service(r request) reply {
	switch msg := strings.TrimSpace(r.get("msgType")); msg {
	case msgIdentify:
		return s.note(msg, param{"result", "true"}, param{"vendor", "Ingenico"}, param{"model", "iCT220"})
	case msgLastResult:
		result := "0"
		if s.job != nil {
			result = "2"
		}
		return s.note(msg, param{"LastResult", result})
	case msgStatus:
		return s.note(msg, param{"LastStatMsgCode", s.stage()})
	case msgInterrupt:
		if j := s.job; j != nil {
			j.over.Do(func() { close(j.interrupt) })
		}
		return s.note(msgInterrupted)
	case msgMerchants:
		return s.note(msg, param{"1", "Магазин"}, param{"6", "Оплата частинами"})
	case msgMasks:
		return s.note(msg, param{"1", s.tid()})
	}
	return s.note(msgNotImplemented)
}
