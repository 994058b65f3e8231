package gateway

import (
	"sync"
	"time"
)

// grace is what a lane may take longer than it promised: a slow disk, a slow
// machine.
const grace = 60 * time.Second

// pulse is a lane's word on when it will be heard of next. Whatever a lane
// waits for has a bound of its own, so a lane that breaks its word hangs.
type pulse struct {
	mu    sync.Mutex
	until time.Time // on the monotonic clock; zero: the lane does not run
}

// within promises the next sign of life.
func (p *pulse) within(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d + grace)
}

// stop says that the lane has ended.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{}
}

func (p *pulse) stuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.until.IsZero() && time.Now().After(p.until)
}

// exchange bounds every exchange with a terminal but the operations that wait
// for a customer.
const exchange = 20 * time.Second

// longest is the most that one operation can take on the terminal.
func (l *lane) longest(patience time.Duration) time.Duration {
	return patience + l.cfg.Link.Longest + exchange
}

// Stuck names the terminals whose lanes have not been heard of for longer than
// anything they do can take. It goes by what
// the lanes do, not by time alone: a lane that waits for a customer is well. A
// gateway that cannot even answer this hangs as well.
func (g *Gateway) Stuck() []string {
	g.Status() // takes the lock that everybody needs
	var names []string
	for _, l := range g.lanes {
		if l.pulse.stuck() {
			names = append(names, l.cfg.Name)
		}
	}
	return names
}
