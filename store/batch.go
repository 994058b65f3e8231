package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// commitOverhead is what one transaction may take of a segment beside its
// entries: new pages for the branch, the root, the free list, and slack.
const commitOverhead = 10 * pageSize

// errNoRoom asks for a new segment before the request is staged again.
var errNoRoom = errors.New("the segment is full")

// batch is one transaction in the making, seen by its requests as if it were
// committed already.
type batch struct {
	s       *Store
	next    uint64
	seq     uint64
	puts    []put
	bytes   int64
	records map[payment.ID]*payment.Record // as they will be
	carried map[uint64]bool                // ids that are copied into the segment in use
	notes   map[string]string              // as they will be; never changed, only replaced
	noted   map[string]string              // what changed of them, "" if it goes
	cursors bool                           // write the cursors and the board, even if nothing else
	fresh   bool                           // the segment in use has just been made

	// What the request being staged has added; undone if it is refused.
	undo      undo
	essential bool // it ends, or brings forward, a payment that is open already
}

// put is one entry to be written.
type put struct {
	number uint64
	header header
	value  []byte
}

type undo struct {
	puts      int
	next, seq uint64
	bytes     int64
	records   map[payment.ID]*payment.Record
	carried   map[uint64]bool

	notes, noted map[string]string
}

func (s *Store) newBatch() *batch {
	return &batch{s: s, notes: s.notes, next: s.next, seq: s.seq, records: make(map[payment.ID]*payment.Record), carried: make(map[uint64]bool)}
}

// try stages one request, all or nothing.
func (b *batch) try(stage func(*batch) error) error {
	b.undo = undo{len(b.puts), b.next, b.seq, b.bytes, maps.Clone(b.records), maps.Clone(b.carried), b.notes, b.noted}
	b.essential = false
	err := guard(func() error { return stage(b) })
	if err == nil {
		err = b.fits()
	}
	if err != nil {
		m := b.undo
		b.puts, b.next, b.seq, b.bytes, b.records, b.carried = b.puts[:m.puts], m.next, m.seq, m.bytes, m.records, m.carried
		b.notes, b.noted = m.notes, m.noted
	}
	return err
}

// fits judges whether the segment in use has room for what was added, and
// afterwards still for the steps of everything that is open.
func (b *batch) fits() error {
	s := b.s
	if len(b.puts) == b.undo.puts {
		return nil
	}
	need := s.used + b.bytes + b.bytes/4 + commitOverhead
	if added := b.bytes - b.undo.bytes; added > s.options.SegmentSize/4 {
		return fmt.Errorf("journal: %d bytes at once are more than a segment takes", added)
	}
	open := int64(len(s.open) + len(b.records))
	switch {
	case need+open*s.reserve() <= s.room:
		return nil
	case !b.fresh && (s.full == nil || s.full.due()):
		return errNoRoom
	case need <= s.room && (b.essential || s.full == nil):
		return nil
	case s.full != nil:
		return payment.Refuse(payment.ReasonJournal, "the journal is full: %v", s.full.err)
	}
	return fmt.Errorf("journal: %d bytes do not fit into a segment of %d", b.bytes, s.room)
}

// reserve is what is kept free for the steps that one open payment still needs.
func (s *Store) reserve() int64 { return min(64<<10, s.options.SegmentSize/64) }

// step appends one step and folds it into the record.
func (b *batch) step(rec *payment.Record, st payment.Step) error {
	hash := hashOf(st.ID)
	if st.Kind != payment.StepBegun {
		if rec.Open() {
			b.essential = true
		}
		if err := b.carry(hash); err != nil {
			return err
		}
	}
	if err := rec.Apply(st); err != nil {
		return err
	}
	h := header{kind: kindStep, about: hash, at: st.At.Time.UnixMilli()}
	if rec.Open() {
		h.flags |= flagOpen
	}
	if st.At.Clock == payment.ClockSynced {
		h.flags |= flagSynced
	}
	if st.Kind == payment.StepBegun {
		h.flags |= flagBegun
		h.mark = markOf(*st.Transaction)
		h.at = st.Transaction.Started.Time.UnixMilli()
	}
	body, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("payment %s: step %q: %w", st.ID, st.Kind, err)
	}
	b.records[st.ID] = rec
	return b.append(h, body)
}

// event numbers an event and appends it.
func (b *batch) event(e payment.Event) error {
	e.Seq, e.Epoch = b.seq+1, b.s.epoch
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Type, err)
	}
	h := header{kind: kindEvent, about: e.Seq, at: e.Time.UnixMilli()}
	if e.Clock == payment.ClockSynced {
		h.flags |= flagSynced
	}
	b.seq++
	return b.append(h, body)
}

func (b *batch) append(h header, body []byte) error {
	value, err := encode(b.next, h, body)
	if err != nil {
		return err
	}
	b.puts = append(b.puts, put{b.next, h, value})
	b.bytes += int64(len(value)) + 32 // key and element
	b.next++
	return nil
}

// carry makes the segment in use authoritative for an id that only older ones
// have: its steps are copied, under their numbers.
func (b *batch) carry(hash uint64) error {
	s := b.s
	if b.carried[hash] || len(s.live.steps[hash]) > 0 || slices.ContainsFunc(b.puts, func(p put) bool {
		return p.header.kind == kindStep && p.header.about == hash
	}) {
		return nil
	}
	seg, steps, err := s.stepsOf(hash)
	if err != nil || seg == nil {
		return err
	}
	for _, r := range steps {
		value, err := encode(r.number, r.header, r.body)
		if err != nil {
			return err
		}
		b.puts = append(b.puts, put{r.number, r.header, value})
		b.bytes += int64(len(value)) + 32
	}
	b.carried[hash] = true
	return nil
}

// commit makes the batch durable, then visible. With nothing to write it does
// nothing.
func (s *Store) commit(b *batch) error {
	moved := s.movedCursors()
	bind := s.bind
	if len(b.puts) == 0 && len(b.noted) == 0 && !(b.cursors && (len(moved) > 0 || bind)) {
		return nil
	}
	err := s.durably("commit", func() error {
		return guard(func() error { return s.write(b.puts, moved, b.noted, bind) })
	})
	if err != nil {
		return s.fail(fmt.Errorf("commit: %w", err))
	}
	s.publish(b, moved)
	return nil
}

func (s *Store) write(puts []put, moved map[string]uint64, noted map[string]string, bind bool) error {
	return s.active.db.Update(func(tx *bbolt.Tx) error {
		entries, meta := tx.Bucket(bucketEntries), tx.Bucket(bucketMeta)
		entries.FillPercent = 1 // numbers ascend: a page is never split to make room in the middle
		for _, p := range puts {
			if err := entries.Put(key(p.number), p.value); err != nil {
				return err
			}
		}
		for name, seq := range moved {
			if err := putCursor(meta, name, seq); err != nil {
				return err
			}
		}
		for name, text := range noted {
			if err := putNote(meta, name, text); err != nil {
				return err
			}
		}
		if bind {
			return meta.Put(keyBoard, []byte(s.options.Board))
		}
		return nil
	})
}

// publish shows to everybody what the disk has.
func (s *Store) publish(b *batch, moved map[string]uint64) {
	used := s.taken()
	s.settleCursors(moved)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range b.puts {
		if err := s.live.add(p.number, p.header); err != nil {
			s.log.Error("journal index", "err", err) // cannot be: the batch numbers events in sequence
		}
	}
	for hash := range b.carried {
		s.moved[hash]++
	}
	for id, rec := range b.records {
		if s.live.open[hashOf(id)] {
			s.open[id] = rec
		} else {
			delete(s.open, id)
		}
	}
	s.used, s.next, s.bind, s.notes = used, b.next, false, b.notes
	s.sure = extent{b.next, b.seq}
	if b.seq != s.seq {
		s.seq = b.seq
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// taken is how many bytes of the segment in use are taken, free pages among them
// included.
func (s *Store) taken() int64 {
	var size int64
	if err := s.active.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return s.room // read no more of it; the next request rolls over
	}
	return size
}
