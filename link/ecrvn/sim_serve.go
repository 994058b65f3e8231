package ecrvn

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

const (
	maxRequest = 1024                  // bytes of a request; the longest possible has 170
	requestGap = 10 * time.Millisecond // silence that ends a request: 115 characters at 115200 baud
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
// The newest connection is where the terminal's cable is plugged in.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	s.mu.Lock()
	s.cable = c
	s.mu.Unlock()
	defer s.unplug(c)
	return s.power.Serve(ctx, c, func() error { return s.listen(c) })
}

func (s *Simulator) unplug(c link.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cable == c {
		s.cable = nil
	}
}

// listen cuts requests out of the bytes. They have no terminator, so one ends
// where nothing may follow, or at a gap.
func (s *Simulator) listen(c link.Conn) error {
	buf := make([]byte, 0, maxRequest)
	for {
		until := time.Time{}
		if len(buf) > 0 {
			until = time.Now().Add(requestGap)
		}
		if err := c.SetReadDeadline(until); err != nil {
			return err
		}
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		gap := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !gap {
			return err
		}
		if i := bytes.Index(buf, []byte("/ecr?")); i > 0 {
			buf = buf[:copy(buf, buf[i:])]
		}
		if gap || len(buf) == cap(buf) || complete(string(buf)) {
			s.hear(string(buf))
			buf = buf[:0]
		}
	}
}

// complete says whether nothing can follow a request.
func complete(text string) bool {
	r, err := parseRequest(text)
	if err != nil || len(r.args) == 0 {
		return err == nil && r.command == cmdLast
	}
	last := r.args[len(r.args)-1]
	switch r.command {
	case cmdSettle:
		return last == "YES" || last == "NO"
	case cmdSale:
		return len(r.args) == 6 && len(last) == maxText
	}
	return false
}

// hear carries a request out. One that takes its time does so in the
// background: the customer goes on whatever becomes of the cable. The terminal
// is busy before the next request is read.
func (s *Simulator) hear(text string) {
	r, err := parseRequest(text)
	if err != nil {
		s.log.Debug("simulated terminal ignores a request", "err", err)
		return
	}
	wait, ok := s.accept(r)
	switch {
	case !ok:
	case wait == 0:
		s.speak(s.serve(r, 0))
	default:
		s.power.Go(func() { s.speak(s.serve(r, wait)) })
	}
}

// speak sends a reply to wherever the cable is now.
func (s *Simulator) speak(rep reply, ok bool) {
	s.mu.Lock()
	c := s.cable
	s.mu.Unlock()
	if !ok || c == nil {
		return
	}
	if len(rep.say) > 0 {
		c.SetWriteDeadline(time.Now().Add(stream.WriteTimeout))
		if _, err := c.Write(rep.say); err != nil {
			s.log.Debug("simulated terminal cannot answer", "err", err)
		}
	}
	if rep.hangUp {
		c.Close()
	}
}

// ServeHTTP is the web service: GET or POST /ecr?rqt=...
func (s *Simulator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	query := req.URL.RawQuery
	if strings.Contains(query, "%") {
		if plain, err := url.PathUnescape(query); err == nil {
			query = plain
		}
	}
	r, err := parseRequest("/ecr?" + query)
	if err != nil || req.URL.Path != "/ecr" {
		http.NotFound(w, req)
		return
	}
	s.power.Respond(w, req, func() []byte {
		rep, ok := s.run(r)
		switch {
		case len(rep.say) > 0:
			return rep.say
		case ok && !rep.hangUp:
			return nil
		}
		return []byte{}
	})
}
