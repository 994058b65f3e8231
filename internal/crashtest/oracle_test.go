package crashtest

import (
	"bytes"
	"fmt"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// audit is the oracle: it compares the journal with the bank's ledger.
func (b *box) audit() (wrong []string) {
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	records := b.records()
	charged, standing, nobodys := b.taken()
	for _, e := range nobodys {
		say("charged without an intent in the journal: attempt %q, %s", e.Attempt, e.Amount)
	}
	for id, rec := range records {
		if charged[id] > 1 {
			say("%s was charged %d times", id, charged[id])
		}
		b.auditRecord(rec, standing[id], records["R1"], say)
	}
	b.auditEvents(records, say)
	return wrong
}

// records are those of all stories that the journal has.
func (b *box) records() map[payment.ID]payment.Record {
	records := map[payment.ID]payment.Record{}
	for _, id := range []payment.ID{"A0", "A1", "R1", payment.ReversalOf("A1"), payment.RefundOf("A1")} {
		if rec, err := b.store.Find(id); err == nil {
			records[id] = rec
		}
	}
	return records
}

// taken counts how often the bank charged a payment of the journal, and how
// often that still stands; nobodys are charges that no payment explains.
func (b *box) taken() (charged, standing map[payment.ID]int, nobodys []link.Entry) {
	records := b.records()
	charged, standing = map[payment.ID]int{}, map[payment.ID]int{}
	for i, e := range b.sim.Ledger() {
		if !e.Charged {
			continue
		}
		id, byHand := b.whose(i, e, records)
		switch _, begun := records[id]; {
		case byHand:
		case !begun:
			nobodys = append(nobodys, e)
		default:
			charged[id]++
			if !e.Reversed {
				standing[id]++
			}
		}
	}
	return charged, standing, nobodys
}

// whose finds the payment of a charge. A sale by hand on the keypad is nobody's.
// A terminal may get to see only the first characters of an attempt.
func (b *box) whose(i int, e link.Entry, records map[payment.ID]payment.Record) (id payment.ID, byHand bool) {
	if b.on.positional {
		switch wrong := e.Amount.Minor - price; {
		case i < b.before:
			return "A0", false
		case wrong > -10 && wrong < 10:
			return "A1", false
		case e.Amount.Minor == 50*price: // what another terminal at the cable has sold
			return "", true
		}
		return "", false
	}
	for id, rec := range records {
		if e.Attempt != "" && strings.HasPrefix(rec.Attempt, e.Attempt) {
			return id, false
		}
	}
	return "", e.Attempt == ""
}

// auditRecord compares a purchase with what stands at the bank. back is what was
// done about it when it was over: a refund leaves its record as it was.
func (b *box) auditRecord(rec payment.Record, standing int, back payment.Record, say func(string, ...any)) {
	if rec.Operation != payment.Purchase {
		return
	}
	refunded := rec.ID == "A1" && back.Operation == payment.Refund && back.Outcome.Result == payment.Approved
	switch res := rec.Outcome.Result; {
	case rec.State != payment.StateFinal:
		say("%s is still %s", rec.ID, rec.State)
	case res == payment.Unreversed && b.on.has(payment.Reversal): // a refund is never repeated
		say("%s was not given back, and the terminal could", rec.ID)
	case res == payment.Approved && standing == 0 && !refunded:
		say("%s is said to be paid, and is not", rec.ID)
	case res.NotPaid() && standing > 0:
		say("%s is said to be %s, and the customer paid", rec.ID, res)
	}
	if n := b.granted[rec.ID]; n > 1 || (n == 1 && rec.Outcome.Result != payment.Approved && rec.OwedReason == "") {
		say("%s: goods granted %d times, and it is %s", rec.ID, n, rec.Outcome.Result)
	}
}

// auditEvents checks that each final payment has exactly one final event, that
// a repeated delivery is the same bytes, and that no number is missing.
func (b *box) auditEvents(records map[payment.ID]payment.Record, say func(string, ...any)) {
	events, err := b.store.Range(1, b.store.LastSeq(), 100_000)
	if err != nil {
		say("events: %v", err)
		return
	}
	finals := map[string]int{}
	for i, e := range events {
		if e.Seq != uint64(i+1) {
			say("event %d has number %d", i+1, e.Seq)
			return
		}
		if e.Type == payment.EventFinal {
			finals[e.Subject]++
		}
	}
	for id, rec := range records {
		if rec.State == payment.StateFinal && finals[payment.About(id)] != 1 {
			say("%s has %d final events", id, finals[payment.About(id)])
		}
	}
	again, err := b.store.Range(1, b.store.LastSeq(), 100_000)
	if err != nil || len(again) != len(events) {
		say("events read again: %d, %v", len(again), err)
		return
	}
	for i := range again {
		if !bytes.Equal(again[i].Data, events[i].Data) || again[i].Epoch != events[i].Epoch {
			say("event %d is not the same when it is read again", i+1)
		}
	}
}
