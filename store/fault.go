package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// fail records that nobody knows what is on the disk. The pages are not flushed
// again: after a failed flush the kernel takes them for clean, so a second flush
// would succeed without writing them.
func (s *Store) fail(err error) error {
	f := s.backoff.after(s.failure, err)
	s.mu.Lock()
	s.failure = f
	s.mu.Unlock()
	if errors.Is(err, errPanicked) {
		s.active.abandon()
	} else if cerr := s.active.unpin(); cerr != nil {
		s.log.Warn("journal: closing after a fault", "err", cerr)
	}
	s.log.Error("journal cannot be written", "err", err, "again_in", f.wait)
	return fmt.Errorf("journal %s cannot be written: %w", s.options.Dir, err)
}

// Healthy is nil, or why the journal cannot be written or takes no new payment.
// It tries to mend it when that is due; the time between two tries grows from a
// second to a minute.
func (s *Store) Healthy() error {
	s.mu.RLock()
	failure, full, ending := s.failure, s.full, s.ending
	s.mu.RUnlock()
	switch {
	case ending:
		return ErrClosed
	case s.options.ReadOnly:
		return ErrReadOnly
	case failure != nil && !failure.due():
		return fmt.Errorf("journal %s cannot be written: %w", s.options.Dir, failure.err)
	case failure != nil:
		return s.submit(func(*batch) error { return nil })
	case full != nil && full.due():
		if err := s.enqueue(&request{alone: s.makeRoom}); err != nil {
			return err
		}
		s.mu.RLock()
		full = s.full
		s.mu.RUnlock()
	}
	if full != nil {
		return fmt.Errorf("journal %s takes no new payments: %w", s.options.Dir, full.err)
	}
	return nil
}

// reopen reads back what the disk has and continues in a new segment, whose
// pages nobody has tried to flush before.
func (s *Store) reopen() error {
	if err := s.mend(); err != nil {
		return s.fail(fmt.Errorf("reopening: %w", err))
	}
	s.mu.Lock()
	s.failure = nil
	s.mu.Unlock()
	s.log.Warn("journal can be written again", "segment", s.active.number)
	return nil
}

func (s *Store) mend() error {
	files, err := list(s.options.Dir)
	if err != nil {
		return err
	}
	for _, path := range files.leftovers {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, n := range files.segments {
		if n >= s.active.number {
			forgetPages(segmentPath(s.options.Dir, n))
		}
	}
	newest := slices.Max(append(files.segments, 0))
	if slices.Contains(files.sidecars, newest) { // from a roll-over without an end
		if err := os.Remove(sidecarPath(s.options.Dir, newest)); err != nil {
			return err
		}
	}
	l, err := s.load()
	if err != nil {
		return err
	}
	sure := s.sure
	if l.next < sure.next || l.seq < sure.seq {
		return fmt.Errorf("%w: the disk has %d entries and %d events, %d and %d were acknowledged", errDamaged, l.next-1, l.seq, sure.next-1, sure.seq)
	}
	found := l.seq
	l.seq = sure.seq // what came after is not announced before it is durable
	s.take(l)
	s.sure = sure
	if err := s.active.pin(s.room); err != nil {
		return err
	}
	// Of what came after the last acknowledged entry nobody knows whether it
	// would survive a power cut: it is written again.
	if err := s.roll(max(sure.next, s.active.meta.First), max(sure.seq, s.active.meta.Seq)); err != nil {
		return err
	}
	s.announce(found)
	s.sure = extent{s.next, s.seq}
	return nil
}
