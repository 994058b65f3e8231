package linktest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// raceStride breaks a line at each raceStride-th byte at most where the race
// detector makes everything slow: it looks for races, and each break has the
// same goroutines.
const raceStride = 5

// places says at which bytes a line is broken: at each stride-th from first on.
// Where that is not every byte, the first one moves from minute to minute.
func (s Subject) places(t *testing.T) (first, stride int) {
	stride = max(1, s.Stride)
	if raceEnabled {
		stride = max(stride, raceStride)
	}
	if stride == 1 {
		return 0, 1
	}
	offset := time.Now().Unix() / 60
	if text := os.Getenv("LINKTEST_OFFSET"); text != "" {
		var err error
		if offset, err = strconv.ParseInt(text, 10, 64); err != nil || offset < 0 {
			t.Fatalf("LINKTEST_OFFSET=%s is no number from 0 on", text)
		}
	}
	first = int(offset % int64(stride))
	t.Logf("broken at each %d-th byte from %d on; LINKTEST_OFFSET=%d repeats it", stride, first, first)
	return first, stride
}

// broken breaks the line at every byte that is read and written while a
// terminal is opened, its baseline is read, and a sale is made.
func broken(t *testing.T, s Subject, settings any) {
	first, stride := s.places(t)
	for _, kind := range Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			for n := first; ; n += stride {
				if !breakOnce(t, s, settings, n, kind) {
					if n == first {
						t.Error("nothing was ever broken")
					}
					t.Logf("broken at %d of about %d bytes", (n-first)/stride, n)
					return
				}
			}
		})
	}
}

// brokenReversal breaks the line at every byte while an earlier sale is taken
// back.
func brokenReversal(t *testing.T, s Subject, settings any) {
	if !has(s.Driver, payment.Reversal) {
		t.Skip("the protocol has no reversal")
	}
	first, stride := s.places(t)
	for _, kind := range Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			for n := first; reverseOnce(t, s, settings, n, kind); n += stride {
			}
		})
	}
}

// reverseOnce takes one sale back on a line that breaks at byte n, then looks
// the reversal up on a sound one.
func reverseOnce(t *testing.T, s Subject, settings any, n int, kind Kind) (reached bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, s, settings, s.Approve)
		defer b.sim.Close()
		term := b.mustOpen()
		tx, back := b.purchase(), b.purchase()
		o, err := b.sell(context.Background(), term, &tx, link.Dialogue{})
		term.Close()
		if err != nil {
			t.Fatal(err)
		}
		back.Operation, back.Original, back.Order, back.Amount = payment.Reversal, o.Reference, "", tx.Amount
		var line *Breaking
		b.breakAt(&line, n, kind)
		what := fmt.Sprintf("reversal %s %d", kind, n)
		o, err = b.sellOn(&line, &back, what)
		reached = line.Reached()
		b.wrapNext(nil)
		reversed := b.sim.Ledger()[0].Reversed
		if err == nil && (o.Result == payment.Approved) != reversed || reversed && err != nil && !link.Sent(err) {
			t.Errorf("%s: got %+v, %v, and reversed is %v", what, o, err, reversed)
		}
		term = b.mustOpen()
		defer term.Close()
		if err == nil || !link.Sent(err) {
			return
		}
		// The terminal does not know that its line broke: it may take the sale back
		// at any moment until the lookup has its answer.
		synctest.Wait()
		before := b.sim.Ledger()[0].Reversed
		o, err = term.Lookup(context.Background(), back, time.Second)
		proved, l := err == nil && o.Result == payment.Approved, b.sim.Ledger()
		if len(l) != 1 || before && !l[0].Reversed {
			t.Fatalf("%s: a lookup changed the ledger to %+v", what, l)
		}
		if before && !proved || proved && !l[0].Reversed {
			t.Errorf("%s: lookup got %+v, %v, reversed was %v before it and is %v", what, o, err, before, l[0].Reversed)
		}
	})
	return reached
}

// breakOnce makes one sale on a line that breaks at byte n, then looks it up on
// a sound one. It tells whether the line broke at all.
func breakOnce(t *testing.T, s Subject, settings any, n int, kind Kind) (reached bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, s, settings, s.Approve)
		defer b.sim.Close()
		var line *Breaking
		b.breakAt(&line, n, kind)
		what := fmt.Sprintf("%s %d", kind, n)
		tx := b.purchase()
		o, err := b.sellOn(&line, &tx, what)
		reached = line.Reached()
		b.wrapNext(nil)
		b.judge(what, tx, o, err)
		term := b.mustOpen()
		defer term.Close()
		if err == nil || !link.Sent(err) {
			return
		}
		// The terminal does not know that its line broke: it may charge at any
		// moment of the first lookup, and must have been heard by the late one.
		synctest.Wait()
		charged := len(b.charged(tx)) > 0
		o, err = b.lookup(what+": lookup", term, tx, time.Second, !charged)
		b.mustProve(what+": lookup", charged, settings, o, err)
		time.Sleep(longest)
		synctest.Wait()
		o, err = b.lookup(what+": late lookup", term, tx, longest+time.Second, false)
		b.mustProve(what+": late lookup", len(b.charged(tx)) > 0, settings, o, err)
		if s.pending(err) {
			t.Errorf("%s: late lookup got %v, and the terminal can no longer wait", what, err)
		}
	})
	return reached
}

// mustProve says that a lookup did not prove a charge it could have proved.
func (b *bench) mustProve(what string, charged bool, settings any, o payment.Outcome, err error) {
	if charged && !b.s.blind(settings, err) && !b.s.pending(err) && (err != nil || o.Result != payment.Approved) {
		b.t.Errorf("%s got %+v, %v, and it was charged before", what, o, err)
	}
}

// sellOn opens a line, which it finds in line afterwards, reads the baseline and sells. An error before the sale counts
// as nothing sent; one of the sale must say that nothing was sent if not a byte
// of it was written.
func (b *bench) sellOn(line **Breaking, tx *payment.Transaction, what string) (payment.Outcome, error) {
	term, err := b.open()
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: "open", Err: err}
	}
	defer term.Close()
	if err := baseline(term, tx); err != nil {
		return payment.Outcome{}, &link.Error{Op: "baseline", Err: err}
	}
	_, before := (*line).Bytes()
	o, err := execute(context.Background(), term, *tx, link.Dialogue{})
	if _, after := (*line).Bytes(); err != nil && link.Sent(err) && after == before {
		b.t.Errorf("%s: not a byte was written, and %v", what, err)
	}
	return o, err
}
