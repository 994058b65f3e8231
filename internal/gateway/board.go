package gateway

import (
	"slices"
	"sync"
	"time"

	"tillgate/internal/payment"
)

// board is what everybody may look at: how each terminal stands, the alerts,
// and the stream of progress. It is level-triggered: a reader takes the
// channel that is closed at the next change, then a snapshot.
type board struct {
	mu        sync.Mutex
	state     state
	changed   chan struct{}
	listeners map[chan payment.Progress]struct{}
}

type state struct {
	terminals []payment.TerminalStatus
	alerts    []payment.Alert
	paused    map[string]string // terminal -> who and why
	conflicts map[string]bool   // terminal -> shares a device with another lane's
	journal   error
	held      bool // for an update of the box
	stopping  bool
}

func (b *board) init() {
	b.changed = make(chan struct{})
	b.listeners = map[chan payment.Progress]struct{}{}
	b.state.paused, b.state.conflicts = map[string]string{}, map[string]bool{}
}

func (b *board) addTerminal(t payment.TerminalStatus) {
	b.state.terminals = append(b.state.terminals, t)
}

// update changes the state and tells whoever waits.
func (b *board) update(f func(*state)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) terminal(name string, f func(*payment.TerminalStatus)) {
	b.update(func(s *state) {
		for i := range s.terminals {
			if s.terminals[i].Name == name {
				f(&s.terminals[i])
			}
		}
	})
}

// reasons lists why a terminal cannot sell now, weightiest first.
func (s *state) reasons(t payment.TerminalStatus) []payment.Reason {
	out := []payment.Reason{}
	add := func(r payment.Reason, when bool) {
		if when && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	add(payment.ReasonStopping, s.stopping)
	add(payment.ReasonUpdating, s.held)
	add(payment.ReasonJournal, s.journal != nil)
	add(payment.ReasonPower, s.raised(payment.AlertPower))
	add(payment.ReasonTwin, s.raised(payment.AlertTwin))
	add(payment.ReasonDevice, s.conflicts[t.Name])
	add(payment.ReasonOffline, t.Link == payment.LinkOffline)
	for _, r := range t.Reasons { // what the lane itself says: unsettled, busy, awaiting-dispense
		add(r, true)
	}
	_, paused := s.paused[t.Name]
	add(payment.ReasonPaused, paused)
	return out
}

func (s *state) raised(code payment.AlertCode) bool {
	return slices.ContainsFunc(s.alerts, func(a payment.Alert) bool { return a.Code == code })
}

// Changed is closed at the next change of [Gateway.Status].
func (g *Gateway) Changed() <-chan struct{} {
	g.board.mu.Lock()
	defer g.board.mu.Unlock()
	return g.board.changed
}

// Status is a snapshot of the whole box; the caller owns it.
func (g *Gateway) Status() payment.Status {
	b := &g.board
	b.mu.Lock()
	defer b.mu.Unlock()
	st := payment.Status{Reasons: []payment.Reason{}, Terminals: slices.Clone(b.state.terminals), Alerts: slices.Clone(b.state.alerts), Stopping: b.state.stopping}
	for i := range st.Terminals {
		t := &st.Terminals[i]
		t.Reasons = b.state.reasons(*t)
		t.Paused = b.state.paused[t.Name]
		t.Sellable = len(t.Reasons) == 0
		st.Sellable = st.Sellable || t.Sellable
		for _, r := range t.Reasons {
			if !slices.Contains(st.Reasons, r) {
				st.Reasons = append(st.Reasons, r)
			}
		}
	}
	if st.Sellable {
		st.Reasons = []payment.Reason{}
	}
	if st.Alerts == nil {
		st.Alerts = []payment.Alert{}
	}
	return st
}

// Raise sets an alert, or adds ids to it if it is raised already. Raising what
// is raised changes nothing. While [payment.AlertTwin] or [payment.AlertPower] is
// raised, nothing is sold.
func (g *Gateway) Raise(code payment.AlertCode, text string, ids ...payment.ID) {
	g.board.mu.Lock()
	known := slices.ContainsFunc(g.board.state.alerts, func(a payment.Alert) bool {
		return a.Code == code && a.Text == text && !slices.ContainsFunc(ids, func(id payment.ID) bool { return !slices.Contains(a.IDs, id) })
	})
	g.board.mu.Unlock()
	if known {
		return
	}
	g.log.Warn("alert raised", "code", string(code), "text", text, "ids", ids)
	g.board.update(func(s *state) {
		s.raise(payment.Alert{Code: code, Text: text, IDs: ids, Since: g.now().Time.UTC().Truncate(time.Second)})
	})
}

const maxAlertIDs = 100

func (s *state) raise(alert payment.Alert) {
	s.alerts = slices.Clone(s.alerts)
	for i := range s.alerts {
		a := &s.alerts[i]
		if a.Code != alert.Code {
			continue
		}
		a.Text, a.IDs = alert.Text, slices.Clone(a.IDs)
		for _, id := range alert.IDs {
			if !slices.Contains(a.IDs, id) && len(a.IDs) < maxAlertIDs {
				a.IDs = append(a.IDs, id)
			}
		}
		return
	}
	s.alerts = append(s.alerts, alert)
}

// Clear removes an alert.
func (g *Gateway) Clear(code payment.AlertCode) { g.clear(code, "") }

// clear removes one payment from an alert, and the alert with its last one.
func (g *Gateway) clear(code payment.AlertCode, id payment.ID) {
	g.board.mu.Lock()
	has := g.board.state.raised(code)
	g.board.mu.Unlock()
	if !has {
		return
	}
	g.board.update(func(s *state) {
		s.alerts = slices.DeleteFunc(slices.Clone(s.alerts), func(a payment.Alert) bool {
			return a.Code == code && (id == "" || len(a.IDs) == 0 || slices.Equal(a.IDs, []payment.ID{id}))
		})
		for i := range s.alerts {
			if s.alerts[i].Code == code {
				s.alerts[i].IDs = slices.DeleteFunc(slices.Clone(s.alerts[i].IDs), func(x payment.ID) bool { return x == id })
			}
		}
	})
}

// Progress streams news of running payments, the newest 64 at most; stop ends
// it and closes the channel.
func (g *Gateway) Progress() (news <-chan payment.Progress, stop func()) {
	c := make(chan payment.Progress, 64)
	b := &g.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[c] = struct{}{}
	return c, sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners, c)
		close(c)
	})
}

// tell hands progress to every listener; a slow one loses its oldest.
func (b *board) tell(p payment.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.listeners {
		select {
		case c <- p:
			continue
		default:
		}
		select {
		case <-c:
		default:
		}
		select {
		case c <- p:
		default:
		}
	}
}
