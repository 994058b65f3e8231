package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// box is a journal under test with a clock of its own.
type box struct {
	t       testing.TB
	options Options
	now     payment.Moment
	*Store
}

func newBox(t testing.TB, change ...func(*Options)) *box {
	b := &box{t: t, now: payment.Moment{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Clock: payment.ClockSynced}}
	b.options = Options{
		Dir: t.TempDir(), Board: "board-1", Destinations: []string{"local", "uplink"}, SegmentSize: 256 << 10,
		Now: func() payment.Moment { return b.now },
	}
	for _, f := range change {
		f(&b.options)
	}
	b.reopen()
	t.Cleanup(func() { b.Store.Close() })
	return b
}

// reopen closes the journal and opens it again.
func (b *box) reopen() {
	b.t.Helper()
	if b.Store != nil {
		if err := b.Store.Close(); err != nil {
			b.t.Fatalf("close: %v", err)
		}
	}
	b.open()
}

func (b *box) open() {
	b.t.Helper()
	s, err := Open(b.options)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	b.Store = s
}

// sale is a purchase that is ready for Begin.
func (b *box) sale(id, order string) payment.Transaction {
	b.now.Time = b.now.Time.Add(time.Second)
	return payment.Transaction{
		Request: payment.Request{ID: payment.ID(id), Order: order, Terminal: "till-1", Operation: payment.Purchase, Amount: payment.Money{Minor: 123456, Currency: "VND"}},
		Attempt: "abcdefghijklmnopqrst", Started: b.now,
		Baseline: payment.Baseline{Identity: "SN1/TID1", Batch: "000012", Fingerprint: []byte("last=000041")},
	}
}

// takeBack is a reversal or refund of an earlier payment.
func (b *box) takeBack(op payment.Operation, id string, original payment.ID, minor int64) payment.Transaction {
	tx := b.sale(id, "")
	tx.Operation, tx.Amount.Minor, tx.Original.Payment = op, minor, original
	return tx
}

func (b *box) begin(tx payment.Transaction) {
	b.t.Helper()
	if _, known, err := b.Begin(tx); err != nil || known {
		b.t.Fatalf("begin %s: known %v, %v", tx.ID, known, err)
	}
}

// approved is what a terminal answers, of a usual size.
func approved(tx payment.Transaction) payment.Outcome {
	return payment.Outcome{
		Result: payment.Approved, Amount: tx.Amount, Response: "00", Source: payment.SourceAnswer,
		Reference: payment.Reference{STAN: "000042", RRN: "612345678901", Auth: authOf(tx.ID), TID: "12345678", MID: "000001234567890", Batch: "000012", Receipt: "000042", Serial: "SN1", Time: "20260301120001"},
		Card:      payment.Card{PAN: payment.MaskPAN("9704********6163"), Scheme: "NAPAS", Entry: payment.EntryChip, AID: "A0000007271010", Label: "NAPAS"},
	}
}

func authOf(id payment.ID) string { return fmt.Sprintf("%06d", hashOf(id)%1000000) }

func outcome(r payment.Result) payment.Outcome {
	return payment.Outcome{Result: r, Source: payment.SourceAnswer}
}

func (b *box) step(kind payment.StepKind, id payment.ID, o payment.Outcome) payment.Step {
	return payment.Step{Kind: kind, ID: id, At: b.now, Outcome: &o}
}

func (b *box) finish(id payment.ID, o payment.Outcome) {
	b.t.Helper()
	if err := b.tryFinish(id, o); err != nil {
		b.t.Fatalf("finish %s: %v", id, err)
	}
}

// tryFinish appends the outcome and the event that announces it.
func (b *box) tryFinish(id payment.ID, o payment.Outcome) error {
	rec, err := b.Find(id)
	if err != nil {
		return err
	}
	st := b.step(payment.StepFinished, id, o)
	if err := rec.Apply(st); err != nil {
		return err
	}
	return b.Append([]payment.Step{st}, []payment.Event{payment.NewEvent(payment.EventFinal, payment.About(id), b.now, false, rec.View())})
}

// sell takes a whole payment.
func (b *box) sell(id string) {
	b.t.Helper()
	tx := b.sale(id, "")
	b.begin(tx)
	b.finish(tx.ID, approved(tx))
}

// sellUntil sells until the journal has that many segments; the ids are
// prefix-0, prefix-1, ... It returns how many.
func (b *box) sellUntil(prefix string, number uint64) int {
	b.t.Helper()
	for n := 0; n < 100000; n++ {
		if b.active.number >= number {
			return n
		}
		b.sell(fmt.Sprintf("%s-%d", prefix, n))
	}
	b.t.Fatalf("no roll-over to segment %d", number)
	return 0
}

func (b *box) find(id payment.ID) payment.Record {
	b.t.Helper()
	rec, err := b.Find(id)
	if err != nil {
		b.t.Fatalf("find %s: %v", id, err)
	}
	return rec
}

// event is one without a payment, padded to a size.
func (b *box) event(bytes int) payment.Event {
	return payment.NewEvent(payment.EventTerminalReady, "terminal/till-1", b.now, false, map[string]string{"pad": strings.Repeat("x", bytes)})
}

func wantReason(t testing.TB, err error, want payment.Reason) {
	t.Helper()
	if got := payment.ReasonOf(err); got != want {
		t.Errorf("reason %q (%v), want %q", got, err, want)
	}
}
