package tmaster

import (
	"fmt"
	"strings"
)

// void takes back an approval of this batch, all of it or an amount. Its receipt
// keeps the RRN of the original, and its number if all of it is back. It needs no
// Confirm.
func (t *Terminal) void(c Command) (Answer, error) {
	if t.mood.Outcome == "decline" {
		return own(c, General), nil
	}
	i := t.find(c.Invoice)
	switch {
	case i < 0:
		return Answer{Command: c, Code: General, Text: noReceipt}, nil
	case t.state.Slips[i].Operation == Void || t.state.Slips[i].Left <= 0 && t.state.Slips[i].Status != StatusDeclined:
		return own(c, Complete), nil
	}
	s := t.state.Slips[i]
	minor := s.Amount
	if c.Operation == VoidPartly {
		minor = c.Amount
	}
	if minor <= 0 || minor > s.Left || s.Entry < 0 || !t.canGoBack(s, minor) {
		return own(c, General), nil
	}
	back := t.newSlip(c, minor)
	back.Entry, back.RRN, back.Operation, back.Left = s.Entry, s.RRN, Void, 0
	t.state.Slips[i].Left -= minor
	if s.Operation == Refund {
		t.giveBack(s.Entry, -minor)
	} else {
		t.giveBack(s.Entry, minor)
	}
	if t.state.Slips[i].Left <= 0 {
		t.state.Slips[i].Status, back.Invoice = StatusReversed, s.Invoice
	} else {
		back.Operation = VoidPartly
	}
	t.state.Slips = append(t.state.Slips, back)
	if elsewhere, err := t.elsewhere(minor); elsewhere || err != nil {
		return Answer{Command: c}, err
	}
	return Answer{Command: c, Slip: back}, t.save()
}

// canGoBack says whether the bank has that much of a receipt's payment left: some
// of it may have gone back by a refund.
func (t *Terminal) canGoBack(s Slip, minor int64) bool {
	return s.Operation == Refund || minor <= t.state.Entries[s.Entry].Amount.Minor-t.state.Lines[s.Entry].Back
}

// find is the newest receipt of a number in the open batch, or -1.
func (t *Terminal) find(invoice int) int {
	for i := len(t.state.Slips) - 1; i >= 0; i-- {
		if t.state.Slips[i].Invoice == invoice {
			return i
		}
	}
	return -1
}

// settle closes the batch: pending reversals reach the bank, and no receipt can
// be read any more.
func (t *Terminal) settle(c Command) (Answer, error) {
	if t.mood.Outcome == "decline" {
		return own(c, NoHost), nil
	}
	if len(t.state.Slips) == 0 && !t.state.Full {
		return Answer{Command: c, Code: 1, Text: emptyLog}, nil
	}
	a := Answer{Command: c, Totals: t.totals(), Report: t.report("Z БАЛАНС")}
	t.state.Closing = a.Report
	t.close()
	return a, t.save()
}

const (
	emptyLog  = "Cannot obtain receipt: log file is empty!"
	noReceipt = "Cannot get receipt: Невірний чек!"
)

// close empties the log and tells the bank of what was taken back.
func (t *Terminal) close() {
	for i := range t.state.Lines {
		if l := &t.state.Lines[i]; l.Pending {
			l.Pending, l.Back, t.state.Entries[i].Reversed = false, t.state.Entries[i].Amount.Minor, true
		}
	}
	t.state.Slips, t.state.Full, t.state.Unconfirmed = nil, false, 0
	t.state.Batch++
}

// Receipt reads a receipt of the open batch by its number; 0 is the newest.
// Of a number that was given twice it is the newer. ok is false if there is none;
// empty says that the log has none at all.
func (t *Terminal) Receipt(invoice int) (s Slip, ok, empty bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.asked()
	i := len(t.state.Slips) - 1
	if invoice != 0 {
		i = t.find(invoice)
	}
	if i < 0 {
		return Slip{}, false, len(t.state.Slips) == 0
	}
	return t.state.Slips[i], true, false
}

// Slips are the receipts of the open batch, oldest first: the terminal's
// transaction journal, in the order of GetTxnDataByOrder.
func (t *Terminal) Slips() []Slip {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.asked()
	return append([]Slip(nil), t.state.Slips...)
}

// Batch is the number of the open batch.
func (t *Terminal) Batch() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Batch + 1
}

// Full says whether the log takes no more: the batch must be closed.
func (t *Terminal) Full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Full || len(t.state.Slips) >= t.cfg.Batch
}

// Totals are those of the open batch, with the text of an X report.
func (t *Terminal) Totals() (Totals, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.totals(), t.report("Х БАЛАНС")
}

// Closing is the text of the last settlement; "" if there was none.
func (t *Terminal) Closing() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Closing
}

// Journal is a text with every receipt of the open batch; "" if it is empty.
func (t *Terminal) Journal() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, s := range t.state.Slips {
		fmt.Fprintf(&b, "%s %s %s %s\n", six(s.Invoice), s.title(), decimal(s.Amount), s.At.Format("15:04:05"))
	}
	return b.String()
}

// totals are of what stands: a payment that was taken back, by somebody or by the
// terminal itself, is a cancelled one and no other. A reservation is no payment.
func (t *Terminal) totals() (sum Totals) {
	voided := map[int]bool{} // by receipts of their own
	for _, s := range t.state.Slips {
		voided[s.Invoice] = voided[s.Invoice] || s.Operation == Void
	}
	for _, s := range t.state.Slips {
		taken := s.Status == StatusReversed || s.Status == StatusCanceled
		switch {
		case s.Operation == Void || s.Operation == VoidPartly || taken && !voided[s.Invoice]:
			sum.CancelledNum++
			sum.CancelledAmt += s.Amount
		case taken, s.Status == StatusDeclined, s.Operation == Preauthorization:
		case s.Operation == Refund || s.Operation == Deposit:
			sum.CreditNum++
			sum.CreditAmt += s.Left
		default:
			sum.DebitNum++
			sum.DebitAmt += s.Left
		}
	}
	return sum
}
