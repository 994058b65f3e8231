package mqtt

import (
	"encoding/json"
	"slices"
	"time"

	"tillgate/internal/payment"
)

// A twin is another gateway under this box's name. It is told from ourselves
// by the session in info, and a live one from what an earlier process left
// behind by this: what is retained proves nothing, but an info that arrives
// while we are connected was published just now. A foreign session there
// raises the alert, and we publish our own info again, so that the twin sees us
// too and stops as well. While the alert stands both repeat that every
// TwinEvery; three of those without the other end it.

// hear handles a message on one of our own retained topics.
func (w *watcher) hear(m message) {
	if m.retained {
		w.inherit(m)
		return
	}
	switch m.topic {
	case w.topics.info():
		w.hearInfo(m.payload)
	case w.topics.status():
		// The will of an earlier connection can come long after this one was
		// made, and a twin leaves one too.
		if string(m.payload) != w.retain[m.topic] {
			w.overwritten(m.topic, string(m.payload))
		}
	}
}

// overwritten notes that somebody else has written payload on one of our topics:
// refresh publishes ours again. A broker may give a message to us before it has
// stored it for others (nats-server 2.15.2 does, at QoS 0), so that our answer
// comes before it there; therefore ours comes once more a second later.
func (w *watcher) overwritten(topic, payload string) {
	w.retain[topic] = payload
	w.disputed[topic] = true
}

func (w *watcher) hearInfo(payload []byte) {
	var info Info
	err := json.Unmarshal(payload, &info)
	if err == nil && slices.Contains(w.e.sessions, info.Session) {
		return
	}
	first := w.e.twinSeen.IsZero()
	if first || time.Since(w.infoAt) >= w.e.o.TwinEvery {
		w.overwritten(w.topics.info(), "")
	}
	if err != nil || info.Session == "" {
		return // whoever wrote that is no gateway
	}
	if first {
		w.log.Error("another gateway uses the name of this box", "box", w.e.o.Box, "its_session", payment.Excerpt(info.Session))
	}
	w.e.twinSeen = time.Now()
	w.e.note(func(s *State) { s.Twin = true })
	w.e.o.Gateway.Raise(payment.AlertTwin, "another gateway uses the name "+w.e.o.Box+" on this broker")
}

// twinBeat reminds a twin of us, and ends the alert when it is gone.
func (w *watcher) twinBeat(now time.Time) {
	switch {
	case w.e.twinSeen.IsZero():
	case now.Sub(w.e.twinSeen) >= 3*w.e.o.TwinEvery:
		w.e.twinSeen = time.Time{}
		w.e.note(func(s *State) { s.Twin = false })
		w.e.o.Gateway.Clear(payment.AlertTwin)
		w.retain[w.topics.info()] = ""
	case now.Sub(w.infoAt) >= w.e.o.TwinEvery:
		w.retain[w.topics.info()] = ""
	}
}
