package usbhid

import (
	"os"
	"sync"
	"time"
)

// ring is a bounded pipe of bytes whose two ends may wait, each with its own
// deadline. Everything is safe for concurrent use.
type ring struct {
	mu      sync.Mutex
	buf     []byte
	first   int           // index of the oldest byte
	n       int           // bytes held
	end     error         // no more bytes come in; those held may still be taken
	dead    error         // nothing moves any more
	changed chan struct{} // closed, and replaced, when a waiter should look again
	putBy   time.Time     // deadlines; zero is never
	getBy   time.Time
}

func newRing(size int) *ring {
	return &ring{buf: make([]byte, size), changed: make(chan struct{})}
}

// put waits until all of b is in, and returns how much is.
func (r *ring) put(b []byte) (done int, err error) {
	err = r.when(&r.putBy, func() (bool, error) {
		if r.end != nil {
			return true, r.end
		}
		done += r.add(b[done:])
		return done == len(b), nil
	})
	return done, err
}

// keep puts b in, for which there is [ring.room], even if the other direction
// has failed meanwhile and nothing more is to come.
func (r *ring) keep(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead == nil {
		r.add(b)
	}
}

// add is called with the lock held, and returns how much there was room for.
func (r *ring) add(b []byte) (n int) {
	for n < len(b) && r.n < len(r.buf) {
		at := (r.first + r.n) % len(r.buf)
		k := copy(r.buf[at:min(len(r.buf), at+len(r.buf)-r.n)], b[n:])
		n += k
		r.n += k
	}
	if n > 0 {
		r.wake()
	}
	return n
}

// get waits for at least one byte and takes what fits into b.
func (r *ring) get(b []byte) (n int, err error) {
	err = r.when(&r.getBy, func() (bool, error) {
		for len(b) > n && r.n > 0 {
			k := copy(b[n:], r.buf[r.first:min(len(r.buf), r.first+r.n)])
			r.first = (r.first + k) % len(r.buf)
			r.n -= k
			n += k
		}
		if n > 0 {
			r.wake()
		}
		if n > 0 || len(b) == 0 {
			return true, nil
		}
		return r.end != nil, r.end
	})
	return n, err
}

// room waits until size more bytes fit.
func (r *ring) room(size int) error {
	return r.when(&r.putBy, func() (bool, error) {
		if r.end != nil {
			return true, r.end
		}
		return len(r.buf)-r.n >= size, nil
	})
}

// when calls ready, under the lock, whenever something has changed, until it
// says that it is done. A deadline that has passed comes before anything else.
func (r *ring) when(by *time.Time, ready func() (bool, error)) error {
	for {
		r.mu.Lock()
		if r.dead != nil {
			defer r.mu.Unlock()
			return r.dead
		}
		var left time.Duration
		if !by.IsZero() {
			if left = time.Until(*by); left <= 0 {
				r.mu.Unlock()
				return os.ErrDeadlineExceeded
			}
		}
		done, err := ready()
		changed := r.changed
		r.mu.Unlock()
		if done {
			return err
		}
		if left == 0 {
			<-changed
			continue
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// wake is called with the lock held.
func (r *ring) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// finish says that no more bytes come in. The first reason stays.
func (r *ring) finish(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end == nil {
		r.end = err
		r.wake()
	}
}

// kill drops the bytes held and ends both sides, whatever ended them before.
func (r *ring) kill(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead, r.n = err, 0
	r.wake()
}

// expire sets one of the two deadlines.
func (r *ring) expire(by *time.Time, t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead != nil {
		return r.dead
	}
	*by = t
	r.wake()
	return nil
}
