package mqtt

import "sync"

// How many commands may be under way and waiting.
const (
	maxLanes   = 4  // terminals served at once
	maxQuick   = 2  // grants, lookups, resolutions at once
	maxAborts  = 2  // at once
	maxWaiting = 64 // in each of the three
	maxReplays = 4  // waiting; one is answered at a time
)

// lanes runs jobs with one key in order and those with different keys at once,
// on at most limit goroutines that exist only while there is work.
type lanes struct {
	limit, room int

	mu      sync.Mutex
	waiting map[string][]func() // by key; an entry exists while the key is waiting or served
	order   []string            // keys that wait for a goroutine
	total   int                 // jobs waiting
	working int
	closed  bool
	wg      sync.WaitGroup
}

func newLanes(limit, room int) *lanes {
	return &lanes{limit: limit, room: room, waiting: map[string][]func(){}}
}

// submit takes a job, or says that there is no room.
func (l *lanes) submit(key string, job func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.total >= l.room {
		return false
	}
	jobs, known := l.waiting[key]
	l.waiting[key] = append(jobs, job)
	l.total++
	if known {
		return true
	}
	l.order = append(l.order, key)
	if l.working < l.limit {
		l.working++
		l.wg.Go(l.work)
	}
	return true
}

// work serves one job of the key that waits longest, then the next key.
func (l *lanes) work() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.order) > 0 {
		key := l.order[0]
		l.order = l.order[1:]
		job := l.waiting[key][0]
		l.waiting[key] = l.waiting[key][1:]
		l.total--
		l.mu.Unlock()
		job()
		l.mu.Lock()
		if len(l.waiting[key]) == 0 {
			delete(l.waiting, key)
		} else {
			l.order = append(l.order, key)
		}
	}
	l.working--
}

// finish takes no more jobs and waits for those it has.
func (l *lanes) finish() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wg.Wait()
}
