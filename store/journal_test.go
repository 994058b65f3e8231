package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"tillgate/internal/payment"
)

func TestBeginVerdicts(t *testing.T) {
	for _, place := range []string{"in use", "after a restart", "in a closed segment"} {
		t.Run(place, func(t *testing.T) {
			b := newBox(t)
			paid, busy, lost, gone := b.sale("paid", "order-1"), b.sale("busy", "order-2"), b.sale("lost", "order-3"), b.sale("gone", "order-4")
			for _, tx := range []payment.Transaction{paid, busy, lost, gone} {
				b.begin(tx)
			}
			b.finish("paid", approved(paid))
			b.finish("gone", outcome(payment.Declined))
			if err := b.Append([]payment.Step{b.step(payment.StepDoubted, "lost", outcome(payment.InDoubt))}, nil); err != nil {
				t.Fatal(err)
			}
			rev := b.takeBack(payment.Reversal, "part-1", "paid", 100000)
			b.begin(rev)
			switch place {
			case "after a restart":
				b.reopen()
			case "in a closed segment":
				b.sellUntil("fill", 3)
				b.reopen()
			}
			other := func(tx payment.Transaction, change func(*payment.Transaction)) payment.Transaction {
				change(&tx)
				return tx
			}
			for _, c := range []struct {
				name  string
				tx    payment.Transaction
				known bool
				want  payment.Reason
			}{
				{"same id, same content, final", paid, true, ""},
				{"same id, same content, running", busy, true, ""},
				{"same id at another time", other(paid, func(tx *payment.Transaction) { tx.Started = b.now; tx.Attempt = "x" }), true, ""},
				{"same id, other amount", other(paid, func(tx *payment.Transaction) { tx.Amount.Minor++ }), false, payment.ReasonConflict},
				{"same id, other terminal", other(busy, func(tx *payment.Transaction) { tx.Terminal = "till-2" }), false, payment.ReasonConflict},
				{"order is paid", b.sale("a", "order-1"), false, payment.ReasonOrderBusy},
				{"order is being paid", other(b.sale("b", "order-2"), func(tx *payment.Transaction) { tx.Terminal = "till-2" }), false, payment.ReasonOrderBusy},
				{"order is in doubt", b.sale("c", "order-3"), false, payment.ReasonOrderBusy},
				{"reversal of what never was", b.takeBack(payment.Reversal, "d", "nobody", 1), false, payment.ReasonNotFound},
				{"reversal of a declined one", b.takeBack(payment.Reversal, "e", "gone", 1), false, payment.ReasonState},
				{"more than is left", b.takeBack(payment.Refund, "f", "paid", 23457), false, payment.ReasonRefundCeiling},
				{"no id", other(paid, func(tx *payment.Transaction) { tx.ID = "" }), false, payment.ReasonInvalid},
				{"order was declined", b.sale("g", "order-4"), false, ""},
				{"paid order in parts", other(b.sale("h", "order-1"), func(tx *payment.Transaction) { tx.Split = true }), false, ""},
				{"what is left", b.takeBack(payment.Refund, "i", "paid", 23456), false, ""},
				{"nothing is left", b.takeBack(payment.Refund, "j", "paid", 1), false, payment.ReasonRefundCeiling},
			} {
				before := b.next
				rec, known, err := b.Begin(c.tx)
				if known != c.known || payment.ReasonOf(err) != c.want || (c.want == "" && err != nil) {
					t.Errorf("%s: known %v, %v; want %v, %q", c.name, known, err, c.known, c.want)
				}
				if err == nil && rec.ID != c.tx.ID {
					t.Errorf("%s: record of %q", c.name, rec.ID)
				}
				if (c.want != "" || c.known) && b.next != before {
					t.Errorf("%s: left a trace", c.name)
				}
			}
			related, err := b.Related("paid")
			if err != nil || len(related) != 2 || related[0].ID != "part-1" || related[1].ID != "i" {
				t.Errorf("related %v, %v; want part-1 and i", related, err)
			}
		})
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	b := newBox(t)
	b.begin(b.sale("one", ""))
	b.begin(b.sale("two", ""))
	err := b.Append([]payment.Step{
		b.step(payment.StepFinished, "one", outcome(payment.Declined)),
		b.step(payment.StepGranted, "two", payment.Outcome{}),
	}, []payment.Event{b.event(10)})
	wantReason(t, err, payment.ReasonState)
	if got := b.find("one").State; got != payment.StateBegun {
		t.Errorf("state %s after a refused append, want begun", got)
	}
	if b.LastSeq() != 0 {
		t.Errorf("event %d of a refused append", b.LastSeq())
	}
	wantReason(t, b.Append([]payment.Step{b.step(payment.StepFinished, "nobody", outcome(payment.Failed))}, nil), payment.ReasonNotFound)
}

func TestGrantHappensOnce(t *testing.T) {
	b := newBox(t)
	tx := b.sale("one", "")
	tx.FulfilWithin = 60000
	b.begin(tx)
	if err := b.Append([]payment.Step{b.step(payment.StepAuthorised, "one", approved(tx))}, nil); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	granted := make(chan error, 16)
	for range cap(granted) {
		wg.Go(func() {
			granted <- b.Append([]payment.Step{{Kind: payment.StepGranted, ID: "one", At: tx.Started}}, nil)
		})
	}
	wg.Wait()
	close(granted)
	n := 0
	for err := range granted {
		if err == nil {
			n++
		} else {
			wantReason(t, err, payment.ReasonState)
		}
	}
	if n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

func TestGroupCommitRefusesOneAlone(t *testing.T) {
	b := newBox(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := make(map[string]int)
	txs := make([]payment.Transaction, 64)
	for i := range txs {
		txs[i] = b.sale(fmt.Sprintf("id-%d", i), fmt.Sprintf("order-%d", i/4))
	}
	for _, tx := range txs {
		wg.Go(func() {
			_, _, err := b.Begin(tx)
			if err == nil {
				mu.Lock()
				taken[tx.Order]++
				mu.Unlock()
			} else {
				wantReason(t, err, payment.ReasonOrderBusy)
			}
		})
	}
	wg.Wait()
	b.reopen()
	open, err := b.Open()
	if err != nil || len(open) != 16 || len(taken) != 16 {
		t.Errorf("%d open, %d orders taken, %v; want 16 and 16", len(open), len(taken), err)
	}
	for order, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", order, n)
		}
	}
}

func TestClosedJournal(t *testing.T) {
	b := newBox(t)
	b.sell("one")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, _, err := b.Begin(b.sale("two", "")); !errors.Is(err, ErrClosed) {
		t.Errorf("begin: %v, want %v", err, ErrClosed)
	}
	if err := b.Healthy(); !errors.Is(err, ErrClosed) {
		t.Errorf("healthy: %v, want %v", err, ErrClosed)
	}
}

func TestReversalOfAnOldPaymentCarriesItOver(t *testing.T) {
	b := newBox(t)
	b.sell("old")
	b.sellUntil("fill", 3)
	rev := b.takeBack(payment.Reversal, "old~rev", "old", 123456)
	b.begin(rev)
	err := b.Append([]payment.Step{
		b.step(payment.StepFinished, "old~rev", approved(rev)),
		{Kind: payment.StepTakenBack, ID: "old", At: b.now, Amount: rev.Amount},
	}, []payment.Event{b.event(10)})
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if rec := b.find("old"); rec.Outcome.Result != payment.Reversed || rec.TakenBack != rev.Amount {
			t.Errorf("%s, %s taken back; want reversed in full", rec.Outcome.Result, rec.TakenBack)
		}
		if steps, err := b.Steps("old"); err != nil || len(steps) != 3 {
			t.Errorf("%d steps, %v; want 3", len(steps), err)
		}
		n := 0
		for rec, err := range b.History(Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.ID == "old" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("history lists it %d times, want once", n)
		}
	}
	check()
	b.reopen()
	check()
	b.sellUntil("more", 5)
	check()
}
