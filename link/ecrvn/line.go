package ecrvn

import (
	"context"
	"errors"
	"time"
)

const (
	maxAnswer    = 16 << 10        // bytes of one answer; the longest known has 697
	maxLate      = 32              // answers that wait to be looked at
	writeTimeout = 5 * time.Second // for one request: 160 bytes take 14 ms at 115200 baud
	closeTimeout = time.Second     // what link.Terminal allows
)

// errSilent: the terminal said nothing that was of use, in all the time it had.
var errSilent = errors.New("no answer in time")

// call is one request and what is done with the answers to it.
type call struct {
	query  string // the request without its leading "/ecr?"
	within time.Duration
	wrote  func()            // the request has left; may be nil
	take   func(answer) bool // looks at one answer; true ends the call
}

// line is a way to a terminal: a byte stream, or a web service. Except for
// close its methods are called by one goroutine.
type line interface {
	// late returns the answers that came while nobody waited for them.
	late() []answer

	// exchange sends the request of c once and hands over every answer that
	// comes, until c.take has had enough. sent says whether a byte of the
	// request can have left. Its errors are errSilent after c.within, ctx's,
	// and the connection's.
	exchange(ctx context.Context, c call) (sent bool, err error)

	// close wakes a running exchange. It is idempotent.
	close() error
}
