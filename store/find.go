package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
