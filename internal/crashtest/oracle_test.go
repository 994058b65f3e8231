package crashtest

import (
	"bytes"
	"fmt"

	"tillgate/internal/payment"
)

// audit is the oracle: it compares the journal with the bank's ledger.
func (b *box) audit() (wrong []string) {
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	records, byAttempt := map[payment.ID]payment.Record{}, map[string]payment.ID{}
	for _, id := range []payment.ID{"A0", "A1", "R1", payment.ReversalOf("A1")} {
		if rec, err := b.store.Find(id); err == nil {
			records[id], byAttempt[rec.Attempt] = rec, id
		}
	}
	charged, standing := map[payment.ID]int{}, map[payment.ID]int{}
	for _, e := range b.sim.Ledger() {
		if !e.Charged || e.Attempt == "" { // a sale by hand on the keypad is nobody's
			continue
		}
		id, ok := byAttempt[e.Attempt]
		if !ok {
			say("charged without an intent in the journal: attempt %s", e.Attempt)
			continue
		}
		charged[id]++
		if !e.Reversed {
			standing[id]++
		}
	}
	for id, rec := range records {
		if charged[id] > 1 {
			say("%s was charged %d times", id, charged[id])
		}
		b.auditRecord(rec, standing[id], say)
	}
	b.auditEvents(records, say)
	return wrong
}

func (b *box) auditRecord(rec payment.Record, standing int, say func(string, ...any)) {
	if rec.Operation != payment.Purchase {
		return
	}
	switch res := rec.Outcome.Result; {
	case rec.State != payment.StateFinal:
		say("%s is still %s", rec.ID, rec.State)
	case res == payment.Approved && standing == 0:
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
