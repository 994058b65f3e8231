package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// maxEvents bounds one answer of Pending and Range.
const maxEvents = 1000

// Pending lists up to most events after the destination's cursor, oldest first.
// Events that a cap or retention has removed are replaced by one gateway.gap
// whose Seq is the last that is missing; to acknowledge that is to pass it.
func (s *Store) Pending(destination string, most int) ([]payment.Event, error) {
	s.cmu.Lock()
	c, ok := s.cursors[destination]
	s.cmu.Unlock()
	if !ok {
		return nil, fmt.Errorf("journal: no destination %q", destination)
	}
	return s.Range(c.seq+1, s.LastSeq(), most)
}

// Range lists up to most events from..to, both included, as Pending does.
func (s *Store) Range(from, to uint64, most int) ([]payment.Event, error) {
	from, to = max(from, 1), min(to, s.LastSeq())
	most = min(most, maxEvents)
	var out []payment.Event
	for from <= to && len(out) < most {
		events, err := s.eventsFrom(from, min(most-len(out), int(min(to-from, maxEvents))+1))
		if err != nil {
			return out, err
		}
		if len(events) == 0 {
			gap := s.gap(from, to)
			out = append(out, gap)
			from = gap.Seq + 1
			continue
		}
		out = append(out, events...)
		from += uint64(len(events))
	}
	return out, nil
}

// eventsFrom reads events from seq on out of the newest segment that has it, or
// none if no segment has.
func (s *Store) eventsFrom(seq uint64, most int) ([]payment.Event, error) {
	for {
		s.mu.RLock()
		g, numbers := s.active, []uint64(nil)
		if x := s.live; len(x.events) > 0 && seq >= x.firstSeq && seq < x.firstSeq+uint64(len(x.events)) {
			rest := x.events[seq-x.firstSeq:]
			numbers = slices.Clone(rest[:min(most, len(rest))])
		} else {
			g = nil
			for _, c := range slices.Backward(s.closed) {
				if c.sum.events > 0 && seq >= c.sum.firstSeq && seq < c.sum.nextSeq() {
					g = c
					break
				}
			}
		}
		s.mu.RUnlock()
		if g == nil {
			return nil, nil
		}
		var events []payment.Event
		var err error
		if numbers != nil {
			events, err = g.readEvents(numbers, seq)
		} else {
			events, err = g.closedEvents(seq, most)
		}
		if errors.Is(err, fs.ErrNotExist) && s.dropped(g) {
			continue
		}
		return events, err
	}
}

func (g *segment) closedEvents(seq uint64, most int) ([]payment.Event, error) {
	if numbers, err := g.sum.eventNumbers(seq, most); err == nil {
		if events, err := g.readEvents(numbers, seq); err == nil {
			return events, nil
		}
	}
	numbers, err := g.scanEvents(seq, most)
	if err != nil {
		return nil, err
	}
	return g.readEvents(numbers, seq)
}

// readEvents reads events that have to be numbered from seq on.
func (g *segment) readEvents(numbers []uint64, seq uint64) ([]payment.Event, error) {
	raws, err := g.read(numbers)
	if err != nil {
		return nil, err
	}
	events := make([]payment.Event, len(raws))
	for i, r := range raws {
		if r.header.kind != kindEvent || r.header.about != seq+uint64(i) {
			return nil, fmt.Errorf("%w %d: not event %d", errEntry, r.number, seq+uint64(i))
		}
		if err := json.Unmarshal(r.body, &events[i]); err != nil {
			return nil, fmt.Errorf("%w %d: %w", errEntry, r.number, err)
		}
	}
	return events, nil
}

// scanEvents finds events without the sidecar's help.
func (g *segment) scanEvents(seq uint64, most int) (numbers []uint64, err error) {
	err = g.view(func(tx *bbolt.Tx) error {
		return g.entries(tx, func(n uint64, h header, _ []byte) error {
			if h.kind == kindEvent && h.about >= seq && len(numbers) < most {
				numbers = append(numbers, n)
			}
			return nil
		})
	})
	return numbers, err
}

// gap announces the events from..to as far as they are missing.
func (s *Store) gap(from, to uint64) payment.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	last := to
	for _, g := range s.closed {
		if g.sum.events > 0 && g.sum.firstSeq > from {
			last = min(last, g.sum.firstSeq-1)
		}
	}
	if x := s.live; len(x.events) > 0 && x.firstSeq > from {
		last = min(last, x.firstSeq-1)
	}
	m := s.active.meta
	e := payment.NewEvent(payment.EventGap, "", m.GapAt, false, payment.Gap{From: from, To: last})
	e.Seq, e.Epoch = last, m.GapEpoch
	if e.Epoch == "" { // no removal: the file itself is missing
		e.Epoch, e.Time, e.Clock = s.epoch, m.Created.Time, m.Created.Clock
	}
	return e
}

// Acknowledge moves a destination's cursor to seq. It is remembered at once and
// becomes durable with the next commit: after a crash events may come again,
// with the same id and bytes. A cursor never moves back, nor beyond the newest
// event.
func (s *Store) Acknowledge(destination string, seq uint64) {
	newest := s.LastSeq()
	s.cmu.Lock()
	defer s.cmu.Unlock()
	c, ok := s.cursors[destination]
	if !ok || seq <= c.seq || seq > newest {
		return
	}
	c.seq = seq
	s.cursors[destination] = c
}

// LastSeq is the newest event's number, 0 if there is none.
func (s *Store) LastSeq() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.seq
}

// Changed is closed when a newer event is durable. Take the channel first, then
// ask.
func (s *Store) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// unwritten is the durable part of a cursor that no segment has yet.
const unwritten = ^uint64(0)

// takeCursors takes up what the disk knows of the destinations. What was
// acknowledged before in this process is not forgotten.
func (s *Store) takeCursors(found map[string]uint64, newest uint64) {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	for _, name := range s.options.Destinations {
		seq, ok := found[name]
		c, known := s.cursors[name]
		switch {
		case ok && seq > newest:
			s.log.Error("journal: a cursor is beyond the newest event", "destination", name, "cursor", seq, "newest", newest)
			c.seq, c.durable = newest, unwritten
		case ok:
			c.seq, c.durable = max(c.seq, seq), seq
		case known:
			c.durable = unwritten
		default:
			c = cursor{newest, unwritten}
			s.log.Info("journal: new destination begins at the newest event", "destination", name, "seq", newest)
		}
		s.cursors[name] = c
	}
}

// movedCursors are the cursors that the disk does not know yet.
func (s *Store) movedCursors() map[string]uint64 {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	moved := make(map[string]uint64)
	for name, c := range s.cursors {
		if c.seq != c.durable {
			moved[name] = c.seq
		}
	}
	return moved
}

// allCursors is where every destination is.
func (s *Store) allCursors() map[string]uint64 {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	all := make(map[string]uint64)
	for name, c := range s.cursors {
		all[name] = c.seq
	}
	return all
}

// settleCursors remembers what the disk knows now.
func (s *Store) settleCursors(written map[string]uint64) {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	for name, seq := range written {
		c := s.cursors[name]
		c.durable = seq
		s.cursors[name] = c
	}
}
