package control

import (
	"context"

	"tillgate/internal/payment"
)

// follow carries out c with ctx and tells send what becomes of it, until it is
// over, nobody listens (gone ends or send says so), or the gateway stops.
func (s *Server) follow(ctx, gone context.Context, c payment.Command, send func(any) bool) {
	// Before the command: nothing that it causes may be missed.
	news, stop := s.o.Gateway.Progress()
	defer stop()

	reply := view(s.o.Gateway.Do(ctx, c))
	if !send(Line{Reply: &reply}) || reply.Status == payment.ReplyRefused || reply.ID == "" {
		return
	}
	var shown payment.Record
	var terminal payment.TerminalStatus
	for {
		// Take the channels first, then look: a change in between is not lost.
		durable, changed := s.o.Journal.Changed(), s.o.Gateway.Changed()
		rec, err := s.o.Journal.Find(reply.ID)
		if err != nil {
			return // a command without a payment, such as a diagnosis
		}
		if rec.State != shown.State || rec.Outcome.Result != shown.Outcome.Result {
			shown = rec.View()
			if !send(Line{Payment: &shown}) {
				return
			}
		}
		if Over(rec) {
			return
		}
		if t, ok := terminalOf(s.o.Gateway.Status(), rec.Terminal); ok && (t.Link != terminal.Link || t.Error != terminal.Error) {
			if (terminal.Link != "" || t.Link != payment.LinkOnline) && !send(Line{Terminal: &t}) {
				return
			}
			terminal = t
		}
		if !s.await(gone, reply.ID, news, durable, changed, send) {
			return
		}
	}
}

// await passes progress on until something changed; false means that it is
// time to end.
func (s *Server) await(gone context.Context, id payment.ID, news <-chan payment.Progress, durable, changed <-chan struct{}, send func(any) bool) bool {
	for {
		select {
		case p, ok := <-news:
			if !ok {
				news = nil
			} else if p.ID == id && !send(Line{Progress: &p}) {
				return false
			}
		case <-durable:
			return true
		case <-changed:
			return true
		case <-gone.Done():
			return false
		case <-s.stopping:
			return false
		}
	}
}

func terminalOf(s payment.Status, name string) (payment.TerminalStatus, bool) {
	for _, t := range s.Terminals {
		if t.Name == name || name == "" && len(s.Terminals) == 1 {
			return t, true
		}
	}
	return payment.TerminalStatus{}, false
}
