package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// errPanicked marks a mapped page that could not be read, or one whose content
// bbolt could not make sense of. Its transaction may still hold locks, so the
// file is abandoned, not closed.
var errPanicked = errors.New("unreadable page")

// guard runs fn, which touches mapped pages. A page that the disk cannot give
// back is a SIGBUS, which ends the process unless the goroutine has asked for a
// panic instead.
func guard(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return fn()
}
