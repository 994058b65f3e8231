package store

import (
	"errors"
	"io/fs"
	"iter"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// Since lists the records begun at t or later by their own clock, in the order
// in which they began. A record whose clock stood ahead of now is included.
func (s *Store) Since(t time.Time) iter.Seq2[payment.Record, error] {
	return func(yield func(payment.Record, error) bool) {
		limit := t.UnixMilli()
		for rec, err := range s.records(false, func(max int64) bool { return max < limit }) {
			if err == nil && rec.Started.Time.Before(t) {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// NeedsPerson lists those of Since that still ask for somebody to look
// ([payment.Record.NeedsPerson]). It passes over the others without decoding
// them: one of two words is in the steps of each that does.
func (s *Store) NeedsPerson(t time.Time) iter.Seq2[payment.Record, error] {
	unreversed, contradicted := [][]byte{[]byte(`"` + payment.Unreversed + `"`)}, [][]byte{[]byte(`"` + payment.StepContradict + `"`)}
	return func(yield func(payment.Record, error) bool) {
		limit := t.UnixMilli()
		for steps, err := range s.payments(false, func(max int64) bool { return max < limit }) {
			if err == nil && !mentions(steps, unreversed) && !mentions(steps, contradicted) {
				continue
			}
			var rec payment.Record
			if err == nil {
				rec, err = s.fold(steps)
			}
			if err == nil && (!rec.NeedsPerson() || rec.Started.Time.Before(t)) {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// records walks through all payments in the order of their begin, or the other
// way round. skip may leave out a segment by its newest begin.
func (s *Store) records(backwards bool, skip func(newest int64) bool) iter.Seq2[payment.Record, error] {
	return func(yield func(payment.Record, error) bool) {
		for steps, err := range s.payments(backwards, skip) {
			rec, ferr := payment.Record{}, err
			if err == nil {
				rec, ferr = s.fold(steps)
			}
			if !yield(rec, ferr) {
				return
			}
		}
	}
}

// payments is records before they are decoded.
func (s *Store) payments(backwards bool, skip func(newest int64) bool) iter.Seq2[[]raw, error] {
	return func(yield func([]raw, error) bool) {
		for _, p := range s.parts(backwards) {
			if skip != nil && skip(p.newest) {
				continue
			}
			if !s.walk(p, backwards, yield) {
				return
			}
		}
	}
}

// part is a segment as it was when a walk began.
type part struct {
	*segment
	first  uint64
	newest int64
	begun  []begun // of the segment in use only
	older  []*segment
}

func (s *Store) parts(backwards bool) []part {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var row []part
	for i, g := range s.closed {
		row = append(row, part{segment: g, first: g.sum.first, newest: g.sum.maxStarted, older: s.closed[:i:i]})
	}
	row = append(row, part{s.active, s.active.meta.First, s.live.maxStarted, slices.Clone(s.live.begun), slices.Clone(s.closed)})
	if backwards {
		slices.Reverse(row)
	}
	return row
}

// walk gives the payments that began in one segment. One that was carried over
// comes at the oldest segment that still has it.
func (s *Store) walk(p part, backwards bool, yield func([]raw, error) bool) bool {
	list, steps := p.begun, map[uint64][]uint64(nil)
	if list != nil {
		defer p.letGo()
	} else {
		_, err := p.acquire() // stays open while its payments are read one by one
		if err == nil {
			defer p.release()
			list, steps, err = p.content()
		}
		if errors.Is(err, fs.ErrNotExist) && s.dropped(p.segment) {
			return true // it expired in this moment
		}
		if err != nil && !yield(nil, err) {
			return false
		}
	}
	if backwards {
		slices.Reverse(list)
	}
	for _, b := range list {
		if b.number < p.first && slices.ContainsFunc(p.older, func(o *segment) bool { return o.has(b.hash) }) {
			continue
		}
		steps, err := s.newestSteps(p.segment, b.hash, steps[b.hash])
		if err == nil && len(steps) == 0 {
			continue
		}
		if !yield(steps, err) {
			return false
		}
	}
	return true
}

// newestSteps reads the steps of a payment that began in g: there, by their
// numbers, unless it was carried over.
func (s *Store) newestSteps(g *segment, hash uint64, numbers []uint64) ([]raw, error) {
	s.mu.RLock()
	elsewhere := g == s.active || s.moved[hash] > 0
	s.mu.RUnlock()
	if !elsewhere && len(numbers) > 0 {
		return g.read(numbers)
	}
	_, steps, err := s.stepsOf(hash)
	return steps, err
}

// content is what began in a segment, and the numbers of its steps. With
// an error it is what comes before the damage.
func (g *segment) content() (list []begun, steps map[uint64][]uint64, err error) {
	steps = make(map[uint64][]uint64)
	err = g.view(func(tx *bbolt.Tx) error {
		return g.entries(tx, func(n uint64, h header, _ []byte) error {
			if h.kind != kindStep {
				return nil
			}
			steps[h.about] = append(steps[h.about], n)
			if h.is(flagBegun) {
				list = append(list, begun{n, h.about})
			}
			return nil
		})
	})
	return list, steps, err
}
