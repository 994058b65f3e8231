package privat

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
	Unit     int          `json:"unit"`    // which terminal is at the cable
	Invoice  int          `json:"invoice"` // last one given
	Slips    []slip       `json:"slips"`   // receipts of the open batch
}

// slip is a receipt as the terminal remembers it.
type slip struct {
	Type      string `json:"type"`
	Entry     int    `json:"entry"` // in Entries; of a void, the one it took back
	Amount    int64  `json:"amount"`
	Left      int64  `json:"left"` // that can still be taken back
	Invoice   int    `json:"invoice"`
	RRN       string `json:"rrn"`
	Auth      string `json:"auth"`
	Date      string `json:"date"`
	Time      string `json:"time"`
	Code      string `json:"code"`
	Signature string `json:"signature"`
}

func loadState(file, currency string) (state, error) {
	st := state{Currency: currency}
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
	for _, p := range st.Slips {
		if p.Entry < 0 || p.Entry > len(st.Entries) {
			return st, fmt.Errorf("%s: a receipt is of no entry in it", file)
		}
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

// book writes an approval down: in the terminal's batch, and if a card was
// charged, in the bank's ledger.
func (s *Simulator) book(p slip) error {
	if p.Type == typePurchase {
		s.state.Entries = append(s.state.Entries, link.Entry{
			Amount: payment.Money{Minor: p.Amount, Currency: s.state.Currency}, Charged: true, Receipt: six(p.Invoice), RRN: p.RRN,
		})
	}
	s.state.Slips = append(s.state.Slips, p)
	return s.save()
}

// slip gives the next numbers.
func (s *Simulator) slip(r request, minor int64) slip {
	s.state.Invoice++
	now := time.Now()
	n := s.state.Invoice
	return slip{
		Type: typeOf(operationOf(r.method)), Entry: len(s.state.Entries), Amount: minor, Left: minor, Invoice: n,
		RRN: fmt.Sprintf("%02d%010d", s.state.Unit+1, n), Auth: six(200000 + n%800000),
		Date: now.Format("02.01.2006"), Time: now.Format("15:04:05"), Code: codeApproved, Signature: "0",
	}
}

// handSale is somebody selling on the keypad.
func (s *Simulator) handSale(minor int64) error {
	return s.book(s.slip(request{method: methodPurchase}, minor))
}

// swap puts another terminal at the cable. It has a receipt of its own.
func (s *Simulator) swap() error {
	s.state.Unit++
	s.state.Invoice, s.state.Slips = 4000, nil
	return s.handSale(50000)
}

func (s *Simulator) tid() string { return fmt.Sprintf("TSTSALE%d", s.state.Unit%10) }

func (s *Simulator) serial() string {
	return fmt.Sprintf("TESTKKM000CT229273%02d", s.state.Unit%100)
}

func six(n int) string {
	s := strconv.Itoa(n)
	return "000000"[:max(0, 6-len(s))] + s
}
