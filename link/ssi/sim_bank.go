package ssi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// state is what a simulated terminal and its bank remember.
type state struct {
	Currency string       `json:"currency"`
	Entries  []link.Entry `json:"entries"` // the bank's ledger
	Slips    []slip       `json:"slips"`   // one for each entry
	Unit     int          `json:"unit"`    // which terminal is at the cable
	Batch    int          `json:"batch"`
	Opened   int          `json:"opened"`  // in Entries: the first one of the open batch
	Invoice  int          `json:"invoice"` // last one given in this batch
	Serial   int          `json:"serial"`  // of the bank's numbers, last one given
	Last     *slip        `json:"last,omitempty"`
	Kept     []slip       `json:"kept,omitempty"` // results that GetResultByUid finds
	Report   *sum         `json:"report,omitempty"`
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
	Unit     int    `json:"unit,omitempty"`
}

// sum is a report as the terminal remembers it.
type sum struct {
	Batch  int    `json:"batch"`
	Detail bool   `json:"detail"`
	Rows   []slip `json:"rows"`
	Voids  []slip `json:"voids"`
}

const maxResults = 50 // that a terminal finds by their transactionUid

func loadState(file, currency string) (state, error) {
	st := state{Currency: currency, Batch: 1}
	if file == "" {
		return st, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&st); err != nil {
		return st, fmt.Errorf("%s: %w", file, err)
	}
	if st.Currency != currency {
		return st, fmt.Errorf("%s: is kept in %s", file, st.Currency)
	}
	if st.Opened < 0 || st.Opened > len(st.Entries) || len(st.Slips) != len(st.Entries) {
		return st, fmt.Errorf("%s: its batch is not in it", file)
	}
	return st, nil
}

// save makes the state durable: a new file, flushed, under the old name.
func (s *Simulator) save() error {
	if s.file == "" {
		return nil
	}
	b, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.file), ".ledger-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(s.file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func stamp() string { return time.Now().Format("02/01/2006 15:04:05") }

// keep makes p the last result.
func (s *Simulator) keep(p slip) error {
	p.Unit = s.state.Unit
	s.state.Last = &p
	if p.Uid != "" {
		s.state.Kept = append(s.state.Kept, p)
		s.state.Kept = s.state.Kept[max(0, len(s.state.Kept)-maxResults):]
	}
	return s.save()
}

// book has the bank approve: its ledger, and the terminal's memory.
func (s *Simulator) book(c command, minor int64) (slip, error) {
	s.state.Invoice++
	s.state.Serial++
	p := slip{
		Trn: c.Method, Amount: minor, Invoice: s.state.Invoice, RRN: fmt.Sprintf("%02d%010d", s.state.Unit+66, s.state.Serial),
		Auth: six(700000 + s.state.Serial%300000), Time: stamp(), Response: "0000", Result: "APPROVED-ONLINE", Uid: c.Params.TransactionUid,
	}
	s.state.Entries = append(s.state.Entries, link.Entry{
		Attempt: c.Params.TransactionUid, Amount: payment.Money{Minor: minor, Currency: s.state.Currency}, Charged: true, Receipt: six(p.Invoice), RRN: p.RRN,
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
	failed := slip{Trn: c.Method, Amount: c.minor(), Time: stamp(), Uid: c.Params.TransactionUid}
	switch b := s.mood; b.outcome {
	case "decline":
		failed.Result, failed.Response = "DECLINED_ONLINE", b.arg
		return s.keep(failed)
	case "lost-ack":
		if b.arg != "" {
			failed.Result, failed.Response = "DECLINED_ONLINE", b.arg
			return s.keep(failed)
		}
	case "cancel":
		failed.Result, failed.Code = "CANCELLED", "E12"
		return s.keep(failed)
	case "result": // and nothing was charged
		failed.say(b.arg)
		return s.keep(failed)
	}
	switch c.Method {
	case mZReport:
		s.state.Report = s.sumUp(false)
		s.closeBatch()
		return s.save()
	case mVoid, mPartialVoid:
		return s.takeBack(c, failed)
	}
	minor := c.minor() + s.mood.extra
	if n, err := payment.ParseMinor(c.Params.DiscountedAmount); err == nil && s.mood.outcome == "discount" {
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
	for i := range word {
		if word[i] == '/' {
			p.Result, p.Code = word[:i], word[i+1:]
			return
		}
	}
	if len(word) == 3 && word[0] == 'E' {
		p.Code = word
		return
	}
	p.Result = word
}

// afterCharge is what goes wrong once the bank has approved.
func (s *Simulator) afterCharge(p slip) error {
	switch s.mood.outcome {
	case "charged": // the terminal has heard nothing of it
		lost := slip{Trn: p.Trn, Amount: p.Amount, Time: p.Time, Uid: p.Uid}
		lost.say(s.mood.arg)
		s.state.Last = &lost
		s.state.Kept = s.state.Kept[:len(s.state.Kept)-1]
		return s.keep(lost)
	case "swapped":
		s.state.Unit++
		s.state.Batch, s.state.Invoice, s.state.Serial, s.state.Opened = 7, 40, 900, len(s.state.Entries)
		s.state.Kept = nil
		return s.handSale(50000)
	case "batch-closed":
		s.closeBatch()
		return s.save()
	case "hand-after":
		return s.handSale(p.Amount)
	}
	return nil
}

// approveLater approves a command of which nothing was seen, after a time in
// which the terminal shows itself idle.
func (s *Simulator) approveLater(c command) {
	after := s.mood.after
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
		_, err := s.book(c, c.minor())
		s.fault(err)
	})
}

// takeBack voids a payment of the open batch, or a part of it.
func (s *Simulator) takeBack(c command, failed slip) error {
	for i := len(s.state.Entries) - 1; i >= s.state.Opened; i-- {
		e, p := &s.state.Entries[i], &s.state.Slips[i]
		if !e.Charged || e.Reversed || !sameNumber(e.Receipt, c.Params.InvoiceNum) {
			continue
		}
		amount := p.Amount
		if c.Method == mPartialVoid {
			amount = c.minor()
		}
		if amount > p.Amount {
			break
		}
		p.Amount -= amount
		e.Amount.Minor = p.Amount
		if c.Method == mVoid {
			e.Amount.Minor, e.Reversed = amount, true
		}
		s.state.Serial++
		void := slip{
			Trn: c.Method, Amount: amount, Invoice: p.Invoice, RRN: p.RRN, Auth: six(300000 + s.state.Serial%300000),
			Time: stamp(), Response: "00", Result: "APPROVED_ONLINE", Uid: c.Params.TransactionUid,
		}
		if err := s.keep(void); err != nil {
			return err
		}
		if s.mood.outcome == "hand-after" {
			return s.handSale(amount)
		}
		return nil
	}
	failed.Result, failed.Response = "DECLINED_OFFLINE", "25"
	return s.keep(failed)
}

// closeBatch is what the bank does at night, or a Z report. The result buffer
// stays.
func (s *Simulator) closeBatch() {
	s.state.Batch++
	s.state.Invoice, s.state.Opened = 0, len(s.state.Entries)
}

// sumUp makes a report of the open batch.
func (s *Simulator) sumUp(detail bool) *sum {
	r := &sum{Batch: s.state.Batch, Detail: detail}
	for i := s.state.Opened; i < len(s.state.Entries); i++ {
		if s.state.Entries[i].Reversed {
			r.Voids = append(r.Voids, s.state.Slips[i])
		} else {
			r.Rows = append(r.Rows, s.state.Slips[i])
		}
	}
	return r
}

// total counts the rows of one kind.
func (r *sum) total(rows []slip, method string) (count, amount string) {
	n, m := 0, int64(0)
	for _, p := range rows {
		if method == "" || p.Trn == method {
			n++
			m += p.Amount
		}
	}
	return strconv.Itoa(n), strconv.FormatInt(m, 10)
}

func six(n int) string { return fmt.Sprintf("%06d", n) }
