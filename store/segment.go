package store

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// pageSize is written into every file, so that it does not depend on the
// kernel that made it: some boards run with pages of 16 KiB.
const pageSize = 4096

// segment is one file of the journal. The one in use is pinned open; the others
// are opened for as long as somebody reads, since mapping all of them costs as
// much address space as the whole history.
type segment struct {
	number uint64
	path   string
	meta   segmentMeta   // of the segment in use only
	limit  atomic.Uint64 // closed: number of the first entry that is the successor's, else 0

	// What a closed segment holds; see sidecar.go.
	sum *summary

	mu     sync.Mutex
	db     *bbolt.DB
	file   *os.File
	refs   int
	pinned bool
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%010d.seg", number))
}

// openDB opens a bbolt file, and hands out the os.File as well: it is needed
// when bbolt itself can no longer close it.
func openDB(path string, readOnly bool, size int) (db *bbolt.DB, file *os.File, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o640, &bbolt.Options{
			Timeout:         lockWait,
			ReadOnly:        readOnly,
			PageSize:        pageSize,
			InitialMmapSize: size, // never mapped anew, so readers never hold up a writer
			NoStatistics:    true,
			PreLoadFreelist: true, // a check loads it without a lock
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				if readOnly || filepath.Ext(path) != ".tmp" {
					flag &^= os.O_CREATE // a segment that is gone is not made again
				}
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err != nil {
		if file != nil {
			file.Close() // bbolt closes it on most of its ways out; twice is harmless
		}
		return nil, nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	return db, file, nil
}

// pin opens the segment for writing and keeps it open.
func (g *segment) pin(size int64) error {
	db, file, err := openDB(g.path, false, int(size))
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.db, g.file, g.pinned = db, file, true
	return nil
}

// unpin closes the segment, or lets its last reader close it.
func (g *segment) unpin() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pinned = false
	return g.closeIdle()
}

// abandon gives up a file whose transaction ended in a panic: bbolt may hold
// its own locks for good. The descriptor is closed, the mapping is lost.
func (g *segment) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.file != nil {
		_ = unix.Flock(int(g.file.Fd()), unix.LOCK_UN)
		g.file.Close()
	}
	g.db, g.file, g.pinned = nil, nil, false
}

func (g *segment) closeIdle() error {
	if g.pinned || g.refs > 0 || g.db == nil {
		return nil
	}
	db := g.db
	g.db, g.file = nil, nil
	return guard(db.Close)
}

// view runs fn in a read transaction.
func (g *segment) view(fn func(tx *bbolt.Tx) error) error {
	db, err := g.acquire()
	if err != nil {
		return err
	}
	defer g.release()
	return guard(func() error { return db.View(fn) })
}

// acquire opens the segment, or joins those who have it open.
func (g *segment) acquire() (*bbolt.DB, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.db == nil {
		db, file, err := openDB(g.path, true, 0)
		if err != nil {
			return nil, err
		}
		g.db, g.file = db, file
	}
	g.refs++
	return g.db, nil
}

func (g *segment) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refs--
	_ = g.closeIdle() // reading is done; there is nothing to lose
}

// letGo takes the pages that a walk has read out of the mapping of the segment in
// use, as the mapping of a closed one goes with its last reader. They stay in the
// kernel's cache; a commit touches about ten.
func (g *segment) letGo() {
	_ = g.view(func(tx *bbolt.Tx) error {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
		return nil
	})
}

// forgetPages asks the kernel to read the file from the disk the next time.
// After a failed flush the cache shows what was written, not what is there.
func forgetPages(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// entries calls fn for each entry in order of number, from the first to the
// last that belongs to the segment. body is valid during the call.
func (g *segment) entries(tx *bbolt.Tx, fn func(number uint64, h header, body []byte) error) error {
	b := tx.Bucket(bucketEntries)
	if b == nil {
		return fmt.Errorf("%w: it lacks a bucket", errForeign)
	}
	limit, c := g.limit.Load(), b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		number, err := numberOf(k)
		if err != nil {
			return err
		}
		if limit != 0 && number >= limit {
			return nil
		}
		h, body, err := decode(number, v)
		if err != nil {
			return err
		}
		if err := fn(number, h, body); err != nil {
			return err
		}
	}
	return nil
}

// marked are the hashes of the ids with this fingerprint in a closed segment,
// by its sidecar, or where that is gone by reading the segment.
func (g *segment) marked(m uint32) ([]uint64, error) {
	if hashes, err := g.sum.marked(m); err == nil {
		return hashes, nil
	}
	var hashes []uint64
	err := g.view(func(tx *bbolt.Tx) error {
		return g.entries(tx, func(_ uint64, h header, _ []byte) error {
			if h.kind == kindStep && h.is(flagBegun) && h.mark == m {
				hashes = append(hashes, h.about)
			}
			return nil
		})
	})
	return hashes, err
}

// raw is an entry as it lies in a segment, copied out of the mapping.
type raw struct {
	number uint64
	header header
	body   []byte
}

// read copies the entries with these numbers.
func (g *segment) read(numbers []uint64) (out []raw, err error) {
	err = g.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketEntries)
		if b == nil {
			return fmt.Errorf("%w: it lacks a bucket", errForeign)
		}
		for _, n := range numbers {
			v := b.Get(key(n))
			if v == nil {
				return fmt.Errorf("%w %d: not there", errEntry, n)
			}
			h, body, err := decode(n, v)
			if err != nil {
				return err
			}
			out = append(out, raw{n, h, append([]byte(nil), body...)})
		}
		return nil
	})
	return out, err
}

// readSteps copies the steps of one payment out of a closed segment, none if it
// is not there. The positions in the sidecar are a hint: when they do not lead to
// the payment, the whole segment is read.
func (g *segment) readSteps(hash uint64) ([]raw, error) {
	if numbers, err := g.sum.positions(hash); err == nil {
		if len(numbers) == 0 {
			return nil, nil
		}
		if steps, err := g.read(numbers); err == nil && allAbout(steps, hash) {
			return steps, nil
		}
	}
	var steps []raw
	err := g.view(func(tx *bbolt.Tx) error {
		return g.entries(tx, func(n uint64, h header, body []byte) error {
			if h.kind == kindStep && h.about == hash {
				steps = append(steps, raw{n, h, append([]byte(nil), body...)})
			}
			return nil
		})
	})
	return steps, err
}

// has says whether a closed segment has the id, by its sidecar, or where that is
// gone by reading the segment.
func (g *segment) has(hash uint64) bool {
	found, err := g.sum.has(hash)
	if err != nil {
		steps, _ := g.readSteps(hash)
		return len(steps) > 0
	}
	return found
}

func allAbout(steps []raw, hash uint64) bool {
	for _, r := range steps {
		if r.header.kind != kindStep || r.header.about != hash {
			return false
		}
	}
	return len(steps) > 0
}
