package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// Report is what [Store.Verify] found.
type Report struct {
	Segments int     `json:"segments"`
	Bytes    int64   `json:"bytes"`
	Entries  int     `json:"entries"`
	Payments int     `json:"payments"` // carried ones are counted where they were begun
	Events   int     `json:"events"`
	Open     int     `json:"open"`
	Faults   []Fault `json:"faults"`
}

// Fault is one thing that is not as it should be.
type Fault struct {
	Segment uint64 `json:"segment"`
	Text    string `json:"text"`
}

// maxFaults bounds a report: one bad block can spoil thousands of entries.
const maxFaults = 100

// OK says whether nothing was found.
func (r Report) OK() bool { return len(r.Faults) == 0 }

func (r *Report) fault(segment uint64, err error) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, Fault{segment, err.Error()})
	}
}

// Verify reads everything: pages, checksums, JSON, the order of steps and
// events, sidecars. It may run beside payments; they wait while the pages of the
// segment in use are checked. An error means that it did not come to its end;
// what it found is in the report.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	var r Report
	s.mu.RLock()
	r.Open = len(s.open)
	s.mu.RUnlock()
	row := s.parts(false)
	seq := uint64(0)
	for i, p := range row {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		v := verifier{Report: &r, ctx: ctx, part: p, seq: seq, records: make(map[uint64]*payment.Record), flags: make(map[uint64]byte)}
		err := s.verifySegment(&v, i == len(row)-1)
		if errors.Is(err, fs.ErrNotExist) && s.dropped(p.segment) && i < len(row)-1 {
			continue // it expired in this moment
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if err != nil {
			r.fault(p.number, err)
		}
		r.Segments++
		seq = v.seq
	}
	return r, nil
}

// verifier is the state of the check of one segment.
type verifier struct {
	*Report
	ctx     context.Context
	part    part
	seq     uint64 // newest event so far, 0 before the first
	records map[uint64]*payment.Record
	flags   map[uint64]byte // of the last step
	unknown map[uint64]bool // has steps of a newer version
}

func (s *Store) verifySegment(v *verifier, inUse bool) error {
	g := v.part.segment
	info, err := os.Stat(g.path)
	if err != nil {
		return err
	}
	v.Bytes += info.Size()
	if err := s.verifyPages(g, inUse); err != nil {
		return err
	}
	err = g.view(func(tx *bbolt.Tx) error {
		m, _, _, _, err := readMeta(tx)
		if err != nil {
			return err
		}
		if m.Number != g.number {
			v.fault(g.number, fmt.Errorf("%w: it says it is segment %d", errForeign, m.Number))
		}
		return g.entries(tx, v.entry)
	})
	if err != nil {
		return err
	}
	for hash, rec := range v.records {
		if open := v.flags[hash]&flagOpen != 0; open != rec.Open() && !v.unknown[hash] {
			v.fault(g.number, fmt.Errorf("%w: payment %s is marked open: %v, its steps say %v", errEntry, rec.ID, open, rec.Open()))
		}
	}
	if inUse {
		return nil
	}
	return g.sum.verify()
}

// verifyPages checks pages that nobody writes meanwhile: those of the segment in
// use are checked in the place of a commit.
func (s *Store) verifyPages(g *segment, inUse bool) error {
	check := func() error {
		_, torn, err := checkFile(g.path)
		if err != nil {
			return err
		}
		return g.view(func(tx *bbolt.Tx) error { return checkTree(tx, torn) })
	}
	if !inUse || s.options.ReadOnly {
		return check()
	}
	return s.enqueue(&request{alone: check})
}

// entry checks one entry. Faults are collected; only a cancelled context ends
// the walk.
func (v *verifier) entry(n uint64, h header, body []byte) error {
	if v.Entries++; v.Entries%256 == 0 && v.ctx.Err() != nil {
		return v.ctx.Err()
	}
	number := v.part.number
	bad := func(err error) error {
		v.fault(number, fmt.Errorf("%w %d: %w", errEntry, n, err))
		return nil
	}
	switch h.kind {
	case kindEvent:
		var e payment.Event
		if err := json.Unmarshal(body, &e); err != nil {
			return bad(err)
		}
		if e.Seq != h.about || (v.seq != 0 && e.Seq != v.seq+1) {
			return bad(fmt.Errorf("%w: event %d follows %d", errSequence, e.Seq, v.seq))
		}
		v.seq = e.Seq
		v.Events++
	case kindStep:
		var st payment.Step
		if err := json.Unmarshal(body, &st); err != nil {
			return bad(err)
		}
		return v.step(n, h, st, bad)
	}
	return nil
}

func (v *verifier) step(n uint64, h header, st payment.Step, bad func(error) error) error {
	if hashOf(st.ID) != h.about {
		return bad(errors.New("the hash is another id's"))
	}
	if st.Kind == payment.StepBegun && n >= v.part.first {
		v.Payments++
	}
	v.flags[h.about] = h.flags
	if !knownStep(st.Kind) {
		if v.unknown == nil {
			v.unknown = make(map[uint64]bool)
		}
		v.unknown[h.about] = true
		return nil
	}
	rec := v.records[h.about]
	if rec == nil {
		rec = new(payment.Record)
		v.records[h.about] = rec
	}
	if err := rec.Apply(st); err != nil {
		return bad(err)
	}
	return nil
}

// verify reads the whole sidecar. One that is gone is not a fault: it is made
// again at the next start.
func (s *summary) verify() error {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := s.again(); err != nil {
		return err
	}
	sum, err := s.read(84, 4)
	if err != nil {
		return err
	}
	two, err := s.read(s.markColumn(), int(s.eventColumn()-s.markColumn())+s.events*8)
	if err != nil {
		return err
	}
	if crc32.Checksum(two, castagnoli) != binary.BigEndian.Uint32(sum) {
		return fmt.Errorf("%w: checksum of its second part", errSidecar)
	}
	return nil
}
