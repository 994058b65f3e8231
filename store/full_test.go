package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// smallDisk mounts a file system of that size for the test.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here (%v): the full disk is not tested", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	mount := smallDisk(t, 1<<20)
	b := newBox(t, func(o *Options) { o.Dir = filepath.Join(mount, "journal"); o.SegmentSize = 256 << 10 })
	t.Cleanup(func() { b.Close() }) // before the unmount
	b.backoff = backoff{time.Nanosecond, time.Nanosecond}
	ballast, err := os.Create(filepath.Join(mount, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for chunk := make([]byte, 4096); err == nil; {
		_, err = ballast.Write(chunk)
	}
	var open []payment.Transaction
	for n := 0; ; n++ {
		if n > 10000 {
			t.Fatal("the journal never fills up")
		}
		tx := b.sale(fmt.Sprintf("sale-%d", n), "")
		if _, _, err = b.Begin(tx); err != nil {
			break
		}
		if n%5 == 0 && len(open) < 10 {
			open = append(open, tx)
			continue
		}
		b.finish(tx.ID, approved(tx))
	}
	wantReason(t, err, payment.ReasonJournal)
	if !strings.Contains(err.Error(), "no space left") {
		t.Errorf("refusal does not say why: %v", err)
	}
	if err := b.Healthy(); err == nil {
		t.Error("healthy while no payment is taken")
	}
	for n := 0; err == nil || n == 0; n++ { // nor do events without a payment take the reserve
		if n > 10000 {
			t.Fatal("events never end")
		}
		err = b.Append(nil, []payment.Event{b.event(100)})
	}
	wantReason(t, err, payment.ReasonJournal)
	if _, known, err := b.Begin(open[0]); !known || err != nil {
		t.Errorf("a known id on a full disk: known %v, %v", known, err)
	}
	for _, tx := range open {
		b.finish(tx.ID, approved(tx))
	}
	b.reopen()
	b.backoff = backoff{time.Nanosecond, time.Nanosecond}
	for _, tx := range open {
		if got := b.find(tx.ID).Outcome.Result; got != payment.Approved {
			t.Errorf("payment %s is %q, want approved", tx.ID, got)
		}
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	b.sellUntil("later", 2)
	if err := b.Healthy(); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestFullDiskExpiresWhatHasAged(t *testing.T) {
	mount := smallDisk(t, 1<<20)
	b := newBox(t, func(o *Options) {
		o.Dir, o.SegmentSize, o.Retention = filepath.Join(mount, "journal"), 256<<10, 24*time.Hour
	})
	t.Cleanup(func() { b.Close() })
	b.backoff = backoff{time.Nanosecond, time.Nanosecond}
	b.sellUntil("a", 3)
	ballast, err := os.Create(filepath.Join(mount, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for chunk := make([]byte, 4096); err == nil; {
		_, err = ballast.Write(chunk)
	}
	b.ackAll()
	b.now.Time = b.now.Time.Add(48 * time.Hour)
	b.sellUntil("b", 4)
	_, err = b.Find("a-0")
	wantReason(t, err, payment.ReasonExpired)
	b.reopen()
	_, err = b.Find("a-0")
	wantReason(t, err, payment.ReasonExpired)
}

// TestEveryWriteFails lets each durable write fail in turn, before and after it
// landed, and the journal mend itself.
func TestEveryWriteFails(t *testing.T) {
	count := func(fail int) (hooks int) {
		b := newBox(t, func(o *Options) { o.SegmentSize = 128 << 10 })
		fault := fmt.Errorf("fault of the test at %d", fail)
		b.Store.options.Hook = func(string) error {
			if hooks++; hooks == fail {
				return fault
			}
			return nil
		}
		b.backoff = backoff{time.Nanosecond, time.Nanosecond}
		failed := 0
		sure := func(what string, try func() error) {
			err := try()
			if err == nil {
				return
			}
			if failed++; failed > 1 {
				t.Fatalf("hook %d: %s failed again: %v", fail, what, err)
			}
			if payment.ReasonOf(err) != "" || !strings.Contains(err.Error(), fault.Error()) {
				t.Fatalf("hook %d: %s: %v", fail, what, err)
			}
			if err := b.Healthy(); err != nil {
				t.Fatalf("hook %d: not mended: %v", fail, err)
			}
			if err := try(); err != nil && payment.ReasonOf(err) != payment.ReasonState {
				t.Fatalf("hook %d: %s once mended: %v", fail, what, err)
			}
		}
		open := b.sale("open", "order-1")
		sure("begin", func() error { _, _, err := b.Begin(open); return err })
		seq := uint64(0)
		n := 0
		for ; n < 30; n++ {
			tx := b.sale(fmt.Sprintf("sale-%d", n), "")
			sure("begin", func() error { _, _, err := b.Begin(tx); return err })
			sure("finish", func() error { return b.tryFinish(tx.ID, approved(tx)) })
			if b.LastSeq() != seq+1 {
				t.Fatalf("hook %d: last event %d, want %d", fail, b.LastSeq(), seq+1)
			}
			seq++
		}
		b.Store.options.Hook = nil
		if b.active.number < 2 {
			t.Fatal("no roll-over was among the writes")
		}
		b.reopen()
		for i := range n {
			if got := b.find(payment.ID(fmt.Sprintf("sale-%d", i))).Outcome.Result; got != payment.Approved {
				t.Fatalf("hook %d: sale %d is %q", fail, i, got)
			}
		}
		if open, err := b.Open(); err != nil || len(open) != 1 || open[0].ID != "open" {
			t.Fatalf("hook %d: open %v, %v", fail, open, err)
		}
		if events, err := b.Range(1, b.LastSeq(), maxEvents); err != nil || len(events) != n || events[n-1].Seq != uint64(n) {
			t.Fatalf("hook %d: %d events, %v; want %d", fail, len(events), err, n)
		}
		if r, err := b.Verify(t.Context()); err != nil || !r.OK() {
			t.Fatalf("hook %d: verify %+v, %v", fail, r, err)
		}
		b.Close()
		return hooks
	}
	hooks := count(0)
	all := os.Getenv("STORE_CRASH_STATES") != "" // commits are alike: a few stand for them
	for n := 1; n <= hooks; n++ {
		if all || n <= 4 || n > hooks-12 {
			count(n)
		}
	}
}

// TestSickDiskIsLeftAlone: no write is tried before the backoff has passed, and
// what is known is still answered.
func TestSickDiskIsLeftAlone(t *testing.T) {
	b := newBox(t)
	b.sell("one")
	b.begin(b.sale("two", ""))
	writes := 0
	b.Store.options.Hook = func(string) error { writes++; return syscall.EIO }
	b.backoff = backoff{time.Hour, time.Hour}
	_, _, err := b.Begin(b.sale("three", ""))
	if err == nil || payment.ReasonOf(err) != "" {
		t.Fatalf("begin on a sick disk: %v, want an error that is no refusal", err)
	}
	for range 5 {
		if err := b.Append([]payment.Step{b.step(payment.StepFinished, "two", outcome(payment.Failed))}, nil); err == nil {
			t.Error("append on a sick disk")
		}
		if err := b.Healthy(); err == nil {
			t.Error("a sick disk is healthy")
		}
	}
	if writes != 1 {
		t.Errorf("%d writes were tried, want 1", writes)
	}
	if got := b.find("one").State; got != payment.StateFinal {
		t.Errorf("state %s of a finished payment", got)
	}
	if got := b.find("two").State; got != payment.StateBegun {
		t.Errorf("state %s of a running payment", got)
	}
	b.Acknowledge("local", 1)
}
