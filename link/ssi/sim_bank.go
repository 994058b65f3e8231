package ssi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// state is what a simulated terminal and its bank remember.
type state struct {
	simulate.Bank
	Slips   []slip `json:"slips"` // one for each entry
	Unit    int    `json:"unit"`  // which terminal is at the cable
	Batch   int    `json:"batch"`
	Invoice int    `json:"invoice"`        // last one given in this batch
	Serial  int    `json:"serial"`         // of the bank's numbers, last one given
	Full    bool   `json:"full,omitempty"` // the batch has to be closed (S06)
	Last    *slip  `json:"last,omitempty"`
	Kept    []slip `json:"kept,omitempty"` // results that GetResultByUid finds
	Report  *sum   `json:"report,omitempty"`
}

// Check refuses a file of another version.
func (s *state) Check() error {
	if s.Batch < 1 || len(s.Slips) != len(s.Entries) {
		return errors.New("its batch is not in it")
	}
	return nil
}

// slip is a result as the terminal remembers it.
type slip struct {
	Trn      string `json:"trn"`
	Amount   int64  `json:"amount,omitempty"`
	Invoice  int    `json:"invoice,omitempty"`
	RRN      string `json:"rrn,omitempty"`
	Auth     string `json:"auth,omitempty"`
	Time     string `json:"time,omitempty"` // DD/MM/YYYY hh:mm:ss
	Response string `json:"response,omitempty"`
	Result   string `json:"result,omitempty"`
	Code     string `json:"code,omitempty"` // errorCode
	Uid      string `json:"uid,omitempty"`
	MID      string `json:"mid,omitempty"`
	TID      string `json:"tid,omitempty"`
	Closed   bool   `json:"closed,omitempty"` // its batch is
	Used     bool   `json:"used,omitempty"`   // a preauthorization that was completed
}

const maxResults = 50 // that a terminal finds by their transactionUid

func stamp() string { return time.Now().Format("02/01/2006 15:04:05") }

func six(n int) string { return fmt.Sprintf("%06d", n) }

// slipOf is what every result of a command has.
func (s *Simulator) slipOf(c command) slip {
	p := slip{Trn: c.Method, Amount: c.minor(), Time: stamp(), Uid: c.Params.TransactionUid, MID: c.Params.MerchantID, TID: c.Params.TerminalID}
	if p.MID == "" {
		p.MID = s.mood.merchantList()[0]
	}
	if p.TID == "" {
		p.TID = s.tid()
	}
	return p
}

// tid is that of the terminal that is at the cable.
func (s *Simulator) tid() string { return fmt.Sprintf("T%07d", (1+s.number+s.state.Unit)%10_000_000) }

// keep makes p the last result.
func (s *Simulator) keep(p slip) error {
	s.state.Last = &p
	if p.Uid != "" {
		s.state.Kept = append(s.state.Kept, p)
		s.state.Kept = s.state.Kept[max(0, len(s.state.Kept)-maxResults):]
	}
	return simulate.Save(s.file, &s.state)
}

// book has the bank approve: its ledger, and the terminal's memory.
func (s *Simulator) book(c command, minor int64) (slip, error) {
	s.state.Invoice++
	s.state.Serial++
	p := s.slipOf(c)
	p.Amount, p.Invoice, p.RRN = minor, s.state.Invoice, fmt.Sprintf("%02d%010d", (66+s.number+s.state.Unit)%100, s.state.Serial)
	p.Auth, p.Response, p.Result = six(700000+s.state.Serial%300000), "0000", "APPROVED-ONLINE"
	s.state.Entries = append(s.state.Entries, link.Entry{
		Attempt: p.Uid, Amount: payment.Money{Minor: minor, Currency: s.state.Currency}, Charged: true, Receipt: six(p.Invoice), RRN: p.RRN,
	})
	s.state.Slips = append(s.state.Slips, p)
	return p, s.keep(p)
}

// handSale is somebody selling on the keypad.
func (s *Simulator) handSale(minor int64) error {
	_, err := s.book(command{Method: mPurchase}, minor)
	return err
}

// carryOut is what the bank makes of a command that was accepted.
func (s *Simulator) carryOut(c command) error {
	failed := s.slipOf(c)
	switch b := s.mood; {
	case b.outcome == "decline", b.outcome == "lost-ack" && b.arg != "":
		failed.Result, failed.Response = "DECLINED_ONLINE", b.arg
		return s.keep(failed)
	case b.outcome == "cancel":
		failed.Result, failed.Code = "CANCELLED", "E12"
		return s.keep(failed)
	case b.outcome == "result": // and nothing was charged
		failed.say(b.arg)
		return s.keep(failed)
	}
	minor := c.minor() + s.mood.extra
	switch c.Method {
	case mZReport:
		s.state.Report = s.sumUp(c)
		s.closeBatch(c.Params.MerchantID)
		return simulate.Save(s.file, &s.state)
	case mVoid, mPartialVoid, mVoidPreauth:
		return s.takeBack(c, failed)
	case mBalance, mEcho:
		failed.Amount, failed.Result, failed.Response = 0, "APPROVED_ONLINE", "00"
		return s.keep(failed)
	case mSalePreauth:
		if !s.useHold(c) {
			failed.Result, failed.Response = "DECLINED_ONLINE", "25"
			return s.keep(failed)
		}
	case mCashBack:
		if s.mood.cashBeside {
			minor += minorOf(c.Params.CashAmount)
		}
	}
	if n := minorOf(c.Params.DiscountedAmount); n > 0 && s.mood.outcome == "discount" {
		minor = n
	}
	p, err := s.book(c, minor)
	if err != nil {
		return err
	}
	return s.afterCharge(p)
}

// say makes a result out of a script's word: an error code, or a
// transactionResult, or both as "FAILED/E21".
func (p *slip) say(word string) {
	if result, code, both := strings.Cut(word, "/"); both {
		p.Result, p.Code = result, code
	} else if len(word) == 3 && word[0] == 'E' {
		p.Code = word
	} else {
		p.Result = word
	}
}

// afterCharge is what goes wrong once the bank has approved.
func (s *Simulator) afterCharge(p slip) error {
	switch s.mood.outcome {
	case "charged": // the terminal has heard nothing of it
		lost := slip{Trn: p.Trn, Amount: p.Amount, Time: p.Time, Uid: p.Uid, MID: p.MID, TID: p.TID}
		lost.say(s.mood.arg)
		if p.Uid != "" {
			s.state.Kept = s.state.Kept[:len(s.state.Kept)-1]
		}
		return s.keep(lost)
	case "swapped":
		s.state.Unit++
		s.closeBatch("")
		s.state.Batch, s.state.Invoice, s.state.Serial, s.state.Kept = 7, 40, 900, nil
		return s.handSale(50000)
	case "batch-closed":
		s.closeBatch("")
		return simulate.Save(s.file, &s.state)
	case "hand-after":
		return s.handSale(p.Amount)
	}
	return nil
}

// approveLater approves a command of which nothing was seen, after a time in
// which the terminal shows itself idle.
func (s *Simulator) approveLater(c command) {
	after := s.mood.after
	s.power.Go(func() {
		if !s.power.Wait(after) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := s.book(c, c.minor())
		s.fault(err)
	})
}

// useHold finds the preauthorization that is completed.
func (s *Simulator) useHold(c command) bool {
	for i := range s.state.Slips {
		p := &s.state.Slips[i]
		if p.Trn == mPreauth && p.RRN == c.Params.RRN && p.Auth == c.Params.AuthCode && !p.Used && !s.state.Entries[i].Reversed {
			p.Used = true
			return true
		}
	}
	return false
}

// takeBack voids a payment of the open batch or a part of it, or releases a
// preauthorization.
func (s *Simulator) takeBack(c command, failed slip) error {
	for i := len(s.state.Entries) - 1; i >= 0; i-- {
		e, p := &s.state.Entries[i], &s.state.Slips[i]
		if p.Closed || p.Used || !e.Charged || e.Reversed || !sameNumber(e.Receipt, c.Params.InvoiceNum) || (p.Trn == mPreauth) != (c.Method == mVoidPreauth) {
			continue
		}
		minor := p.Amount
		if c.Method == mPartialVoid {
			minor = c.minor()
		}
		if minor > p.Amount {
			break
		}
		p.Amount -= minor
		e.Amount.Minor = p.Amount
		if c.Method != mPartialVoid {
			e.Amount.Minor, e.Reversed = minor, true
		}
		s.state.Serial++
		void := s.slipOf(c)
		void.Amount, void.Invoice, void.RRN, void.Auth = minor, p.Invoice, p.RRN, six(300000+s.state.Serial%300000)
		void.Response, void.Result, void.MID, void.TID = "00", "APPROVED_ONLINE", p.MID, p.TID
		if err := s.keep(void); err != nil {
			return err
		}
		if s.mood.outcome == "hand-after" {
			return s.handSale(minor)
		}
		return nil
	}
	failed.Result, failed.Response = "DECLINED_OFFLINE", "25"
	return s.keep(failed)
}

// closeBatch is what the bank does at night, or a Z report, for one merchant or
// for all. The result buffer stays.
func (s *Simulator) closeBatch(merchant string) {
	open := false
	for i := range s.state.Slips {
		p := &s.state.Slips[i]
		p.Closed = p.Closed || merchant == "" || strings.TrimSpace(p.MID) == strings.TrimSpace(merchant)
		open = open || !p.Closed
	}
	s.state.Full = false
	s.state.Batch++
	if !open {
		s.state.Invoice = 0
	}
}
