package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"tillgate/internal/payment"
)

// makeRoom rolls over. A disk without room for another segment is no failure: it
// is remembered, and the batch decides what still gets in.
func (s *Store) makeRoom() error {
	err := s.roll(s.next, s.seq)
	if noSpace(err) && s.expireNow() {
		err = s.roll(s.next, s.seq)
	}
	switch {
	case err == nil:
		s.setFull(nil)
		return nil
	case s.failure != nil:
		return s.sound()
	case noSpace(err):
		full := s.backoff.after(s.full, err)
		s.setFull(full)
		s.log.Error("journal: no room for another segment; no new payments", "err", err, "again_in", full.wait)
		return nil
	}
	return s.fail(err)
}

// expireNow removes what has aged and was delivered, without waiting for the
// roll-over that the disk has no room for.
func (s *Store) expireNow() bool {
	oldest, gap := s.keepFrom(s.options.Now(), s.allCursors(), s.active.number+1)
	if gap || oldest <= s.oldest().number {
		return false
	}
	err := s.durably("expire", func() error {
		return guard(func() error {
			return s.active.db.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket(bucketMeta).Put(keyOldest, binary.BigEndian.AppendUint64(nil, oldest))
			})
		})
	})
	if err != nil {
		_ = s.fail(fmt.Errorf("expiring: %w", err))
		return false
	}
	s.mu.Lock()
	gone := s.expire(oldest)
	s.mu.Unlock()
	for _, g := range gone {
		s.remove(g)
	}
	return len(gone) > 0
}

func (s *Store) setFull(f *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = f
}

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// roll begins a new segment. limit and seq say up to where the segment in use is
// known to be durable: normally all of it. What a failed commit may have left
// behind that is carried over as well, and from then on belongs to the new one.
//
// The order of the writes is what makes a cut at any point harmless: the new
// segment complete under its temporary name, the sidecar, the rename, the
// directory.
func (s *Store) roll(limit, seq uint64) error {
	old, now := s.active, s.options.Now()
	now.Time = now.Time.UTC()
	if now.Clock == payment.ClockSynced && s.trusted.Clock != payment.ClockSynced {
		s.trusted = now
	}
	cursors := s.allCursors()
	d := seed{
		meta: segmentMeta{
			Format: format, Minor: minor, Number: old.number + 1, First: limit, Seq: seq, Created: now,
			GapEpoch: old.meta.GapEpoch, GapAt: old.meta.GapAt,
		},
		board: s.board, cursors: cursors, notes: s.notes, size: s.options.SegmentSize, from: old, numbers: s.toCarry(limit),
	}
	var gap bool
	d.meta.Oldest, gap = s.keepFrom(now, cursors, d.meta.Number)
	if gap {
		d.meta.GapEpoch, d.meta.GapAt = s.epoch, now
	}
	size, err := s.carriedSize(d.numbers)
	if err != nil {
		return err
	}
	for d.size < 2*size+minSegmentSize && d.size < maxSegmentSize {
		d.size *= 2
	}
	if err := s.create(d); err != nil {
		return err
	}
	sum, sidecar := encodeSidecar(sidecarPath(s.options.Dir, old.number), old.number, old.meta.First, limit, s.live.before(limit), now)
	if err := s.saveSidecar(sum.path, sidecar); err != nil {
		_ = os.Remove(segmentPath(s.options.Dir, d.meta.Number) + ".tmp")
		return err
	}
	if err := s.install(d.meta.Number); err != nil {
		return err
	}
	return s.continueWith(d, sum)
}

// continueWith makes the new segment the one in use.
func (s *Store) continueWith(d seed, sum *summary) error {
	old := s.active
	l := &loaded{active: &segment{number: d.meta.Number, path: segmentPath(s.options.Dir, d.meta.Number)}, moved: make(map[uint64]int)}
	if err := s.loadActive(l); err != nil {
		return fmt.Errorf("segment %d read back: %w", d.meta.Number, err)
	}
	if err := l.active.pin(l.room); err != nil {
		return err
	}
	s.settleCursors(d.cursors)
	s.mu.Lock()
	for h, n := range l.moved {
		s.moved[h] += n
	}
	s.active, s.live, s.open, s.next, s.used, s.room, s.bind = l.active, l.live, l.open, l.next, l.used, l.room, false
	old.limit.Store(d.meta.First)
	old.sum = sum
	s.retain(append(slices.Clone(s.closed), old))
	gone := s.expire(d.meta.Oldest)
	s.mu.Unlock()
	if err := old.unpin(); err != nil {
		s.log.Warn("journal: closing a full segment", "segment", old.number, "err", err)
	}
	for _, g := range gone {
		s.remove(g)
	}
	s.log.Info("journal: next segment", "segment", d.meta.Number, "carried", len(d.numbers), "expired", len(gone))
	return nil
}

// expire drops the segments before oldest and returns the files to remove. Call
// with mu.
func (s *Store) expire(oldest uint64) (gone []*segment) {
	n := 0
	for n < len(s.closed) && s.closed[n].number < oldest {
		n++
	}
	gone = s.closed[:n:n]
	s.retain(slices.Clone(s.closed[n:]))
	for _, g := range gone {
		s.expired = append(slices.Clone(s.expired), g.sum)
		for _, h := range g.sum.carried {
			if s.moved[h]--; s.moved[h] <= 0 {
				delete(s.moved, h)
			}
		}
	}
	if s.holding > 0 {
		s.doomed = append(s.doomed, gone...)
		return nil
	}
	return gone
}

// toCarry are the numbers of the entries that the next segment needs: all steps
// of what is open, and everything from limit on with the steps before it.
func (s *Store) toCarry(limit uint64) []uint64 {
	hashes := maps.Clone(s.live.open)
	var numbers []uint64
	for h, steps := range s.live.steps {
		if steps[len(steps)-1] >= limit {
			hashes[h] = true
		}
	}
	for h := range hashes {
		numbers = append(numbers, s.live.steps[h]...)
	}
	for _, n := range s.live.events {
		if n >= limit {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (s *Store) carriedSize(numbers []uint64) (int64, error) {
	if len(numbers) == 0 {
		return 0, nil
	}
	entries, err := s.active.read(numbers)
	if err != nil {
		return 0, err
	}
	var size int64
	for _, e := range entries {
		size += headerSize + 32 + int64(len(e.body))
	}
	return size, nil
}

// before is the index without the entries from limit on.
func (x *index) before(limit uint64) *index {
	y := newIndex()
	y.maxStarted, y.firstSeq = x.maxStarted, x.firstSeq
	for h, steps := range x.steps {
		i, _ := slices.BinarySearch(steps, limit)
		if i > 0 {
			y.steps[h] = steps[:i]
		}
	}
	for m, hashes := range x.marks {
		for _, h := range hashes {
			if y.steps[h] != nil {
				y.marks[m] = append(y.marks[m], h)
			}
		}
	}
	for _, b := range x.begun {
		if b.number < limit {
			y.begun = append(y.begun, b)
		}
	}
	i, _ := slices.BinarySearch(x.events, limit)
	y.events = x.events[:i]
	return y
}

// keepFrom decides which segments expire with the next roll-over: the oldest
// ones that have aged and that every destination has; and at the bound the
// oldest whatever holds it. gap says that a destination loses events.
func (s *Store) keepFrom(now payment.Moment, cursors map[string]uint64, next uint64) (oldest uint64, gap bool) {
	row := append(slices.Clone(s.closed), s.active)
	oldest = row[0].number
	for i, g := range s.closed {
		delivered := true
		for name, seq := range cursors {
			if g.sum.events > 0 && seq < g.sum.nextSeq()-1 {
				delivered = false
				s.log.Debug("journal: events wait", "segment", g.number, "destination", name)
			}
		}
		over := len(s.closed)-i+2 > s.options.MaxSegments
		if !over && !(delivered && s.aged(i, now)) {
			break
		}
		if !delivered {
			gap = true
			s.log.Error("journal: undelivered events are dropped at the bound", "segment", g.number, "to", g.sum.nextSeq()-1)
		}
		oldest = row[i+1].number
	}
	return oldest, gap
}

// aged says whether the closed segment i is older than the retention by clocks
// that were synchronised both then and now. A segment closed under another clock
// is as old as the first trusted time after it.
func (s *Store) aged(i int, now payment.Moment) bool {
	if now.Clock != payment.ClockSynced {
		return false
	}
	var since time.Time
	for _, g := range s.closed[i:] {
		if g.sum.closed.Clock == payment.ClockSynced {
			since = g.sum.closed.Time
			break
		}
	}
	if since.IsZero() {
		since = s.trusted.Time
	}
	return now.Time.Sub(since) >= s.options.Retention
}
