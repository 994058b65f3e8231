package ecrvn

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

var currencyNumbers = map[string]string{"VND": "704", "USD": "840"} // the document's

// state is what a simulated terminal and its bank remember.
type state struct {
	simulate.Bank
	Unit    int   `json:"unit"` // which terminal is at the cable
	Batch   int   `json:"batch"`
	Opened  int   `json:"opened"`  // in Entries: the first one of the open batch
	Receipt int   `json:"receipt"` // last one given
	STAN    int   `json:"stan"`    // last one given
	Last    *slip `json:"last,omitempty"`
}

// slip is a transaction as the terminal remembers it.
type slip struct {
	Type    string `json:"type"`
	Entry   int    `json:"entry"` // in Entries
	Amount  int64  `json:"amount"`
	Batch   int    `json:"batch"`
	Receipt int    `json:"receipt"`
	STAN    int    `json:"stan"`
	Time    string `json:"time"`
	RRN     string `json:"rrn"`
	Auth    string `json:"auth"`
	Request string `json:"request,omitempty"`
	Client  string `json:"client,omitempty"`
	Code    string `json:"code"`
}

func (st *state) Check() error {
	if st.Opened < 0 || st.Opened > len(st.Entries) || st.Last != nil && (st.Last.Entry < 0 || st.Last.Entry >= len(st.Entries)) {
		return errors.New("its last transaction or its batch is not in it")
	}
	return nil
}

func (s *Simulator) save() error { return simulate.Save(s.file, &s.state) }

// book charges a card: the bank's ledger, and the terminal's memory.
func (s *Simulator) book(c charge) (slip, error) {
	p := s.slip(typeSale, c.minor)
	p.Code, p.Request, p.Client, p.Entry = "00", c.req.id, c.req.client, len(s.state.Entries)
	order := ""
	if len(c.req.args) > 3 {
		order = c.req.args[3] // F3
	}
	s.state.Entries = append(s.state.Entries, link.Entry{
		Attempt: c.req.id, Order: order, Amount: payment.Money{Minor: c.minor, Currency: s.state.Currency},
		Charged: true, Receipt: six(p.Receipt), RRN: p.RRN,
	})
	s.state.Last = &p
	return p, s.save()
}

// slip gives the next numbers.
func (s *Simulator) slip(kind string, minor int64) slip {
	s.state.Receipt++
	s.state.STAN++
	return slip{
		Type: kind, Amount: minor, Batch: s.state.Batch, Receipt: s.state.Receipt, STAN: s.state.STAN,
		Time: time.Now().Format("20060102150405"),
		RRN:  fmt.Sprintf("%02d%010d", s.state.Unit+66, s.state.STAN), Auth: six(700000 + s.state.STAN%300000),
	}
}

// handSale is somebody selling on the keypad.
func (s *Simulator) handSale(minor int64) error {
	_, err := s.book(charge{minor: minor})
	return err
}

// swap puts another terminal at the cable. It has a transaction of its own.
func (s *Simulator) swap() error {
	s.state.Unit++
	s.state.Batch, s.state.Receipt, s.state.STAN, s.state.Opened = 7, 40, 900, len(s.state.Entries)
	return s.handSale(50000)
}

// closeBatch is what the bank does at night, or a settlement.
func (s *Simulator) closeBatch() {
	s.state.Batch++
	s.state.Receipt, s.state.Opened = 0, len(s.state.Entries)
}

// tid and serial are those of the document's terminal, moved on by the name and
// by how often another one was put at the cable.
func (s *Simulator) tid() string { return fmt.Sprintf("%08d", (122+s.number+s.state.Unit)%100_000_000) }

func (s *Simulator) serial() string {
	return fmt.Sprintf("17140733322%013d", 1017301513850+int64(s.number)*1000+int64(s.state.Unit))
}

func six(n int) string {
	s := strconv.Itoa(n)
	return "000000"[:max(0, 6-len(s))] + s
}
