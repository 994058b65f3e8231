package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// index is what the segment in use holds, in memory.
type index struct {
	steps      map[uint64][]uint64 // hash of an id: numbers of its steps, ascending
	marks      map[uint32][]uint64 // fingerprint: hashes of ids
	begun      []begun             // by number
	events     []uint64            // numbers of the events firstSeq, firstSeq+1, ...
	firstSeq   uint64              // sequence number of events[0]
	maxStarted int64
	open       map[uint64]bool // hashes whose last step left them open
}

type begun struct{ number, hash uint64 }

func newIndex() *index {
	return &index{steps: make(map[uint64][]uint64), marks: make(map[uint32][]uint64), open: make(map[uint64]bool)}
}

var errSequence = errors.New("events are out of sequence")

// add takes up one entry. Entries come in order of number, but for those that
// are carried over behind newer ones.
func (x *index) add(number uint64, h header) error {
	switch h.kind {
	case kindStep:
		x.steps[h.about] = insert(x.steps[h.about], number)
		if h.is(flagBegun) {
			x.begun = insertBegun(x.begun, begun{number, h.about})
			x.maxStarted = max(x.maxStarted, h.at)
			if h.mark != 0 {
				x.marks[h.mark] = append(x.marks[h.mark], h.about)
			}
		}
		if last := x.steps[h.about]; last[len(last)-1] == number {
			if h.is(flagOpen) {
				x.open[h.about] = true
			} else {
				delete(x.open, h.about)
			}
		}
	case kindEvent:
		if len(x.events) == 0 {
			x.firstSeq = h.about
		}
		if h.about != x.firstSeq+uint64(len(x.events)) {
			return fmt.Errorf("%w: event %d follows %d", errSequence, h.about, x.firstSeq+uint64(len(x.events))-1)
		}
		x.events = append(x.events, number)
	}
	return nil
}

// load reads the whole segment once: every checksum, no JSON.
func (g *segment) load(tx *bbolt.Tx) (*index, uint64, error) {
	x, next := newIndex(), uint64(0)
	err := g.entries(tx, func(number uint64, h header, _ []byte) error {
		next = number + 1
		return x.add(number, h)
	})
	return x, next, err
}

// insert puts n into its place, which is nearly always the end.
func insert(sorted []uint64, n uint64) []uint64 {
	if len(sorted) == 0 || sorted[len(sorted)-1] < n {
		return append(sorted, n)
	}
	i, found := slices.BinarySearch(sorted, n)
	if found {
		return sorted
	}
	return slices.Insert(sorted, i, n)
}

func insertBegun(sorted []begun, b begun) []begun {
	if len(sorted) == 0 || sorted[len(sorted)-1].number < b.number {
		return append(sorted, b)
	}
	i, _ := slices.BinarySearchFunc(sorted, b, func(a, b begun) int { return cmp.Compare(a.number, b.number) })
	return slices.Insert(sorted, i, b)
}
