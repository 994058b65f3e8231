package ssi

import (
	"context"
	"time"
)

// line is a way to a terminal. Except for Close its methods are called by one
// goroutine.
type line interface {
	// exchange sends r once and returns the answer to it. sent says whether a
	// byte of the request can have left. Its errors are stream.ErrSilent after within,
	// ctx's, and the connection's.
	exchange(ctx context.Context, r request, within time.Duration) (a answer, sent bool, err error)

	// fresh says whether the next exchange has a connection of its own, so that
	// one that failed does not end the line.
	fresh() bool

	// Close wakes a running exchange. It is idempotent.
	Close() error
}
