package qfpay

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// state is what the simulated QFPay remembers.
type state struct {
	simulate.Bank
	Trades []trade `json:"trades"` // what function 4001 can be asked about
}

// Check refuses transactions that are not in the ledger.
func (s *state) Check() error {
	for _, t := range s.Trades {
		if t.Entry >= len(s.Entries) {
			return errors.New("a transaction is not in its ledger")
		}
	}
	return nil
}

// trade is one transaction, approved or not.
type trade struct {
	Attempt  string `json:"attempt"`
	Channel  string `json:"channel"`
	Minor    int64  `json:"minor"`
	Refunded int64  `json:"refunded,omitempty"`
	Respcd   string `json:"respcd"`
	Syssn    string `json:"syssn"`
	Time     string `json:"time"`
	Entry    int    `json:"entry"` // in Entries; -1: not charged
}

// save makes the state durable.
func (s *Simulator) save() error { return simulate.Save(s.file, &s.state) }

const simTime = "2006-01-02 15:04:05"

// book writes a transaction down. An id is known once.
func (s *Simulator) book(r request, minor int64, respcd string) (trade, error) {
	t := trade{
		Attempt: r.content.get("out_trade_no"), Channel: r.content.get("channel"), Minor: minor, Respcd: respcd,
		Syssn: fmt.Sprintf("%s%05d%07d", time.Now().Format("20060102150405"), s.number, len(s.state.Trades)+1), Time: time.Now().Format(simTime), Entry: -1,
	}
	if respcd == "0000" {
		t.Entry = len(s.state.Entries)
		s.state.Entries = append(s.state.Entries, link.Entry{
			Attempt: t.Attempt, Amount: payment.Money{Minor: minor, Currency: s.state.Currency}, Charged: true, Receipt: t.Syssn, RRN: t.rrn(),
		})
	}
	s.state.Trades = append(s.state.Trades, t)
	return t, s.save()
}

func (t trade) rrn() string { return t.Syssn[len(t.Syssn)-12:] }

// find is the transaction of an id, ours or QFPay's.
func (s *Simulator) find(r request) *trade {
	for _, key := range []string{"out_trade_no", "orderId"} {
		id := r.content.get(key)
		for i := range s.state.Trades {
			if t := &s.state.Trades[i]; id != "" && (t.Attempt == id || t.Syssn == id) {
				return t
			}
		}
	}
	return nil
}

// giveBack refunds a part of a transaction, or what is left of it.
func (s *Simulator) giveBack(t *trade, text string) (minor int64, ok bool, err error) {
	minor = t.Minor - t.Refunded
	if text != "" {
		m, err := payment.ParseMoney(text, s.state.Currency)
		if err != nil {
			return 0, false, nil
		}
		minor = m.Minor
	}
	if t.Entry < 0 || minor <= 0 || minor > t.Minor-t.Refunded {
		return 0, false, nil
	}
	t.Refunded += minor
	s.state.Entries[t.Entry].Reversed = t.Refunded == t.Minor
	return minor, true, s.save()
}

// tradeData is what function 1001 answers (chapter 5).
func (s *Simulator) tradeData(t trade) map[string]string {
	m := map[string]string{
		"respcd": t.Respcd, "resmsg": "", "mchntnm": "KIOSK ONE", "sysdtm": t.Time, "userid": "2481047", "busicd": "800101",
		"txamt": strconv.FormatInt(t.Minor, 10), "txcurrcd": s.state.Currency, "chnlsn": "4200001" + t.rrn(), "paydtm": t.Time, "udid": fmt.Sprintf("SIM%05d", s.number),
		"syssn": t.Syssn, "clisn": t.rrn()[6:], "out_trade_no": t.Attempt, "cardscheme": "VISA",
	}
	if s.mood.nameless {
		delete(m, "out_trade_no")
	}
	return m
}

// queryData is what function 4001 answers.
func (s *Simulator) queryData(t trade) map[string]string {
	m := s.tradeData(t)
	m["server_time"], m["cancel"], m["cardno"], m["cardtype"] = time.Now().Format(simTime), "0", "520000******1096", "CREDIT"
	m["batchno"], m["refno"], m["nickname"] = "000001", t.rrn(), "somebody"
	if t.Entry >= 0 {
		m["allow_refund_amt"] = strconv.FormatInt(t.Minor-t.Refunded, 10)
	}
	if t.Refunded > 0 {
		m["cancel"] = "3"
	}
	return m
}
