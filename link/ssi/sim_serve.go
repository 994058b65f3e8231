package ssi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	s.mu.Lock()
	s.conns[c] = true
	closed := s.ctx.Err() != nil
	s.mu.Unlock()
	defer s.unplug(c)
	if closed {
		return nil
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	err := s.listen(c)
	for _, end := range []error{io.EOF, io.ErrClosedPipe, os.ErrClosed, net.ErrClosed, syscall.EIO, syscall.ECONNRESET} { // EIO: a pty whose other end is closed
		if errors.Is(err, end) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Simulator) unplug(c link.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Simulator) listen(c link.Conn) error {
	r := &patient{conn: c, idle: 500 * time.Millisecond, limited: true}
	r.frames = newFrames(r)
	for {
		data, err := r.frames.next()
		var rep reply
		switch {
		case errors.Is(err, errLRC):
			rep = refuse(methodUnknown, "E02")
		case errors.Is(err, frame.ErrCorrupt):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.frames.giveUp()
			continue
		case err != nil:
			return err
		default:
			rep = s.read(data)
		}
		if s.speak(c, rep) {
			return nil
		}
	}
}

// read carries out one message of a stream or of HTTP.
func (s *Simulator) read(data []byte) reply {
	var c command
	if json.Unmarshal(data, &c) != nil {
		return refuse(methodUnknown, "E03")
	}
	return s.hear(c)
}

// speak says whether the connection is over.
func (s *Simulator) speak(c link.Conn, rep reply) bool {
	s.mu.Lock()
	shred, oneShot := s.mood.shred, s.mood.oneShot
	s.mu.Unlock()
	if rep.say != nil {
		msg := rep.frame()
		step := len(msg)
		if shred {
			step = 1
		}
		c.SetWriteDeadline(time.Now().Add(writeTimeout))
		for ; len(msg) > 0; msg = msg[step:] {
			if _, err := c.Write(msg[:step]); err != nil {
				s.log.Debug("simulated terminal cannot answer", "err", err)
				return true
			}
		}
	}
	return rep.hangUp || oneShot && rep.say != nil
}

// ServeHTTP is the web service: the JSON of a request as the body of a POST.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxData))
	if err != nil {
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	rep := s.read(data)
	if rep.say != nil && rep.fault != "half-ack" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write(rep.encode())
		return
	}
	if rep.say == nil && !rep.hangUp { // says nothing, for as long as somebody listens
		select {
		case <-req.Context().Done():
		case <-s.ctx.Done():
		}
	}
	panic(http.ErrAbortHandler) // ends the connection without an answer
}
