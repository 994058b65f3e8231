package gateway

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// paired is the note that remembers what a terminal was when a person last
// accepted it; the first look accepts. It outlives restarts, so that a terminal
// that was swapped or updated while the box was off is found too.
type paired struct {
	Accepted payment.Inventory `json:"accepted"`
	Told     string            `json:"told,omitempty"` // mark of the change that an event has told of
}

// pairedNote and a terminal's name is the name of that note.
const pairedNote = "inventory/"

// inventoried is the data of terminal.changed.
type inventoried struct {
	Terminal string            `json:"terminal"`
	State    string            `json:"state"`             // changed, accepted, or back: it is again what was accepted
	Differs  []string          `json:"differs,omitempty"` // members of now that are not as in was
	Was      payment.Inventory `json:"was"`
	Now      payment.Inventory `json:"now"`
	By       string            `json:"by,omitempty"` // accepted: who, and why
}

// takeStock compares what an idle terminal says of itself with what was
// accepted, tells once what has changed, and raises the alert as long as it is
// so. The terminal goes on selling: its owner may have changed it.
func (l *lane) takeStock(d link.Diagnosis) {
	now := d.Inventory
	now.Identity = d.Identity
	now = now.Clean()
	if now == (payment.Inventory{}) {
		return
	}
	was, err := l.paired()
	if err != nil {
		l.log.Warn("what the terminal was cannot be read: what it is now is taken for it", "err", err)
	}
	differs := now.Differs(was.Accepted)
	if l.stock = now; len(differs) == 0 {
		l.stock = now.Known(was.Accepted)
	}
	next := paired{Accepted: was.Accepted, Told: was.Told}
	switch mark := markOf(now, differs); {
	case len(differs) == 0 && was.Told == "":
		next.Accepted = was.Accepted.Known(now) // it may tell more than before
	case mark == was.Told:
	case len(differs) == 0:
		next.Told = ""
		err = l.tellStock(inventoried{State: "back", Was: was.Accepted, Now: l.stock})
	default:
		next.Told = mark
		l.log.Warn("terminal is not what was accepted", "differs", differs)
		err = l.tellStock(inventoried{State: "changed", Differs: differs, Was: was.Accepted, Now: l.stock})
	}
	if err == nil && next != was { // after the event: it is rather told twice than never
		l.pair(next)
	}
	l.showStock(was.Accepted, differs)
}

// accept takes the terminal for what it says now.
func (l *lane) accept(j job) {
	was, _ := l.paired() // one that cannot be read is replaced
	if l.stock == (payment.Inventory{}) {
		j.refuse(payment.Refuse(payment.ReasonState, "terminal %s has not said what it is since the start: wait until it is online, unless its protocol does not tell", l.cfg.Name))
		return
	}
	differs := l.stock.Differs(was.Accepted)
	if len(differs) > 0 {
		if err := l.tellStock(inventoried{State: "accepted", Differs: differs, Was: was.Accepted, Now: l.stock, By: who(j.cmd)}); err != nil {
			j.refuse(payment.Refuse(payment.ReasonJournal, "not accepted: %v", err))
			return
		}
	}
	if !l.pair(paired{Accepted: l.stock}) {
		j.refuse(payment.Refuse(payment.ReasonJournal, "not accepted: it would not outlive a restart"))
		return
	}
	l.showStock(l.stock, nil)
	text := "nothing had changed"
	if len(differs) > 0 {
		text = "changed: " + strings.Join(differs, ", ")
		l.log.Info("terminal accepted", "differs", differs, "by", who(j.cmd))
	}
	j.answer(payment.Reply{Status: payment.ReplyDone, Text: text, Result: l.stock})
}

func (l *lane) paired() (p paired, err error) {
	if text := l.g.journal.Notes()[pairedNote+l.cfg.Name]; text != "" {
		if err = json.Unmarshal([]byte(text), &p); err != nil {
			p = paired{}
		}
	}
	return p, err
}

func (l *lane) pair(p paired) bool {
	b, err := json.Marshal(p)
	if err == nil {
		err = l.g.journal.Note(pairedNote+l.cfg.Name, string(b))
	}
	if err != nil {
		l.g.journalFailed(err)
	}
	return err == nil
}

func (l *lane) tellStock(data inventoried) error {
	data.Terminal = l.cfg.Name
	e := payment.NewEvent(payment.EventTerminalChanged, "terminal/"+l.cfg.Name, l.g.now(), l.cfg.Test, data)
	err := l.g.journal.Append(nil, []payment.Event{e})
	if err != nil {
		l.g.journalFailed(err)
	}
	return err
}

// showStock puts it on the board, and raises or clears the one alert for all
// terminals.
func (l *lane) showStock(accepted payment.Inventory, differs []string) {
	l.show(func(t *payment.TerminalStatus) {
		t.Inventory, t.Paired = l.stock, nil
		if len(differs) > 0 {
			t.Paired = &accepted
		}
	})
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	before := maps.Clone(l.g.swaps)
	delete(l.g.swaps, l.cfg.Name)
	if len(differs) > 0 {
		l.g.swaps[l.cfg.Name] = strings.Join(differs, ", ")
	}
	if maps.Equal(before, l.g.swaps) {
		return
	}
	if len(l.g.swaps) == 0 {
		l.g.Clear(payment.AlertChanged)
		return
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(l.g.swaps)) {
		all = append(all, name+" ("+l.g.swaps[name]+")")
	}
	l.g.Raise(payment.AlertChanged, "terminals are not what was accepted: "+strings.Join(all, "; ")+": look at `tillgate terminals`, then `tillgate accept`")
}

// markOf tells one change from another; "" is none.
func markOf(now payment.Inventory, differs []string) string {
	if len(differs) == 0 {
		return ""
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %+v", differs, now)
	return fmt.Sprintf("%x", h.Sum64())
}
