package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// TestEverybodyAtOnce lets lanes sell over several roll-overs while others read,
// verify and back up. The race detector is the judge, and a check at the end.
func TestEverybodyAtOnce(t *testing.T) {
	b := newBox(t, func(o *Options) { o.MaxSegments = 4 })
	const lanes, sales = 4, 60
	var txs [lanes][]payment.Transaction
	for l := range lanes {
		for n := range sales {
			txs[l] = append(txs[l], b.sale(fmt.Sprintf("lane-%d-%d", l, n), fmt.Sprintf("order-%d-%d", l, n)))
		}
	}
	var selling, reading sync.WaitGroup
	stop := make(chan struct{})
	for l := range lanes {
		selling.Go(func() {
			for _, tx := range txs[l] {
				if _, _, err := b.Begin(tx); err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				if err := b.tryFinish(tx.ID, approved(tx)); err != nil {
					t.Errorf("finish: %v", err)
					return
				}
			}
		})
	}
	repeat := func(what string, do func(n int) error) {
		reading.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(n); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	repeat("drain", func(int) error {
		changed := b.Changed()
		events, err := b.Pending("local", 10)
		if err == nil && len(events) > 0 {
			b.Acknowledge("local", events[len(events)-1].Seq)
			return nil
		}
		select {
		case <-changed:
		case <-stop:
		}
		return err
	})
	repeat("history", func(int) error {
		for _, err := range b.History(Query{Limit: 50}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	repeat("verify", func(int) error {
		r, err := b.Verify(t.Context())
		if err == nil && !r.OK() {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
	backups := t.TempDir()
	repeat("backup", func(n int) error {
		dir := filepath.Join(backups, fmt.Sprint(n%2))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := b.Backup(t.Context(), dir); err != nil {
			return err
		}
		s, err := Open(Options{Dir: dir, ReadOnly: true})
		if err != nil {
			return err
		}
		defer s.Close()
		r, err := s.Verify(t.Context())
		if err == nil && !r.OK() {
			err = fmt.Errorf("copy: %+v", r)
		}
		return err
	})
	selling.Wait()
	close(stop)
	reading.Wait()
	b.reopen()
	if b.LastSeq() != lanes*sales {
		t.Errorf("%d events, want %d", b.LastSeq(), lanes*sales)
	}
	if open, err := b.Open(); err != nil || len(open) != 0 {
		t.Errorf("%d open, %v; want none", len(open), err)
	}
	doomed, err := filepath.Glob(filepath.Join(b.options.Dir, "*.seg"))
	if err != nil || len(doomed) != b.Segments() {
		t.Errorf("%d files for %d segments, %v", len(doomed), b.Segments(), err)
	}
}

// TestUnreadablePage: a page the disk does not give back is an error, not the
// end of the process. A file cut off under its mapping faults in the same way.
func TestUnreadablePage(t *testing.T) {
	b := newBox(t)
	b.sellUntil("a", 2)
	g := b.closed[0]
	err := g.view(func(tx *bbolt.Tx) error {
		if err := os.Truncate(g.path, 2*pageSize); err != nil {
			return err
		}
		return g.entries(tx, func(uint64, header, []byte) error { return nil })
	})
	if !errors.Is(err, errPanicked) {
		t.Fatalf("read of a lost page: %v, want %v", err, errPanicked)
	}
	if _, err := b.Find("a-0"); err == nil {
		t.Error("a payment was found in a file that is cut off")
	}
	b.sell("next") // the box goes on selling
	if r, err := b.Verify(t.Context()); err != nil || r.OK() {
		t.Errorf("verify: %+v, %v; want a fault", r, err)
	}
}
