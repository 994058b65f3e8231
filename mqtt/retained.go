package mqtt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// Info is the payload of info.
type Info struct {
	Box      string            `json:"box"`
	Session  string            `json:"session"` // new at each connection; money commands quote it
	Epoch    string            `json:"epoch"`   // new at each start of the gateway
	Commands bool              `json:"commands"`
	Contract string            `json:"contract"` // "v1"
	Versions map[string]string `json:"versions"`
	AsyncAPI string            `json:"asyncapi_sha256"` // of the document that [AsyncAPI] gives
}

// Sellable is the payload of sellable.
type Sellable struct {
	OK        bool                        `json:"ok"`
	Reasons   []payment.Reason            `json:"reasons"`
	Terminals map[string]TerminalSellable `json:"terminals"`
}

// TerminalSellable says whether one terminal can sell.
type TerminalSellable struct {
	OK      bool             `json:"ok"`
	Reasons []payment.Reason `json:"reasons"`
}

// Health is the payload of health. A box is alive when status is online and
// health is younger than three intervals.
type Health struct {
	Time      time.Time                `json:"time"`
	Interval  payment.Millis           `json:"interval_ms"`
	OK        bool                     `json:"ok"`
	Reasons   []payment.Reason         `json:"reasons"`
	Terminals []payment.TerminalStatus `json:"terminals"`
	Alerts    []payment.AlertCode      `json:"alerts"`
}

// OutboxState is the payload of outbox, at most once a second.
type OutboxState struct {
	Epoch     string `json:"epoch"`
	LastSeq   uint64 `json:"last_seq"`  // newest event of the box
	Delivered uint64 `json:"delivered"` // newest that this broker acknowledged since the gateway started, 0 if none
}

// desired is what has to lie on the broker, by topic. health and outbox have
// their own rhythm.
func (s *session) desired(st payment.Status) map[string]string {
	o := &s.e.o
	d := map[string]string{
		s.topics.status(): statusOf(st),
		s.topics.info():   text(Info{o.Box, s.id, o.Outbox.Epoch(), o.Commands, "v1", notNil(o.Versions), s.e.contract}),
	}
	sell := Sellable{st.Sellable, list(st.Reasons), map[string]TerminalSellable{}}
	for _, t := range st.Terminals {
		d[s.topics.terminal(t.Name, "status")] = string(t.Link)
		d[s.topics.terminal(t.Name, "state")] = string(t.Stage)
		sell.Terminals[t.Name] = TerminalSellable{t.Sellable, list(t.Reasons)}
	}
	d[s.topics.sellable()] = text(sell)
	for _, a := range st.Alerts {
		d[s.topics.alert(a.Code)] = text(a)
	}
	return d
}

func (s *session) health(st payment.Status, at time.Time) string {
	h := Health{Time: at.UTC(), Interval: payment.InMillis(s.e.o.HealthEvery), OK: st.Sellable, Reasons: list(st.Reasons), Terminals: list(st.Terminals), Alerts: []payment.AlertCode{}}
	h.Terminals = slices.Clone(h.Terminals)
	for i := range h.Terminals {
		h.Terminals[i].Reasons = list(h.Terminals[i].Reasons)
	}
	for _, a := range st.Alerts {
		h.Alerts = append(h.Alerts, a.Code)
	}
	return text(h)
}

func (s *session) outboxState() string {
	out := s.e.o.Outbox
	return text(OutboxState{out.Epoch(), out.LastSeq(), s.e.State().Delivered})
}

// text is the JSON of one of our own types, which always has one.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("mqtt: %T: %v", v, err))
	}
	return string(b)
}

// list writes no list as an empty one: consumers need not know null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// put publishes retained topics together and waits for all their PUBACKs.
func (s *session) put(payloads map[string]string) error {
	var under []*parcel
	for topic, p := range payloads {
		under = append(under, s.publish(topic, 1, true, []byte(p)))
	}
	for _, u := range under {
		if err := s.await(u); err != nil {
			return err
		}
		if p := payloads[u.topic]; p == "" {
			delete(s.retain, u.topic)
		} else {
			s.retain[u.topic] = p
		}
		s.fresh[u.topic] = time.Now()
	}
	return nil
}

// repeat publishes once more, a second later, what somebody else had written (see
// overwritten), and where controllers are each retained change: with the embedded
// broker (nats-server 2.15.2) a client whose SUBSCRIBE meets a retained PUBLISH
// gets neither the message nor, for a moment, the new retained one, and would take
// the old one for the present.
func (s *session) repeat(now time.Time) error {
	again := map[string]string{}
	for topic, at := range s.fresh {
		if now.Sub(at) < watchEvery {
			continue
		}
		if s.e.o.Commands || s.disputed[topic] {
			again[topic] = s.retain[topic]
		}
		delete(s.fresh, topic)
		delete(s.disputed, topic)
	}
	err := s.put(again)
	for topic := range again {
		delete(s.fresh, topic)
	}
	return err
}

// difference is what has to be published so that want lies on the broker.
func (s *session) difference(want map[string]string) map[string]string {
	d := map[string]string{}
	for topic, p := range want {
		if s.retain[topic] != p {
			d[topic] = p
		}
	}
	for topic := range s.retain {
		if _, wanted := want[topic]; !wanted && s.removable(topic) {
			d[topic] = ""
		}
	}
	return d
}

// removable topics come and go; the others are always wanted or have their own
// rhythm.
func (s *session) removable(topic string) bool {
	return strings.HasPrefix(topic, s.topics.root+"alert/") || strings.HasPrefix(topic, s.topics.root+"terminal/")
}

// publishAll puts everything on the broker, whatever it remembers.
func (s *session) publishAll() error {
	s.collect()
	st := s.e.o.Gateway.Status()
	all := s.difference(s.desired(st))
	all[s.topics.health()] = s.health(st, time.Now())
	all[s.topics.outbox()] = s.outboxState()
	return s.put(all)
}

// collect notes what earlier processes left on the broker: it came right
// behind the SUBACK. What comes later is handled by hear.
func (s *session) collect() {
	for {
		select {
		case m := <-s.news:
			s.inherit(m)
		default:
			return
		}
	}
}

func (s *session) inherit(m message) {
	if _, ours := s.retain[m.topic]; m.retained && len(m.payload) > 0 && !ours && s.removable(m.topic) && len(s.retain) < maxNews {
		s.retain[m.topic] = string(m.payload)
	}
}
