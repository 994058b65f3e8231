package control

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// Handler is what a server answers with, without its socket.
func Handler(o Options) http.Handler {
	o.Log = slog.New(slog.DiscardHandler)
	return (&Server{o: o, stopping: make(chan struct{})}).routes()
}

// deadlined gives a recorder the deadline that a connection has.
type deadlined struct{ *httptest.ResponseRecorder }

func (deadlined) SetReadDeadline(time.Time) error { return nil }

// Post sends one command straight to h.
func Post(h http.Handler, body []byte) (int, []byte) {
	w := deadlined{httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/v1/commands", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// PeerOf is peerOf.
func PeerOf(c net.Conn) (uint32, error) { return peerOf(c) }
