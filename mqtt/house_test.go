package mqtt_test

import (
	"context"
	"sync"
	"time"

	"tillgate/internal/payment"
)

// house is a gateway and an outbox in memory, with what the tests look at.
type house struct {
	mu      sync.Mutex
	status  payment.Status
	changed chan struct{}
	got     []payment.Command
	do      func(payment.Command) payment.Reply
	alerts  map[payment.AlertCode]string
	news    chan payment.Progress
	heard   int

	events  []payment.Event
	epoch   string
	more    chan struct{}
	cursor  map[string]uint64
	backing bool // a cursor went backwards or past the end
}

func newHouse() *house {
	h := &house{
		status: payment.Status{Sellable: true, Terminals: []payment.TerminalStatus{{Name: "pos1", Driver: "ecrvn", Link: payment.LinkOnline, Stage: payment.StageIdle, Sellable: true}}},
		alerts: map[payment.AlertCode]string{}, changed: make(chan struct{}), more: make(chan struct{}), cursor: map[string]uint64{},
		news: make(chan payment.Progress, 16), epoch: "e1",
		do: func(c payment.Command) payment.Reply {
			return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
		},
	}
	h.emit(payment.EventStarted, map[string]string{"version": "test"})
	return h
}

func (h *house) Do(_ context.Context, c payment.Command) payment.Reply {
	h.mu.Lock()
	h.got = append(h.got, c)
	do := h.do
	h.mu.Unlock()
	return do(c)
}

func (h *house) Status() payment.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.status
	st.Terminals = append([]payment.TerminalStatus(nil), st.Terminals...)
	for code, text := range h.alerts {
		st.Alerts = append(st.Alerts, payment.Alert{Code: code, Text: text, Since: time.Unix(1_700_000_000, 0).UTC()})
	}
	if h.alerts[payment.AlertTwin] != "" {
		st.Sellable, st.Reasons = false, []payment.Reason{payment.ReasonTwin}
	}
	return st
}

func (h *house) Changed() <-chan struct{} { h.mu.Lock(); defer h.mu.Unlock(); return h.changed }

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *house) Progress() (<-chan payment.Progress, func()) { return h.news, func() {} }

func (h *house) Raise(c payment.AlertCode, text string, _ ...payment.ID) {
	h.change(func() { h.alerts[c] = text })
}
func (h *house) Clear(c payment.AlertCode) { h.change(func() { delete(h.alerts, c) }) }
func (h *house) ControllerConnected()      { h.mu.Lock(); h.heard++; h.mu.Unlock() }

func (h *house) alert(c payment.AlertCode) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alerts[c] != ""
}

func (h *house) commands() []payment.Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]payment.Command(nil), h.got...)
}

func (h *house) emit(t payment.EventType, data any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := payment.NewEvent(t, payment.About("p-1"), payment.Moment{Time: time.Unix(1_700_000_000, 0), Clock: payment.ClockSynced}, true, data)
	e.Seq, e.Epoch = uint64(len(h.events)+1), h.epoch
	h.events = append(h.events, e)
	close(h.more)
	h.more = make(chan struct{})
}

// outbox is the other half of house: the two interfaces share the name Changed.
type outbox struct{ h *house }

func (o outbox) Pending(d string, most int) ([]payment.Event, error) {
	o.h.mu.Lock()
	from := o.h.cursor[d] + 1
	o.h.mu.Unlock()
	return o.Range(from, 1<<62, most)
}

func (o outbox) Acknowledge(d string, seq uint64) {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	if seq <= o.h.cursor[d] || seq > uint64(len(o.h.events)) {
		o.h.backing = true
	}
	o.h.cursor[d] = seq
}

func (o outbox) Range(from, to uint64, most int) ([]payment.Event, error) {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	to = min(to, uint64(len(o.h.events)))
	if from == 0 || from > to {
		return nil, nil
	}
	return append([]payment.Event(nil), o.h.events[from-1:min(to, from-1+uint64(most))]...), nil
}

func (o outbox) LastSeq() uint64 {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	return uint64(len(o.h.events))
}
func (o outbox) Epoch() string            { return o.h.epoch }
func (o outbox) Changed() <-chan struct{} { o.h.mu.Lock(); defer o.h.mu.Unlock(); return o.h.more }
func (h *house) at(destination string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cursor[destination]
}
