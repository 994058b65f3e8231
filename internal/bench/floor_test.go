package bench

import (
	"encoding/binary"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// floorJournal is the floor N: journal and outbox in memory, with the rules of
// the real one and nothing on disk. Payments on it are lost by any crash.
type floorJournal struct {
	mu      sync.Mutex
	records map[payment.ID]*payment.Record
	open    map[payment.ID]bool
	events  []payment.Event // seq 1 is the first
	cursor  uint64
	changed chan struct{}
}

func newFloorJournal() *floorJournal {
	return &floorJournal{records: map[payment.ID]*payment.Record{}, open: map[payment.ID]bool{}, changed: make(chan struct{})}
}

func (j *floorJournal) Begin(tx payment.Transaction) (payment.Record, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.records[tx.ID]; r != nil {
		if !r.SameContent(tx.Request) {
			return payment.Record{}, false, payment.Refuse(payment.ReasonConflict, "payment %s has other content", tx.ID)
		}
		return *r, true, nil
	}
	r := &payment.Record{}
	if err := r.Apply(payment.Step{Kind: payment.StepBegun, ID: tx.ID, At: tx.Started, Transaction: &tx}); err != nil {
		return payment.Record{}, false, err
	}
	j.records[tx.ID], j.open[tx.ID] = r, true
	return *r, false, nil
}

func (j *floorJournal) Note(string, string) error { return nil }

func (j *floorJournal) Notes() map[string]string { return nil }

func (j *floorJournal) Append(steps []payment.Step, events []payment.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, st := range steps {
		r := j.records[st.ID]
		if r == nil {
			r = &payment.Record{}
		}
		if err := r.Apply(st); err != nil {
			return err
		}
		j.records[st.ID] = r
		if delete(j.open, st.ID); r.Open() {
			j.open[st.ID] = true
		}
	}
	for _, e := range events {
		e.Seq, e.Epoch = uint64(len(j.events))+1, "floor"
		j.events = append(j.events, e)
	}
	if len(events) > 0 {
		close(j.changed)
		j.changed = make(chan struct{})
	}
	return nil
}

func (j *floorJournal) Find(id payment.ID) (payment.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.records[id]; r != nil {
		return *r, nil
	}
	return payment.Record{}, payment.Refuse(payment.ReasonNotFound, "no payment %s", id)
}

func (j *floorJournal) Open() ([]payment.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []payment.Record
	for id := range j.open {
		all = append(all, *j.records[id])
	}
	slices.SortFunc(all, func(a, b payment.Record) int { return a.Started.Time.Compare(b.Started.Time) })
	return all, nil
}

// Related is for reversals and refunds, and nothing here takes money back.
func (j *floorJournal) Related(payment.ID) ([]payment.Record, error) { return nil, nil }

// Since is for daily caps and reconciliation, and no terminal here has them.
func (j *floorJournal) Since(time.Time) iter.Seq2[payment.Record, error] {
	return func(func(payment.Record, error) bool) {}
}

// NeedsPerson is for what a start reminds of, and nothing here was before it.
func (j *floorJournal) NeedsPerson(t time.Time) iter.Seq2[payment.Record, error] { return j.Since(t) }

func (j *floorJournal) Healthy() error { return nil }

func (j *floorJournal) Pending(_ string, most int) ([]payment.Event, error) {
	j.mu.Lock()
	from := j.cursor + 1
	j.mu.Unlock()
	return j.Range(from, ^uint64(0), most)
}

func (j *floorJournal) Acknowledge(_ string, seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cursor = max(j.cursor, seq)
}

func (j *floorJournal) Range(from, to uint64, most int) ([]payment.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := min(to, uint64(len(j.events)))
	if from = max(from, 1); from > last {
		return nil, nil
	}
	list := j.events[from-1 : last]
	return slices.Clone(list[:min(most, len(list))]), nil
}

func (j *floorJournal) LastSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return uint64(len(j.events))
}

func (j *floorJournal) Epoch() string { return "floor" }

func (j *floorJournal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// disk is what the disk of this machine gives at best: the floors C and F.
type disk struct {
	b    *testing.B
	db   *bbolt.DB
	file *os.File
	n    uint64
}

func newDisk(b *testing.B) *disk {
	dir := b.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, "bare"), 0o640, &bbolt.Options{InitialMmapSize: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	f, err := os.Create(filepath.Join(dir, "append"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return &disk{b: b, db: db, file: f}
}

// commit is C: one bbolt transaction that puts 600 bytes.
func (d *disk) commit() time.Duration {
	value := make([]byte, 600)
	d.n++
	begin := time.Now()
	err := d.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		return bucket.Put(binary.BigEndian.AppendUint64(nil, d.n), value)
	})
	if err != nil {
		d.b.Fatal(err)
	}
	return time.Since(begin)
}

// flush is F: one append of 4 KiB, made durable.
func (d *disk) flush() time.Duration {
	block := make([]byte, 4096)
	begin := time.Now()
	if _, err := d.file.Write(block); err != nil {
		d.b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(d.file.Fd())); err != nil {
		d.b.Fatal(err)
	}
	return time.Since(begin)
}

// sample is many measurements of one thing.
type sample []time.Duration

func (s *sample) add(d time.Duration) { *s = append(*s, d) }

// p is the given quantile, 0 to 1.
func (s sample) p(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
