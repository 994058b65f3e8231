package firmware

import (
	"path/filepath"
	"time"
)

// Phase is how far an update is. It is written before what it names is done.
type Phase string

const (
	PhaseNone      Phase = ""          // nothing is going on
	PhaseStaging   Phase = "staging"   // the bundle is being copied, or a payment is waited for; the old version sells
	PhaseSwitching Phase = "switching" // the gateway is being stopped; the link leads to the old version
	PhaseBooting   Phase = "booting"   // the other system starts next; the box restarts into it
	PhaseTrying    Phase = "trying"    // the link leads to the new one, or is about to; it has to prove itself
	PhaseReturning Phase = "returning" // the link leads to the old one again, or is about to
)

// Place is a version and where it lies: what "current" leads to.
type Place struct {
	Version Version `json:"version"`
	Target  string  `json:"target"`  // of the link: "versions/v1.4.0", or the packaged folder
	Journal int     `json:"journal"` // the format it writes

	// Slot is the system it runs in, as RAUC calls it; "" on a box that has one.
	Slot string `json:"slot,omitempty"`
}

// State is what the updater remembers.
type State struct {
	Phase Phase `json:"phase"`
	From  Place `json:"from,omitzero"`
	To    Place `json:"to,omitzero"`
	Tries int   `json:"tries,omitempty"` // starts of the new version so far

	// Before is how the box was before the switch: what was well has to be well
	// again.
	Before Health `json:"before,omitzero"`

	Confirmed Place     `json:"confirmed"` // what runs, or ran before what is being tried
	Previous  Place     `json:"previous,omitzero"`
	Failed    []Failure `json:"failed,omitempty"` // newest last, at most maxFailed
	Last      Result    `json:"last,omitzero"`
}

const maxFailed = 20

// Failure is a version that did not prove itself.
type Failure struct {
	Version Version `json:"version"`
	Reason  string  `json:"reason"`
}

// Outcome is how an update ended.
type Outcome string

const (
	Confirmed  Outcome = "confirmed"   // the new version runs
	RolledBack Outcome = "rolled-back" // it did not prove itself; the old one runs
	Refused    Outcome = "refused"     // nothing was changed, and the same bundle will be refused again
	Postponed  Outcome = "postponed"   // nothing was changed: a payment was open or in doubt
	Cut        Outcome = "interrupted" // nothing was changed: the power failed, say; try again
	Restarting Outcome = "restarting"  // the box restarts into another system, and goes on there; never in the state
)

// Result is how the newest update ended.
type Result struct {
	Outcome Outcome   `json:"outcome"`
	Version Version   `json:"version,omitempty"` // that was to be installed
	Text    string    `json:"text,omitempty"`
	At      time.Time `json:"at"` // by the box's clock
}

// Health is how a running gateway is.
type Health struct {
	Version      Version         `json:"version"`
	Terminals    map[string]bool `json:"terminals,omitempty"`    // by name: answers
	Destinations map[string]bool `json:"destinations,omitempty"` // by name: connected
}

// lacks names what was well before and is not now.
func (h Health) lacks(before Health) (names []string) {
	for name, well := range before.Terminals {
		if well && !h.Terminals[name] {
			names = append(names, "terminal "+name)
		}
	}
	for name, well := range before.Destinations {
		if well && !h.Destinations[name] {
			names = append(names, "broker "+name)
		}
	}
	return names
}

// ReadState reads the state of the updater that works in dir. Everybody may.
func ReadState(dir string) (State, error) {
	var s State
	err := readJSON(filepath.Join(dir, stateFile), &s)
	return s, err
}

const (
	stateFile = "state.json"
	keysFile  = "keys.json"
)

func (u *Updater) load() (State, error) {
	s, err := ReadState(u.Dir)
	if s.Confirmed.Target == "" {
		s.Confirmed = u.Packaged
	}
	return s, err
}

func (u *Updater) save(s State) error {
	return u.disk.writeJSON(filepath.Join(u.Dir, stateFile), s)
}

// end writes how an update ended, and removes what it leaves that nobody needs.
func (u *Updater) end(s State, o Outcome, v Version, text string) error {
	s.Phase, s.From, s.To, s.Tries, s.Before = PhaseNone, Place{}, Place{}, 0, Health{}
	s.Last = Result{Outcome: o, Version: v, Text: text, At: time.Now().UTC().Truncate(time.Second)}
	u.Log.Info("update ended", "outcome", string(o), "version", string(v), "text", text)
	if err := u.save(s); err != nil {
		return err
	}
	u.tidy(s)
	return nil
}
