package mqtt

import (
	"context"
	"time"
)

// watch keeps the retained topics true until the connection is over or ctx
// ends.
func (s *session) watch(ctx context.Context) error {
	g := s.e.o.Gateway
	progress, unsubscribe := g.Progress()
	defer unsubscribe()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watcher{session: s, healthAt: time.Now(), infoAt: time.Now()}
	for {
		changed := g.Changed()
		if err := w.refresh(time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-changed:
		case <-s.poked:
			s.alertRetained()
		case m := <-s.news:
			w.hear(m)
		case p, ok := <-progress:
			if !ok {
				progress = nil
			} else if err := s.progress(p); err != nil {
				return err
			}
		case now := <-tick.C:
			if err := w.beat(now); err != nil {
				return err
			}
		}
	}
}

// watchEvery is the rhythm of outbox, and the grain of health and twin.
const watchEvery = time.Second

// watcher is what watch remembers.
type watcher struct {
	*session
	healthAt, infoAt time.Time
	healthWas        string // without its time
}

// refresh publishes what changed in the gateway, health along with it.
func (w *watcher) refresh(now time.Time) error {
	st := w.e.o.Gateway.Status()
	d := w.difference(w.desired(st))
	if is := w.health(st, time.Time{}); is != w.healthWas || now.Sub(w.healthAt) >= w.e.o.HealthEvery {
		d[w.topics.health()] = w.health(st, now)
		w.healthAt, w.healthWas = now, is
	}
	if _, again := d[w.topics.info()]; again {
		w.infoAt = now
	}
	return w.put(d)
}

// beat is called every second.
func (w *watcher) beat(now time.Time) error {
	w.twinBeat(now)
	if is := w.outboxState(); is != w.retain[w.topics.outbox()] {
		if err := w.put(map[string]string{w.topics.outbox(): is}); err != nil {
			return err
		}
	}
	return w.repeat(now)
}

// stop says goodbye: commands under way end, the last events and replies go
// out, then status stopping, which the will does not overwrite after a clean
// DISCONNECT.
func (s *session) stop() error {
	s.closing.Store(true)
	finished := make(chan struct{})
	go func() { s.e.intake.finish(); close(finished) }()
	deadline := time.NewTimer(s.e.o.StopWithin)
	defer deadline.Stop()
	steps := []<-chan struct{}{finished, s.drained, s.replied}
	for i, step := range steps {
		if i == len(steps)-1 {
			close(s.finish)
		}
		select {
		case <-step:
			continue
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-deadline.C:
		}
		break
	}
	return s.put(map[string]string{s.topics.status(): StatusStopping})
}
