package ssi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
	"tillgate/link/stream"
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
// The first byte tells whether it is spoken to in frames or over HTTP.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	return s.power.Serve(ctx, c, func() error { return s.listen(c) })
}

func (s *Simulator) listen(c link.Conn) error {
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(c, first); err != nil {
		return err
	}
	in := &begun{Conn: c, first: first}
	if first[0] == 'P' || first[0] == 'G' {
		return s.web(in)
	}
	r := patientFrames(in, 500*time.Millisecond)
	for {
		data, err := r.next()
		var rep reply
		switch {
		case errors.Is(err, errLRC):
			rep = refuse(methodUnknown, "E02")
		case errors.Is(err, frame.ErrCorrupt):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.giveUp()
			continue
		case err != nil:
			return err
		default:
			rep = s.read(data)
		}
		if s.speak(c, rep.say != nil, rep.frame) || s.oneShot() && rep.say != nil || rep.hangUp {
			return nil
		}
	}
}

// begun is a connection of which the first bytes have been read.
type begun struct {
	link.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}

// web answers one request over HTTP.
func (s *Simulator) web(c link.Conn) error {
	req, err := http.ReadRequest(bufio.NewReader(io.LimitReader(c, 2*maxData)))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, maxData+1))
	if err != nil {
		return err
	}
	return s.answerWeb(c, req.Method, data)
}

func (s *Simulator) answerWeb(c link.Conn, method string, data []byte) error {
	if method != http.MethodPost || len(data) > maxData {
		_, err := io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return err
	}
	rep := s.read(data)
	if rep.say == nil && !rep.hangUp || rep.fault == "bad-length" { // holds the line for as long as somebody listens
		s.speak(c, rep.say != nil, rep.page)
		_, err := io.Copy(io.Discard, c)
		return err
	}
	s.speak(c, rep.say != nil, rep.page)
	return nil
}

// read carries out one message.
func (s *Simulator) read(data []byte) reply {
	var c command
	if json.Unmarshal(data, &c) != nil {
		return refuse(methodUnknown, "E03")
	}
	return s.hear(c)
}

func (s *Simulator) oneShot() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mood.oneShot
}

// speak says what there is to say. It tells whether the connection is over.
func (s *Simulator) speak(c link.Conn, something bool, say func() []byte) bool {
	if !something {
		return false
	}
	s.mu.Lock()
	shred := s.mood.shred
	s.mu.Unlock()
	msg := say()
	step := len(msg)
	if shred {
		step = 1
	}
	c.SetWriteDeadline(time.Now().Add(stream.WriteTimeout))
	for ; len(msg) > 0; msg = msg[step:] {
		if _, err := c.Write(msg[:step]); err != nil {
			s.log.Debug("simulated terminal cannot answer", "err", err)
			return true
		}
	}
	return false
}

// ServeHTTP is the web service: the JSON of a request as the body of a POST. It
// takes the connection over, since it has to break answers on purpose.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	data, err := io.ReadAll(io.LimitReader(req.Body, maxData+1))
	h, ok := w.(http.Hijacker)
	if err != nil || !ok {
		http.Error(w, "this connection cannot be taken over", http.StatusInternalServerError)
		return
	}
	c, _, err := h.Hijack()
	if err != nil {
		s.log.Debug("simulated terminal: the connection cannot be taken over", "err", err)
		return
	}
	if err = c.SetDeadline(time.Time{}); err == nil {
		err = s.power.Serve(context.WithoutCancel(req.Context()), c, func() error { return s.answerWeb(c, req.Method, data) })
	}
	if err != nil {
		s.log.Debug("simulated terminal: a connection broke", "err", err)
	}
}
