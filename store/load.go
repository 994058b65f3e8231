package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// loaded is a journal as it was found on the disk.
type loaded struct {
	active  *segment
	live    *index
	open    map[payment.ID]*payment.Record
	closed  []*segment
	expired []*summary
	moved   map[uint64]int
	next    uint64
	seq     uint64
	used    int64
	room    int64
	board   string
	cursors map[string]uint64
	notes   map[string]string
}

// listing is which files there are.
type listing struct {
	segments, sidecars []uint64 // ascending
	leftovers          []string
}

func list(dir string) (l listing, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	for _, e := range names {
		name := e.Name()
		number, perr := strconv.ParseUint(strings.TrimSuffix(strings.TrimSuffix(name, ".seg"), ".idx"), 10, 63)
		switch ext := filepath.Ext(name); {
		case ext == ".tmp":
			l.leftovers = append(l.leftovers, filepath.Join(dir, name))
		case perr != nil || number == 0:
		case ext == ".seg":
			l.segments = append(l.segments, number)
		case ext == ".idx":
			l.sidecars = append(l.sidecars, number)
		}
	}
	slices.Sort(l.segments)
	slices.Sort(l.sidecars)
	return l, nil
}

// load reads the segment in use completely, and the sidecars.
func (s *Store) load() (*loaded, error) {
	files, err := list(s.options.Dir)
	if err != nil {
		return nil, err
	}
	if len(files.segments) == 0 {
		return nil, fmt.Errorf("journal %s: no segment is there", s.options.Dir)
	}
	newest := files.segments[len(files.segments)-1]
	if n := len(files.sidecars); n > 0 && files.sidecars[n-1] > newest {
		return nil, fmt.Errorf("journal %s: segment %d is missing, its sidecar is there", s.options.Dir, files.sidecars[n-1])
	}
	l := &loaded{active: &segment{number: newest, path: segmentPath(s.options.Dir, newest)}, moved: make(map[uint64]int)}
	sidecars := readSidecars(s.options.Dir, files.sidecars)
	defer sidecars.Wait()
	if err := s.loadActive(l); err != nil {
		return nil, fmt.Errorf("journal %s: segment %d: %w", s.options.Dir, newest, err)
	}
	sidecars.Wait()
	if err := s.loadHistory(l, files, sidecars); err != nil {
		return nil, fmt.Errorf("journal %s: %w", s.options.Dir, err)
	}
	return l, nil
}

// loadActive checks every page and every checksum of the segment in use, and
// decodes what is open in it.
func (s *Store) loadActive(l *loaded) error {
	g := l.active
	size, torn, err := checkFile(g.path)
	if err != nil {
		return err
	}
	l.room = max(s.options.SegmentSize, size)
	err = g.view(func(tx *bbolt.Tx) error {
		if err := checkTree(tx, torn); err != nil {
			return err
		}
		var err error
		if g.meta, l.board, l.cursors, l.notes, err = readMeta(tx); err != nil {
			return err
		}
		if g.meta.Number != g.number {
			return fmt.Errorf("%w: it says it is segment %d", errForeign, g.meta.Number)
		}
		if g.meta.Minor > minor {
			s.log.Warn("journal of a newer version: what it added is kept and skipped", "minor", g.meta.Minor)
		}
		if l.live, l.next, err = g.load(tx); err != nil {
			return err
		}
		l.used = tx.Size()
		return nil
	})
	if err != nil {
		return err
	}
	l.next = max(l.next, g.meta.First)
	l.seq = g.meta.Seq
	if n := len(l.live.events); n > 0 {
		l.seq = l.live.firstSeq + uint64(n) - 1
	}
	l.open = make(map[payment.ID]*payment.Record)
	for hash := range l.live.open {
		steps, err := g.read(l.live.steps[hash])
		if err != nil {
			return err
		}
		rec, err := s.fold(steps)
		if err != nil {
			return err
		}
		l.open[rec.ID] = &rec
	}
	for _, b := range l.live.begun {
		if b.number < g.meta.First {
			l.moved[b.hash]++
		}
	}
	return nil
}

// sidecars are all that there are, or why one of them is not to be used.
type sidecars struct {
	sync.WaitGroup
	sums []*summary
	errs []error
}

// readSidecars begins to read them, on every processor: it is about as much work
// as the check of the segment in use, which goes on meanwhile. Wait for it.
func readSidecars(dir string, numbers []uint64) *sidecars {
	r := &sidecars{sums: make([]*summary, len(numbers)), errs: make([]error, len(numbers))}
	var taken atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(numbers)) {
		r.Go(func() {
			room := new([]byte)
			for i := taken.Add(1) - 1; i < int64(len(numbers)); i = taken.Add(1) - 1 {
				r.sums[i], _, r.errs[i] = readSidecar(sidecarPath(dir, numbers[i]), numbers[i], room)
			}
		})
	}
	return r
}

// loadHistory takes up the sidecars, from the newest to the oldest, and makes
// those again that are missing or damaged.
func (s *Store) loadHistory(l *loaded, files listing, read *sidecars) error {
	limit, successor := l.active.meta.First, l.active
	numbers := append(slices.Clone(files.segments), files.sidecars...)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for _, n := range slices.Backward(numbers) {
		if n >= l.active.number {
			continue
		}
		g := &segment{number: n, path: segmentPath(s.options.Dir, n)}
		g.limit.Store(limit)
		_, there := slices.BinarySearch(files.segments, n)
		err := fs.ErrNotExist
		if i, found := slices.BinarySearch(files.sidecars, n); found {
			g.sum, err = read.sums[i], read.errs[i]
		}
		if err == nil && g.sum.next > limit {
			err = fmt.Errorf("%w: it goes on after its segment's end", errSidecar)
		}
		if err != nil && !there {
			s.log.Error("journal: ids of an expired segment are lost", "segment", n, "err", err)
			continue
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.log.Warn("journal: sidecar is made again", "segment", n, "err", err)
			}
			if err := s.rebuild(g, successor); err != nil {
				return fmt.Errorf("segment %d: %w", n, err)
			}
		}
		limit, successor = g.sum.first, g
		switch {
		case n < l.active.meta.Oldest:
			l.expired = append(l.expired, g.sum)
			if there && !s.options.ReadOnly {
				s.remove(g)
			}
		case !there:
			s.log.Error("journal: a segment is missing; its events are announced as a gap", "segment", n)
			l.expired = append(l.expired, g.sum)
		default:
			l.closed = append(l.closed, g)
			for _, h := range g.sum.carried {
				l.moved[h]++
			}
		}
	}
	slices.Reverse(l.closed)
	return nil
}

// rebuild reads a closed segment and writes its sidecar.
func (s *Store) rebuild(g, successor *segment) error {
	if _, _, err := checkFile(g.path); err != nil {
		return err
	}
	var x *index
	var m segmentMeta
	var next uint64
	err := g.view(func(tx *bbolt.Tx) (err error) {
		if m, _, _, _, err = readMeta(tx); err != nil {
			return err
		}
		x, next, err = g.load(tx)
		return err
	})
	if err != nil {
		return err
	}
	path := sidecarPath(s.options.Dir, g.number)
	sum, b := encodeSidecar(path, g.number, m.First, max(next, m.First), x, successor.created())
	g.sum = sum
	if s.options.ReadOnly {
		return nil
	}
	if err := s.saveSidecar(path, b); err != nil {
		s.log.Warn("journal: sidecar not written, the segment is read instead", "segment", g.number, "err", err)
		_ = os.Remove(path)
	}
	return nil
}

// created is when a segment was made, which is when its predecessor was closed.
// A segment that cannot tell lets its predecessor only age later.
func (g *segment) created() payment.Moment {
	created := payment.Moment{Clock: payment.ClockUnsynced}
	_ = g.view(func(tx *bbolt.Tx) error {
		m, _, _, _, err := readMeta(tx)
		if err == nil {
			created = m.Created
		}
		return err
	})
	return created
}

// remove deletes the file of an expired segment. Its sidecar stays.
func (s *Store) remove(g *segment) {
	if err := os.Remove(g.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("journal: expired segment not removed", "segment", g.number, "err", err)
	}
}
