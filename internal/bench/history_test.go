package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/store"
)

// local is the destination of every measurement.
const local = "local"

// maxSegments is enough that no history is dropped: 64 GiB.
const maxSegments = 4096

// history is how many payments lie in the journal before anything is measured.
func history(b *testing.B) int {
	b.Helper()
	text := os.Getenv("HISTORY")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		b.Fatalf("HISTORY=%q is not a number of payments", text)
	}
	return n
}

// journalDir is a folder with a journal that has the history in it, and belongs
// to the caller. The filled one is made once and kept.
func journalDir(b *testing.B, n int) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "journal")
	if n == 0 {
		return dir
	}
	keep := os.Getenv("HISTORY_DIR")
	if keep == "" {
		keep = filepath.Join(os.TempDir(), "tillgate-history")
	}
	kept := filepath.Join(keep, strconv.Itoa(n)+"-payments")
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		making := kept + ".part"
		if err := errors.Join(os.MkdirAll(keep, 0o755), os.RemoveAll(making)); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		fill(b, making, n)
		b.Logf("filled %s with %d payments in %s", kept, n, time.Since(begin).Round(time.Second))
		if err := os.Rename(making, kept); err != nil {
			b.Fatal(err)
		}
	}
	copyJournal(b, kept, dir)
	return dir
}

// span is how long ago the oldest payment of a history was: a shop's default
// retention. A million payments are 2,500 a day.
const span = 400 * 24 * time.Hour

// fill puts payments into a new journal, evenly spread over span. Several writers append many payments
// at a time, which the store commits together; what lies on disk is the same as
// if each had been begun and finished by itself.
func fill(b *testing.B, dir string, n int) {
	b.Helper()
	s, err := store.Open(store.Options{Dir: dir, Destinations: []string{local}, MaxSegments: maxSegments})
	if err != nil {
		b.Fatal(err)
	}
	const group, writers = 8, 4 // the store keeps room for every payment of a commit
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				from := int(next.Add(group)) - group
				if from >= n {
					return
				}
				var steps []payment.Step
				var events []payment.Event
				for i := from; i < min(from+group, n); i++ {
					tx := transaction(fmt.Sprintf("history-%08d", i))
					tx.Started.Time = tx.Started.Time.Add(-span + time.Duration(float64(span)*float64(i)/float64(n)))
					st, ev := sale(tx)
					steps, events = append(steps, st...), append(events, ev)
				}
				if err := s.Append(steps, events); err != nil {
					b.Error(err)
					return
				}
				s.Acknowledge(local, s.LastSeq())
			}
		})
	}
	wg.Wait()
	s.Acknowledge(local, s.LastSeq())
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if b.Failed() {
		b.FailNow()
	}
}

func moment() payment.Moment {
	return payment.Moment{Time: time.Now(), Clock: payment.ClockUnsynced}
}

// transaction is a purchase as a lane writes it down.
func transaction(id string) payment.Transaction {
	return payment.Transaction{
		Request: payment.Request{ID: payment.ID(id), Order: "bill-" + id, Terminal: "front", Operation: payment.Purchase, Amount: payment.Money{Minor: 125000, Currency: "VND"}},
		Attempt: "abcdefghijklmnopqrst", Started: moment(),
		Baseline: payment.Baseline{Identity: "1850000000/80210002", Batch: "000012", Fingerprint: []byte(`{"type":"SALE","receipt":"000041","stan":"000041","rrn":"612345678900","time":"20261122060000","amount":"125000","request":"bcdefghijklmnopqrstu"}`)},
	}
}

// sale is the steps and the event of an approved purchase.
func sale(tx payment.Transaction) ([]payment.Step, payment.Event) {
	o := outcome(tx)
	rec := payment.Record{Transaction: tx, State: payment.StateFinal, Outcome: o, Updated: tx.Started}
	return []payment.Step{
			{Kind: payment.StepBegun, ID: tx.ID, At: tx.Started, Transaction: &tx},
			{Kind: payment.StepFinished, ID: tx.ID, At: tx.Started, Outcome: &o},
		},
		payment.NewEvent(payment.EventFinal, payment.About(tx.ID), tx.Started, false, rec.View())
}

func outcome(tx payment.Transaction) payment.Outcome {
	return payment.Outcome{
		Result: payment.Approved, Amount: tx.Amount, Response: "00", Source: payment.SourceAnswer,
		Reference: payment.Reference{STAN: "000042", RRN: "612345678901", Auth: "004512", TID: "80210002", MID: "000000080210002", Batch: "000012", Receipt: "000042", Serial: "1850000000", Time: "20261122060001"},
		Card:      payment.Card{PAN: payment.MaskPAN("9704********6163"), Scheme: "NAPAS", Entry: payment.EntryChip, AID: "A0000007271010", Label: "NAPAS"},
	}
}

// copyJournal gives dir the files of a stopped journal. Closed segments are
// never written again, so a second name will do for them.
func copyJournal(b *testing.B, from, dir string) {
	b.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(from, "*.seg"))
	if err != nil || len(segments) == 0 {
		b.Fatalf("%s holds no journal: %v", from, err)
	}
	newest := slices.Max(segments)
	all, err := filepath.Glob(filepath.Join(from, "0*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range all {
		to := filepath.Join(dir, filepath.Base(path))
		if path != newest && os.Link(path, to) == nil {
			continue
		}
		if err := copyFile(path, to); err != nil { // in use, or another file system
			b.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
