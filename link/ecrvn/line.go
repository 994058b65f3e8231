package ecrvn

import (
	"context"
	"time"
)

const (
	maxAnswer = 16 << 10 // bytes of one answer; the longest known has 697
	maxLate   = 32       // answers that wait to be looked at
)

// call is one request and what is done with the answers to it.
type call struct {
	query  string // the request without its leading "/ecr?"
	within time.Duration
	wrote  func()            // the request has left; may be nil
	take   func(answer) bool // looks at one answer; true ends the call
}

// line is a way to a terminal: a byte stream, or a web service. Except for
// Close its methods are called by one goroutine.
type line interface {
	// Late returns the answers that came while nobody waited for them.
	Late() []answer

	// exchange sends the request of c once and hands over every answer that
	// comes, until c.take has had enough. sent says whether a byte of the
	// request can have left. Its errors are stream.ErrSilent after c.within, ctx's,
	// and the connection's.
	exchange(ctx context.Context, c call) (sent bool, err error)

	// Close wakes a running exchange. It is idempotent.
	Close() error
}
