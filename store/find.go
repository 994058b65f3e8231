package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// Find returns one record, or a refusal: not-found, id-expired.
func (s *Store) Find(id payment.ID) (payment.Record, error) {
	s.mu.RLock()
	if rec, ok := s.open[id]; ok {
		defer s.mu.RUnlock()
		return *rec, nil
	}
	s.mu.RUnlock()
	return s.recordOf(hashOf(id), id)
}

// recordOf folds the steps of one payment. id is for messages, and may be "".
func (s *Store) recordOf(hash uint64, id payment.ID) (payment.Record, error) {
	seg, steps, err := s.stepsOf(hash)
	if err != nil {
		return payment.Record{}, err
	}
	if seg == nil {
		if s.hasExpired(hash) {
			return payment.Record{}, payment.Refuse(payment.ReasonExpired, "payment %s is older than what the journal keeps", id)
		}
		return payment.Record{}, payment.Refuse(payment.ReasonNotFound, "payment %s is not in the journal", id)
	}
	rec, err := s.fold(steps)
	if err == nil && id != "" && rec.ID != id {
		return payment.Record{}, payment.Refuse(payment.ReasonNotFound, "payment %s is not in the journal", id) // another id with the same hash
	}
	return rec, err
}

// stepsOf finds the newest segment that has the id, and the steps in it. Without
// one the segment is nil.
func (s *Store) stepsOf(hash uint64) (*segment, []raw, error) {
	s.mu.RLock()
	active, numbers, closed, ids := s.active, slices.Clone(s.live.steps[hash]), s.closed, s.ids
	s.mu.RUnlock()
	if len(numbers) > 0 {
		steps, err := active.read(numbers)
		return active, steps, err
	}
	for _, i := range slices.Backward(candidates(ids, hash)) {
		g := closed[i]
		steps, err := g.readSteps(hash)
		if errors.Is(err, fs.ErrNotExist) && s.dropped(g) {
			return s.stepsOf(hash) // it expired in this moment
		}
		if err != nil || len(steps) > 0 {
			return g, steps, err
		}
	}
	return nil, nil, nil
}

// dropped says whether a segment is no longer one of the journal's.
func (s *Store) dropped(g *segment) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !slices.Contains(s.closed, g)
}

// fold decodes steps and applies them in order. Steps of kinds that this version
// does not know are skipped.
func (s *Store) fold(steps []raw) (payment.Record, error) {
	var rec payment.Record
	for _, r := range steps {
		var st payment.Step
		if err := json.Unmarshal(r.body, &st); err != nil {
			return rec, fmt.Errorf("%w %d: %w", errEntry, r.number, err)
		}
		if !knownStep(st.Kind) {
			s.log.Warn("journal: step of a newer version skipped", "number", r.number, "kind", string(st.Kind))
			continue
		}
		if err := rec.Apply(st); err != nil {
			return rec, fmt.Errorf("%w %d: %w", errEntry, r.number, err)
		}
	}
	if rec.State == "" {
		return rec, fmt.Errorf("%w: a payment that never began", errEntry)
	}
	return rec, nil
}

func knownStep(k payment.StepKind) bool {
	switch k {
	case payment.StepBegun, payment.StepDoubted, payment.StepAuthorised, payment.StepGranted, payment.StepOwed, payment.StepFinished,
		payment.StepResolved, payment.StepTakenBack, payment.StepEvidence, payment.StepContradict, payment.StepNotified:
		return true
	}
	return false
}

// Open lists the records that are not over, oldest first.
func (s *Store) Open() ([]payment.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	type numbered struct {
		number uint64
		rec    payment.Record
	}
	var list []numbered
	for id, rec := range s.open {
		if rec.Open() {
			list = append(list, numbered{s.live.steps[hashOf(id)][0], *rec})
		}
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	records := make([]payment.Record, len(list))
	for i, n := range list {
		records[i] = n.rec
	}
	return records, nil
}

// Related lists the reversals, refunds and completions of an original.
func (s *Store) Related(original payment.ID) ([]payment.Record, error) {
	records, err := s.marked(originalMark(original))
	return aboutOriginal(records, original), err
}

func aboutOriginal(records []payment.Record, original payment.ID) []payment.Record {
	return slices.DeleteFunc(records, func(r payment.Record) bool { return r.Original.Payment != original })
}

// marked returns the records with this fingerprint, oldest first.
func (s *Store) marked(m uint32) ([]payment.Record, error) {
	if m == 0 {
		return nil, nil
	}
	s.mu.RLock()
	closed, marks, hashes := s.closed, s.marks, slices.Clone(s.live.marks[m])
	s.mu.RUnlock()
	for _, i := range candidates(marks, wide(m)) {
		g := closed[i]
		more, err := g.marked(m)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && s.dropped(g)) {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	var records []payment.Record
	seen := make(map[uint64]bool)
	for _, h := range hashes {
		if seen[h] {
			continue
		}
		seen[h] = true
		rec, err := s.recordOf(h, "")
		if payment.ReasonOf(err) == payment.ReasonExpired {
			continue
		}
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	slices.SortStableFunc(records, func(a, b payment.Record) int { return a.Started.Time.Compare(b.Started.Time) })
	return records, nil
}

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
