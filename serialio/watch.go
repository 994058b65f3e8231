package serialio

import (
	"context"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// watchTurn bounds one wait for an edge, so that the end of ctx is noticed.
const watchTurn = time.Second

// settle is how long a level must hold: contacts bounce.
const settle = 20 * time.Millisecond

// Watch makes the line an input and tells f whether it is active: once at the
// beginning, then at each change that lasts 20 ms. It returns when ctx ends, with
// nil. The line has the board's own pull.
func (l *Line) Watch(ctx context.Context, f func(active bool)) error {
	if err := l.pin.In(gpio.PullNoChange, gpio.BothEdges); err != nil {
		return fmt.Errorf("GPIO line %s: %w%s", l.name, err, busy(err))
	}
	told := false
	var last bool
	for ctx.Err() == nil {
		if active := bool(l.pin.Read()) != l.low; !told || active != last {
			timer := time.NewTimer(settle)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
			if bool(l.pin.Read()) != l.low == active {
				told, last = true, active
				f(active)
			}
			continue
		}
		l.pin.WaitForEdge(watchTurn)
	}
	return nil
}
