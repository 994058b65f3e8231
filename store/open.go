package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/payment"
)

// BoardError says that the journal belongs to another board: its card was moved,
// or copied. [Adopt] binds it to this one.
type BoardError struct{ Dir, Journal, Board string }

func (e *BoardError) Error() string {
	return fmt.Sprintf("journal %s belongs to board %s, this is board %s: run `tillgate journal adopt` if it was moved on purpose", e.Dir, e.Journal, e.Board)
}

// Open opens the journal in a directory, or begins one. It checks the segment in
// use completely; the others are checked by [Store.Verify] and whenever they are
// read. The process that has opened it holds it until [Store.Close].
func Open(o Options) (*Store, error) {
	return open(o, false)
}

// Adopt binds the journal to the board of the options, whichever it was bound to.
func Adopt(o Options) error {
	s, err := open(o, true)
	if err != nil {
		return err
	}
	return s.Close()
}

func open(o Options, adopt bool) (*Store, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := makeDir(o.Dir); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	lock, err := lockDir(o.Dir, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options: o, log: o.Log, epoch: newEpoch(), lock: lock,
		backoff: backoff{time.Second, time.Minute},
		changed: make(chan struct{}), cursors: make(map[string]cursor),
	}
	if err := s.start(adopt); err != nil {
		if lock != nil {
			lock.Close()
		}
		return nil, err
	}
	return s, nil
}

// makeDir makes the directory and lets its own entry reach the disk.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

func (s *Store) start(adopt bool) error {
	files, err := list(s.options.Dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if !s.options.ReadOnly {
		for _, path := range files.leftovers {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("journal: leftover: %w", err)
			}
		}
		if len(files.segments) == 0 && len(files.sidecars) == 0 {
			if err := s.firstSegment(); err != nil {
				return fmt.Errorf("journal %s: %w", s.options.Dir, err)
			}
		}
	}
	l, err := s.load()
	if err != nil {
		return err
	}
	if b := s.options.Board; b != "" && l.board != "" && l.board != b && !adopt {
		return &BoardError{s.options.Dir, l.board, b}
	}
	s.bind = s.options.Board != "" && l.board != s.options.Board && !s.options.ReadOnly
	s.take(l)
	if now := s.options.Now(); now.Clock == payment.ClockSynced {
		s.trusted = now
	}
	if s.options.ReadOnly {
		return nil
	}
	// A sidecar of the segment in use is from a roll-over that did not come to
	// its end, and says less than the segment by now.
	if slices.Contains(files.sidecars, s.active.number) {
		if err := os.Remove(sidecarPath(s.options.Dir, s.active.number)); err != nil {
			return fmt.Errorf("journal: leftover: %w", err)
		}
	}
	// The process before may have ended between a rename and its flush.
	if err := syncDir(s.options.Dir); err != nil {
		return fmt.Errorf("journal %s: %w", s.options.Dir, err)
	}
	if err := s.active.pin(s.room); err != nil {
		return fmt.Errorf("journal %s: %w", s.options.Dir, err)
	}
	s.ensureAllocated()
	if adopt && s.bind {
		return s.submit(func(b *batch) error { b.cursors = true; return nil })
	}
	return nil
}

// ensureAllocated gives a segment that came out of a backup its blocks.
func (s *Store) ensureAllocated() {
	err := unix.Fallocate(int(s.active.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, s.room)
	if err != nil && err != unix.EOPNOTSUPP && err != unix.ENOSYS {
		s.log.Warn("journal: the segment in use has not all its blocks", "segment", s.active.number, "err", err)
	}
}

// take makes what was loaded the state of the store.
func (s *Store) take(l *loaded) {
	s.mu.Lock()
	s.active, s.live, s.open, s.expired, s.moved = l.active, l.live, l.open, l.expired, l.moved
	s.retain(l.closed)
	s.next, s.used, s.room, s.board, s.notes = l.next, l.used, l.room, l.board, l.notes
	if s.bind {
		s.board = s.options.Board
	}
	s.mu.Unlock()
	s.announce(l.seq)
	s.sure = extent{s.next, s.seq}
	s.takeCursors(l.cursors, l.seq)
}

// announce tells that events up to seq are durable.
func (s *Store) announce(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq != s.seq {
		s.seq = seq
		close(s.changed)
		s.changed = make(chan struct{})
	}
}
