package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// historySize is how many payments lie in the journal of the second half of
// each benchmark: STORE_BENCH_HISTORY, for goals G3 and G6 1000000.
func historySize() int {
	n, err := strconv.Atoi(os.Getenv("STORE_BENCH_HISTORY"))
	if err != nil {
		return 20000
	}
	return n
}

// fill puts payments into a journal, many in one transaction.
func fill(b *testing.B, x *box, n int) {
	b.Helper()
	const group = 100
	for at := 0; at < n; at += group {
		var steps []payment.Step
		var events []payment.Event
		for i := at; i < min(at+group, n); i++ {
			tx := x.sale(fmt.Sprintf("history-%08d", i), fmt.Sprintf("bill-%08d", i))
			o := approved(tx)
			rec := payment.Record{Transaction: tx, State: payment.StateFinal, Outcome: o, Updated: x.now}
			steps = append(steps, payment.Step{Kind: payment.StepBegun, ID: tx.ID, At: x.now, Transaction: &tx},
				payment.Step{Kind: payment.StepFinished, ID: tx.ID, At: x.now, Outcome: &o})
			events = append(events, payment.NewEvent(payment.EventFinal, payment.About(tx.ID), x.now, false, rec.View()))
		}
		if err := x.Append(steps, events); err != nil {
			b.Fatal(err)
		}
		x.ackAll()
	}
}

func bigBox(b *testing.B, history int) *box {
	x := newBox(b, func(o *Options) { o.SegmentSize, o.MaxSegments = DefaultSegmentSize, 1<<20 })
	fill(b, x, history)
	x.reopen()
	return x
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// floors are what the disk of this machine gives: one bare bbolt commit of 600
// bytes, and one flush of a 4 KiB append.
type floors struct {
	db   *bbolt.DB
	file *os.File
	n    int
}

func newFloors(b *testing.B) *floors {
	dir := b.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, "bare"), 0o640, &bbolt.Options{InitialMmapSize: DefaultSegmentSize, PageSize: pageSize})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	f, err := os.Create(filepath.Join(dir, "append"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return &floors{db: db, file: f}
}

func (f *floors) commit(b *testing.B) time.Duration {
	value := make([]byte, 600)
	f.n++
	start := time.Now()
	err := f.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		return bucket.Put(key(uint64(f.n)), value)
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func (f *floors) flush(b *testing.B) time.Duration {
	block := make([]byte, 4096)
	start := time.Now()
	if _, err := f.file.Write(block); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(f.file.Fd())); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkSale is a plain sale, Begin and the Append of its outcome, beside the
// floors of the same moment: medians, as ratios.
func BenchmarkSale(b *testing.B) {
	for _, history := range []int{0, historySize()} {
		b.Run(fmt.Sprintf("history=%d", history), func(b *testing.B) {
			x, f := bigBox(b, history), newFloors(b)
			var begin, finish, commit, flush []time.Duration
			b.ResetTimer()
			for n := range b.N {
				tx := x.sale(fmt.Sprintf("measured-%d", n), fmt.Sprintf("order-%d", n))
				start := time.Now()
				if _, _, err := x.Begin(tx); err != nil {
					b.Fatal(err)
				}
				begin = append(begin, time.Since(start))
				o := approved(tx)
				rec := payment.Record{Transaction: tx, State: payment.StateFinal, Outcome: o, Updated: x.now}
				event := payment.NewEvent(payment.EventFinal, payment.About(tx.ID), x.now, false, rec.View())
				start = time.Now()
				if err := x.Append([]payment.Step{{Kind: payment.StepFinished, ID: tx.ID, At: x.now, Outcome: &o}}, []payment.Event{event}); err != nil {
					b.Fatal(err)
				}
				finish = append(finish, time.Since(start))
				commit = append(commit, f.commit(b))
				flush = append(flush, f.flush(b))
			}
			c, fl := median(commit), median(flush)
			b.ReportMetric(float64(median(begin))/float64(c), "begin/commit")
			b.ReportMetric(float64(median(finish))/float64(c), "finish/commit")
			b.ReportMetric(float64(median(begin)+median(finish))/float64(fl), "sale/flush")
			b.ReportMetric(float64(c.Microseconds()), "commit-µs")
			b.ReportMetric(float64(fl.Microseconds()), "flush-µs")
		})
	}
}

// BenchmarkOpen is the time to open a journal, and what stays in memory.
func BenchmarkOpen(b *testing.B) {
	for _, history := range []int{0, historySize()} {
		b.Run(fmt.Sprintf("history=%d", history), func(b *testing.B) {
			x := bigBox(b, history)
			segments := x.Segments()
			b.ResetTimer()
			for range b.N {
				x.reopen()
			}
			b.StopTimer()
			b.ReportMetric(float64(segments), "segments")
			var before, after runtime.MemStats
			x.Store.Close()
			x.Store = nil
			runtime.GC()
			runtime.ReadMemStats(&before)
			x.open()
			runtime.GC()
			runtime.ReadMemStats(&after)
			if history > 0 {
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(history), "heap-B/payment")
			}
		})
	}
}

// BenchmarkLanes is goal G4: how many sales several lanes make together, as a
// multiple of what one makes.
func BenchmarkLanes(b *testing.B) {
	rate := func(b *testing.B, lanes, sales int) float64 {
		x := bigBox(b, 0)
		txs := make([][]payment.Transaction, lanes)
		for l := range lanes {
			for n := range sales {
				txs[l] = append(txs[l], x.sale(fmt.Sprintf("lane-%d-%d", l, n), ""))
			}
		}
		var wg sync.WaitGroup
		start := time.Now()
		for l := range lanes {
			wg.Go(func() {
				for _, tx := range txs[l] {
					if _, _, err := x.Begin(tx); err != nil {
						b.Error(err)
						return
					}
					x.finish(tx.ID, approved(tx))
				}
			})
		}
		wg.Wait()
		return float64(lanes*sales) / time.Since(start).Seconds()
	}
	for b.Loop() {
		one := rate(b, 1, 400)
		b.ReportMetric(rate(b, 8, 400)/one, "8-lanes/1-lane")
	}
}

// BenchmarkDrain is the outbox read from its beginning, as after an outage.
func BenchmarkDrain(b *testing.B) {
	x := bigBox(b, max(10000, historySize()))
	b.ResetTimer()
	events := 0
	for b.Loop() {
		for from := uint64(1); from <= 10000; {
			list, err := x.Range(from, x.LastSeq(), 100)
			if err != nil {
				b.Fatal(err)
			}
			from += uint64(len(list))
			events += len(list)
		}
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
