package store

import (
	"errors"
	"fmt"
	"sync"
)

// maxGroup bounds how many callers one transaction serves.
const maxGroup = 64

// queue is who waits for the disk. The first one leads: it commits for all that
// wait, then hands the lead to the first of those who came meanwhile. With one
// lane nobody ever waits for anything but the disk.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	leading bool
}

// request is one caller.
type request struct {
	stage func(*batch) error // checks, and adds to the batch; its error is the caller's alone
	alone func() error       // instead of stage: run while nobody writes
	final bool               // Close: nothing is written afterwards
	err   error
	lead  bool // woken to lead, not because it is done
	wake  chan struct{}
}

// submit joins the queue and returns when the request is durable or refused.
func (s *Store) submit(stage func(*batch) error) error { return s.enqueue(&request{stage: stage}) }

func (s *Store) enqueue(r *request) error {
	r.wake = make(chan struct{}, 1)
	q := &s.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, r)
	if q.leading {
		q.mu.Unlock()
		<-r.wake
		if !r.lead {
			return r.err
		}
		q.mu.Lock()
	}
	q.leading = true
	n := min(len(q.waiting), maxGroup)
	group := append([]*request(nil), q.waiting[:n]...)
	q.waiting = append([]*request(nil), q.waiting[n:]...)
	q.mu.Unlock()

	s.serve(group)

	q.mu.Lock()
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		next.lead = true
		next.wake <- struct{}{}
	} else {
		q.leading = false
	}
	q.mu.Unlock()
	for _, other := range group {
		if other != r {
			other.wake <- struct{}{}
		}
	}
	return r.err
}

// serve stages every request and commits. It is the only place that changes the
// journal, and only the leader is in it.
func (s *Store) serve(group []*request) {
	if err := s.writable(); err != nil {
		for _, r := range group {
			if r.err = err; r.final {
				r.err = s.shut(err)
			}
		}
		return
	}
	b, staged := s.newBatch(), []*request(nil)
	flush := func() {
		err := s.sound()
		if err == nil {
			err = s.commit(b)
		}
		for _, r := range staged {
			r.err = err
		}
		b, staged = s.newBatch(), nil
	}
	for _, r := range group {
		if r.alone != nil {
			flush()
			if r.err = s.sound(); r.err == nil {
				r.err = r.alone()
			}
			b = s.newBatch()
			continue
		}
		r.err = b.try(r.stage)
		if errors.Is(r.err, errNoRoom) {
			flush()
			if r.err = s.sound(); r.err == nil {
				r.err = s.makeRoom()
			}
			if r.err == nil {
				b = s.newBatch()
				b.fresh = true
				r.err = b.try(r.stage)
			}
		}
		if r.err == nil {
			staged = append(staged, r)
		}
		if r.final {
			flush()
			r.err = s.shut(r.err)
			s.refuseRest(group, r)
			return
		}
	}
	flush()
}

// refuseRest answers those who came after Close.
func (s *Store) refuseRest(group []*request, last *request) {
	for i := len(group) - 1; i >= 0 && group[i] != last; i-- {
		group[i].err = ErrClosed
	}
}

// shut gives the files back. err is how the last commit went.
func (s *Store) shut(err error) error {
	if errors.Is(err, ErrClosed) {
		return nil
	}
	if errors.Is(err, ErrReadOnly) {
		err = nil
	}
	s.mu.Lock()
	s.ending = true
	active, lock := s.active, s.lock
	s.lock = nil
	s.mu.Unlock()
	if closing := active.unpin(); err == nil {
		err = closing
	}
	if lock != nil {
		lock.Close()
	}
	return err
}

// sound is nil unless a write has failed.
func (s *Store) sound() error {
	if s.failure == nil {
		return nil
	}
	return fmt.Errorf("journal %s cannot be written: %w", s.options.Dir, s.failure.err)
}

// writable is nil if the journal can be written, after mending it if that is due.
func (s *Store) writable() error {
	s.mu.RLock()
	ending, failure := s.ending, s.failure
	s.mu.RUnlock()
	switch {
	case ending:
		return ErrClosed
	case s.options.ReadOnly:
		return ErrReadOnly
	case failure == nil:
		return nil
	case !failure.due():
		return s.sound()
	}
	return s.reopen()
}
