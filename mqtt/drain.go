package mqtt

import (
	"context"
	"encoding/json"
	"time"

	"tillgate/internal/payment"
)

// batch is how many events are read from the outbox at once.
const batch = 256

// underway is an event without its PUBACK yet.
type underway struct {
	seq uint64
	*parcel
}

// drain publishes the outbox from the cursor on, in order, with at most Window
// events under way. The cursor moves over an event when its PUBACK and those of
// all before it came on this connection. It returns nil when the connection is
// over, or, once ctx has ended, when nothing is left.
func (s *session) drain(ctx context.Context) error {
	o := &s.e.o
	for {
		changed := o.Outbox.Changed()
		events, err := o.Outbox.Pending(o.Destination, batch)
		if err != nil {
			// The journal's fault is no reason to drop the broker.
			s.log.Warn("outbox not readable", "err", err)
			changed = nil
		}
		if len(events) > 0 {
			if err := s.deliver(events); err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-ctx.Done():
		case <-changed:
		case <-time.After(outboxRetry):
		}
	}
}

// outboxRetry is how long an unreadable outbox is left alone. It also bounds
// what a missed change would cost.
const outboxRetry = time.Second

func (s *session) deliver(events []payment.Event) error {
	var line []underway
	settle := func(down int) error {
		for len(line) > down {
			u := line[0]
			if err := s.await(u.parcel); err != nil {
				return err
			}
			s.e.o.Outbox.Acknowledge(s.e.o.Destination, u.seq)
			s.e.note(func(st *State) { st.Delivered = u.seq })
			line = line[1:]
		}
		return nil
	}
	for _, ev := range events {
		payload, err := encodeEvent(s.e.o.Box, ev)
		if err != nil {
			return err
		}
		if err := settle(s.e.o.Window - 1); err != nil {
			return err
		}
		line = append(line, underway{ev.Seq, s.publish(s.topics.event(ev.Type), 1, false, payload)})
	}
	return settle(0)
}

// MaxReplay is how many events one replay command gives; its reply says where
// the next one begins.
const MaxReplay = 1000

// Replayed is the result in the reply to a replay.
type Replayed struct {
	From    uint64 `json:"from"`     // first event that follows
	To      uint64 `json:"to"`       // last event that follows
	LastSeq uint64 `json:"last_seq"` // newest event of the box; more than to: ask again from to+1
}

// replay answers first, then publishes the events to replay/{client} with a
// small window of their own, so that events and replies keep flowing.
func (s *session) replay(e Envelope) {
	out := s.e.o.Outbox
	last := out.LastSeq()
	from, to := max(e.From, 1), e.To
	if to == 0 || to > last {
		to = last
	}
	if from > to {
		s.reply(e, payment.Refused(e.Command, payment.Refuse(payment.ReasonNotFound, "there is no event %d that could come again up to %d; the newest is %d", from, to, last)))
		return
	}
	to = min(to, from+MaxReplay-1)
	s.reply(e, payment.Reply{Verb: e.Verb, ID: e.ID, Status: payment.ReplyAccepted, Result: Replayed{from, to, last}})
	topic := s.topics.replay(e.Client)
	for next := from; next <= to; {
		events, err := out.Range(next, to, replayWindow)
		if err != nil || len(events) == 0 {
			if err != nil {
				s.log.Warn("outbox not readable", "err", err)
			}
			return
		}
		parcels := make([]*parcel, 0, len(events))
		for _, ev := range events {
			payload, err := encodeEvent(s.e.o.Box, ev)
			if err != nil {
				s.fail(err)
				return
			}
			parcels = append(parcels, s.publish(topic, 1, false, payload))
			next = ev.Seq + 1
		}
		for _, p := range parcels {
			if err := s.await(p); err != nil {
				s.fail(err)
				return
			}
		}
	}
}

// replayWindow is how many replayed events are under way at once.
const replayWindow = 16

// progress publishes news of a running payment: QoS 0, not retained.
func (s *session) progress(p payment.Progress) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	s.publish(s.topics.terminal(p.Terminal, "progress"), 0, false, b)
	return nil
}
