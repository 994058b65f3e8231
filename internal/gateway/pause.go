package gateway

import (
	"cmp"

	"tillgate/internal/payment"
)

// pause stops or resumes selling on one terminal, or on all if none is named.
// It lasts until resume, over restarts: it is a note in the journal, not a step,
// since no payment is meant, and a terminal that a person has stopped must not
// sell because the power went.
func (g *Gateway) pause(c payment.Command) (payment.Reply, error) {
	lanes := g.lanes
	if c.Terminal != "" {
		l, err := g.lane(c.Terminal)
		if err != nil {
			return payment.Reply{}, err
		}
		lanes = []*lane{l}
	}
	g.log.Info("selling "+string(c.Verb)+"d", "terminal", c.Terminal, "by", c.By, "reason", c.Reason)
	why := ""
	if c.Verb == payment.VerbPause {
		why = who(c)
	}
	var failed error
	for _, l := range lanes {
		if err := g.journal.Note(pausedNote+l.cfg.Name, why); err != nil {
			failed = err
		}
	}
	g.board.update(func(s *state) {
		for _, l := range lanes {
			if why != "" {
				s.paused[l.cfg.Name] = why
			} else if failed == nil {
				delete(s.paused, l.cfg.Name)
			}
		}
	})
	if failed != nil {
		g.journalFailed(failed)
		return payment.Reply{}, payment.Refuse(payment.ReasonJournal, "%s is not written down, and would not outlive a restart: %v", c.Verb, failed)
	}
	return payment.Reply{Status: payment.ReplyDone}, nil
}

// pausedNote and a terminal's name is the note that says who paused it, and why.
const pausedNote = "paused/"

// who says who wants something, and why, in one line that is never empty.
func who(c payment.Command) string {
	text := cmp.Or(c.By, c.Client, "somebody")
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return payment.Clip(text, 2*payment.MaxText)
}

// stillPaused are the terminals that were paused before this start.
func (g *Gateway) stillPaused() {
	notes := g.journal.Notes()
	for _, l := range g.lanes {
		if why := notes[pausedNote+l.cfg.Name]; why != "" {
			g.board.state.paused[l.cfg.Name] = why
			g.log.Warn("terminal is still paused", "terminal", l.cfg.Name, "why", why)
		}
	}
}
