package uevent

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// Bounds of a burst: a device that comes and goes for ever is told of all the
// same.
const (
	mostEvents  = 1000 // more of them are lost
	longestWait = 20   // times quiet
)

// Follow hands bursts of messages to f until ctx ends, with nil, or nothing more
// can be heard. A device comes with a dozen of them: a burst ends when nothing
// came for quiet, or after twenty times that. lost says that messages are missing:
// anything may have come or gone. Follow closes l.
func (l *Listener) Follow(ctx context.Context, quiet time.Duration, f func(burst []Event, lost bool)) error {
	type news struct {
		event Event
		lost  bool
		err   error
	}
	heard, stop := make(chan news), make(chan struct{})
	var listener sync.WaitGroup
	defer listener.Wait()
	defer close(stop)
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	listener.Go(func() {
		for {
			var n news
			n.event, n.lost, n.err = l.Next()
			select {
			case heard <- n:
			case <-stop:
				return
			}
			if n.err != nil {
				return
			}
		}
	})
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	timer.Stop() // until there is something to tell
	var burst []Event
	var lost bool
	var first time.Time // of the burst
	for {
		select {
		case n := <-heard:
			switch {
			case errors.Is(n.err, os.ErrClosed):
				return nil
			case n.err != nil:
				return n.err
			}
			if len(burst) == 0 && !lost {
				first = time.Now()
			}
			if n.lost || len(burst) == mostEvents {
				lost = true
			} else {
				burst = append(burst, n.event)
			}
			timer.Reset(min(quiet, max(longestWait*quiet-time.Since(first), 0)))
		case <-timer.C:
			f(burst, lost)
			burst, lost = nil, false
		}
	}
}
