package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
)

// Defaults of [Options].
const (
	DefaultSegmentSize = 16 << 20
	DefaultRetention   = 400 * 24 * time.Hour
	DefaultMaxSegments = 256

	minSegmentSize = 128 << 10
	maxSegmentSize = 1 << 30 // a larger file cannot be mapped on 32 bits
)

// Options say where the journal is and how long it remembers.
type Options struct {
	Dir string // required; made if it is not there

	// Board is the serial number of the board. A journal that is bound to
	// another one is refused until it is adopted. "" does not bind and is not
	// checked.
	Board string

	// Destinations are the names of those who have to get every event. A new
	// one begins at the newest event; one that is left out is forgotten at the
	// next roll-over.
	Destinations []string

	// SegmentSize is the size of a segment in bytes, 0 means
	// [DefaultSegmentSize]. At least 128 KiB, at most 1 GiB.
	SegmentSize int64

	// Retention is how long a closed segment is kept, 0 means
	// [DefaultRetention]. Age is counted by synchronised clocks only, and a
	// segment with events that a destination has not acknowledged stays.
	Retention time.Duration

	// MaxSegments bounds the journal, 0 means [DefaultMaxSegments]; at least 2.
	// At the bound the oldest segment goes, aged, acknowledged or not: that is
	// what an uplink that is away, and a clock that never comes, cost at most.
	MaxSegments int

	// ReadOnly opens the journal of a stopped gateway: whatever would write is
	// refused, and no file is touched.
	ReadOnly bool

	// Now is the wall clock with its quality; nil is the system's, taken for
	// unsynchronised.
	Now func() payment.Moment

	Log *slog.Logger // nil discards

	// Hook is called before and after every durable write: "commit.before",
	// "commit.after", and likewise create, sidecar, rename and directory (a
	// roll-over, in this order) and expire. An error takes the place of the
	// write's own. It runs while nobody else writes, and must not call the
	// Store. For tests; nil otherwise.
	Hook func(point string) error
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("journal: no directory is configured")
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.SegmentSize < minSegmentSize || o.SegmentSize > maxSegmentSize {
		return fmt.Errorf("journal: segments of %d bytes, want %d to %d", o.SegmentSize, minSegmentSize, maxSegmentSize)
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.MaxSegments == 0 {
		o.MaxSegments = DefaultMaxSegments
	}
	if o.MaxSegments < 2 {
		return fmt.Errorf("journal: at most %d segments, want 2 or more", o.MaxSegments)
	}
	if len(o.Destinations) > maxDestinations {
		return fmt.Errorf("journal: %d destinations, at most %d", len(o.Destinations), maxDestinations)
	}
	for _, d := range o.Destinations {
		if d == "" || len(d) > maxDestination {
			return fmt.Errorf("journal: name of a destination has %d characters, want 1 to %d", len(d), maxDestination)
		}
	}
	if len(o.Board) > maxDestination {
		return fmt.Errorf("journal: serial number of the board has %d characters, at most %d", len(o.Board), maxDestination)
	}
	if o.Now == nil {
		o.Now = func() payment.Moment { return payment.Moment{Time: time.Now(), Clock: payment.ClockUnsynced} }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Store is an open journal.
type Store struct {
	options Options
	log     *slog.Logger
	epoch   string
	lock    *os.File
	backoff backoff // how long to leave a broken disk alone

	queue queue

	// Changed by the committing goroutine only, under mu.
	mu      sync.RWMutex
	active  *segment
	live    *index                         // of the segment in use
	open    map[payment.ID]*payment.Record // what is not over
	closed  []*segment                     // retained, ascending; replaced, never changed
	ids     []filter                       // of closed, side by side: every Begin asks all of them
	marks   []filter                       // likewise
	expired []*summary                     // of segments that are gone; replaced, never changed
	moved   map[uint64]int                 // hash: how many segments hold it carried over
	next    uint64                         // number of the next entry
	seq     uint64                         // newest event
	sure    extent                         // what is known to be on the disk
	used    int64                          // bytes of the segment in use that are taken
	room    int64                          // bytes the segment in use has
	board   string
	notes   map[string]string
	bind    bool           // the board is still to be written
	failure *failure       // why nothing can be written; nil if it can
	full    *failure       // why no further segment can be made; nil if it can
	changed chan struct{}  // closed at the next event
	ending  bool           // Close has begun
	holding int            // backups that need the files
	doomed  []*segment     // expired while a backup was running
	trusted payment.Moment // first synchronised time seen by this process

	cmu     sync.Mutex // guards cursors; never held together with mu
	cursors map[string]cursor
}

// extent is how far a journal reaches: its next entry and its newest event.
type extent struct{ next, seq uint64 }

// cursor is how far a destination is, and how far the disk knows it.
type cursor struct{ seq, durable uint64 }

// failure is a fault that is tried to be mended after a while.
type failure struct {
	err   error
	again time.Time
	wait  time.Duration
}

// backoff bounds how often a broken disk is tried.
type backoff struct{ least, most time.Duration }

func (b backoff) after(f *failure, err error) *failure {
	wait := b.least
	if f != nil {
		wait = min(2*f.wait, b.most)
	}
	return &failure{err, time.Now().Add(wait), wait}
}

// due says whether it is time to try again.
func (f *failure) due() bool { return f != nil && !time.Now().Before(f.again) }

// ErrClosed is returned by whatever is called after Close.
var ErrClosed = errors.New("the journal is closed")

// ErrReadOnly is returned by whatever would write to a journal that was opened
// for reading.
var ErrReadOnly = errors.New("the journal is open for reading only")

// newEpoch is a short random text.
func newEpoch() string { return strings.ToLower(rand.Text()[:8]) }

// hook calls the test hook.
func (s *Store) hook(point string) error {
	if s.options.Hook == nil {
		return nil
	}
	return s.options.Hook(point)
}

// durably runs one durable write between its two hooks.
func (s *Store) durably(what string, fn func() error) error {
	if err := s.hook(what + ".before"); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	return s.hook(what + ".after")
}

// Close writes the cursors that have moved and gives the journal back. Calls
// that wait for the disk are answered first; it is idempotent.
func (s *Store) Close() error {
	return s.enqueue(&request{final: true, stage: func(b *batch) error {
		b.cursors = true
		return nil
	}})
}

// Epoch is this start's: new at every Open.
func (s *Store) Epoch() string { return s.epoch }

// Board is the serial number the journal is bound to, "" for none.
func (s *Store) Board() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.board
}

// Segments counts the files that are kept, the one in use included.
func (s *Store) Segments() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.closed) + 1
}

// retain makes closed the segments that are kept. Call with mu.
func (s *Store) retain(closed []*segment) {
	s.closed, s.ids, s.marks = closed, make([]filter, len(closed)), make([]filter, len(closed))
	for i, g := range closed {
		s.ids[i], s.marks[i] = g.sum.ids, g.sum.marks
	}
}

// oldest is the number of the oldest segment that is kept. Call with mu.
func (s *Store) oldest() *segment {
	if len(s.closed) > 0 {
		return s.closed[0]
	}
	return s.active
}

// hasExpired says whether only an expired segment had the id. A sidecar that
// cannot be read any more counts as one that has it, if its filter lets it pass:
// an id in doubt is not used again.
func (s *Store) hasExpired(hash uint64) bool {
	s.mu.RLock()
	expired := s.expired
	s.mu.RUnlock()
	return slices.ContainsFunc(expired, func(sum *summary) bool {
		found, err := sum.has(hash)
		return found || err != nil
	})
}
