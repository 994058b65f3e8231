package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"tillgate/internal/payment"
)

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /v1/commands", s.command)
	m.HandleFunc("GET /v1/status", s.status)
	m.HandleFunc("GET /v1/terminals", s.terminals)
	m.HandleFunc("GET /v1/journal", s.history)
	m.HandleFunc("GET /v1/journal/{id}", s.entry)
	m.HandleFunc("POST /v1/journal/verify", s.verify)
	m.HandleFunc("POST /v1/journal/backup", s.backup)
	m.HandleFunc("GET /v1/events", s.events)
	m.HandleFunc("GET /v1/version", s.version)
	if s.o.Updates != nil {
		m.HandleFunc("GET /v1/health", s.health)
		m.HandleFunc("POST /v1/hold", s.hold)
		m.HandleFunc("DELETE /v1/hold", s.release)
	}
	return m
}

// command carries out one command. A command that cannot be read is answered
// as every refused command is: with a reply.
func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	c, err := readCommand(w, r)
	if err != nil {
		reply := payment.Refused(c, err)
		code := http.StatusBadRequest
		if reply.Reason == payment.ReasonOversized {
			code = http.StatusRequestEntityTooLarge
		}
		writeJSON(w, code, reply)
		return
	}
	// Whoever sent it may be gone before it is answered; a command that has
	// been read is carried out all the same.
	ctx := context.WithoutCancel(r.Context())
	if r.URL.Query().Get("follow") != "1" {
		writeJSON(w, http.StatusOK, view(s.o.Gateway.Do(ctx, c)))
		return
	}
	s.follow(ctx, r.Context(), c, lines(w))
}

func readCommand(w http.ResponseWriter, r *http.Request) (payment.Command, error) {
	var c payment.Command
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return c, payment.Refuse(payment.ReasonInvalid, "content type must be application/json")
	}
	// The deadline is for the body alone: one for the connection would end an
	// answer that takes as long as a customer does.
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return c, err
	}
	defer deadline.SetReadDeadline(time.Time{})
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxCommand))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			discard(r.Body)
			return c, payment.Refuse(payment.ReasonOversized, "a command has at most %d bytes", MaxCommand)
		}
		return c, payment.Refuse(payment.ReasonInvalid, "the command ended early")
	}
	return decodeCommand(body, peer(r.Context()))
}

// decodeCommand reads exactly one command and refuses members it does not have.
func decodeCommand(body []byte, client string) (payment.Command, error) {
	var c payment.Command
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return payment.Command{}, payment.Refuse(payment.ReasonInvalid, "not a command: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return payment.Command{}, payment.Refuse(payment.ReasonInvalid, "more than one JSON value")
	}
	known := false
	for _, v := range payment.Verbs() {
		known = known || v == c.Verb
	}
	if !known {
		return payment.Command{}, payment.Refuse(payment.ReasonInvalid, "no such verb")
	}
	if op, ok := c.Verb.Operation(); ok {
		if c.Operation != "" && c.Operation != op {
			return payment.Command{}, payment.Refuse(payment.ReasonInvalid, "operation contradicts the verb")
		}
		c.Operation = op
	}
	c.Front, c.Client = "cli", client
	return c, nil
}

// view leaves out what only the drivers need.
func view(r payment.Reply) payment.Reply {
	if r.Payment != nil {
		rec := r.Payment.View()
		r.Payment = &rec
	}
	return r
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.o.Gateway.Status())
}

func (s *Server) terminals(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.o.Terminals)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.o.Version)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		code, b = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // a client that is gone has no use for the error
}

// fail answers with err, and the code that fits its reason.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	reason := payment.ReasonOf(err)
	switch reason {
	case payment.ReasonNotFound, payment.ReasonExpired:
		code = http.StatusNotFound
	case payment.ReasonInvalid:
		code = http.StatusBadRequest
	case "":
	default:
		code = http.StatusConflict
	}
	writeJSON(w, code, problem{err.Error(), reason})
}

// lines starts a stream of JSON lines; the function writes one and tells
// whether somebody still reads.
func lines(w http.ResponseWriter) func(v any) bool {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	return func(v any) bool {
		b, err := json.Marshal(v)
		if err != nil {
			return false
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return false
		}
		return flush.Flush() == nil
	}
}
