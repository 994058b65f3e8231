package tmaster

import (
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// state is what a terminal and its bank remember.
type state struct {
	simulate.Bank
	Lines       []line `json:"lines"`       // what the bank knows beside each of Entries
	Unit        int    `json:"unit"`        // which terminal is at the cable
	Invoice     int    `json:"invoice"`     // last one given
	Batch       int    `json:"batch"`       // batches that were closed
	Slips       []Slip `json:"slips"`       // receipts of the open batch
	Unconfirmed int    `json:"unconfirmed"` // 1 + index of the receipt that waits for Confirm; 0: none
	Full        bool   `json:"full"`        // the log takes no more
	Question    bool   `json:"question"`    // the next sale is asked about first
	Closing     string `json:"closing"`     // text of the last settlement
}

// line goes with an entry of the bank's ledger.
type line struct {
	Agreement string `json:"agreement,omitempty"`
	Back      int64  `json:"back,omitempty"`    // minor units that went back
	Hold      bool   `json:"hold,omitempty"`    // reserved, and not taken yet
	Held      int64  `json:"held,omitempty"`    // minor units that were reserved
	Pending   bool   `json:"pending,omitempty"` // taken back by the terminal; the bank has not heard of it
}

// Slip is a receipt as the terminal remembers it.
type Slip struct {
	Operation Operation `json:"operation"`
	Entry     int       `json:"entry"`  // in the bank's ledger; -1: none
	Amount    int64     `json:"amount"` // what was charged, or went back
	Discount  int64     `json:"discount,omitempty"`
	Cash      int64     `json:"cash,omitempty"` // of Amount, given in cash
	Left      int64     `json:"left"`           // that can still be taken back
	Merchant  int       `json:"merchant"`
	Invoice   int       `json:"invoice"`
	RRN       string    `json:"rrn"`
	Auth      string    `json:"auth"`
	Agreement string    `json:"agreement,omitempty"` // of instalments
	At        time.Time `json:"at"`
	Code      int       `json:"code"`
	Status    TrnStatus `json:"status"`
	Signature bool      `json:"signature,omitempty"` // one is wanted
	Pending   bool      `json:"pending,omitempty"`   // if it is taken back, the bank hears of it when the batch is closed
}

// Check refuses a file that contradicts itself.
func (st *state) Check() error {
	if len(st.Lines) != len(st.Entries) {
		return errors.New("its ledger is not one of this terminal's")
	}
	for _, s := range st.Slips {
		if s.Entry < -1 || s.Entry >= len(st.Entries) {
			return errors.New("a receipt is of no entry in it")
		}
	}
	if n := st.Unconfirmed; n < 0 || n > len(st.Slips) || n > 0 && st.Slips[n-1].Entry < 0 {
		return errors.New("no receipt in it can wait for a confirmation")
	}
	return nil
}

func (t *Terminal) save() error { return simulate.Save(t.cfg.Ledger, &t.state) }

// newSlip gives the next numbers to an operation that the bank approves.
func (t *Terminal) newSlip(c Command, minor int64) Slip {
	t.state.Invoice++
	n := t.state.Invoice
	s := Slip{
		Operation: c.Operation, Entry: -1, Amount: minor, Discount: c.Discount, Cash: c.Cash, Left: minor, Merchant: c.Merchant, Invoice: n,
		RRN: fmt.Sprintf("%06d%06d", (t.number+t.state.Unit+1)%1_000_000, n%1_000_000), Auth: six(200000 + n%800000),
		At: time.Now(), Status: StatusApproved, Pending: t.mood.pending,
	}
	if c.Operation == Service {
		s.Agreement = six(500000 + n)
	}
	return s
}

// book writes an approval down: in the terminal's batch and in the bank's
// ledger, where entry is what it is about, or -1 for a new line.
func (t *Terminal) book(c Command, s Slip, entry int) error {
	switch {
	case entry < 0:
		entry = t.charge(s)
	case c.Operation == Completion:
		t.state.Entries[entry].Amount.Minor, t.state.Lines[entry].Hold = s.Amount, false
	case c.Operation == Refund:
		t.giveBack(entry, s.Amount)
	}
	s.Entry = entry
	t.state.Slips = append(t.state.Slips, s)
	return t.save()
}

// charge is a new line of the bank's ledger.
func (t *Terminal) charge(s Slip) int {
	t.state.Entries = append(t.state.Entries, link.Entry{
		Amount: payment.Money{Minor: s.Amount, Currency: t.cfg.Currency}, Charged: true, Receipt: six(s.Invoice), RRN: s.RRN,
	})
	t.state.Lines = append(t.state.Lines, line{Agreement: s.Agreement, Hold: s.Operation == Preauthorization, Held: s.Amount})
	return len(t.state.Entries) - 1
}

// giveBack moves money from a line of the ledger to the customer; a negative
// amount is the void of a refund.
func (t *Terminal) giveBack(i int, minor int64) {
	t.state.Lines[i].Back += minor
	t.state.Entries[i].Reversed = t.state.Lines[i].Back >= t.state.Entries[i].Amount.Minor
}
