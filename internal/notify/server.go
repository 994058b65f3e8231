package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tillgate/link"
)

// Server is a listener that is bound to its address.
type Server struct {
	options Options
	listen  *bounded
	tls     *certificate // nil: plain HTTP
	senders map[string]*sender
	work    chan struct{} // tokens of those who decode
	save    chan struct{} // tokens of those who write down
}

// Listen binds the address and reads the certificate. Serve answers.
func Listen(o Options) (*Server, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Server{options: o, senders: map[string]*sender{}, work: make(chan struct{}, workers), save: make(chan struct{}, workers)}
	var allow []netip.Prefix
	for i := range o.Senders {
		d := &o.Senders[i]
		s.senders[d.Path] = &sender{Sender: *d, log: o.Log.With("sender", d.Name)}
		allow = append(allow, d.Allow...)
	}
	if o.CertFile != "" {
		var err error
		if s.tls, err = newCertificate(o.CertFile, o.KeyFile); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	perSource := o.PerSource
	if len(o.Proxies) > 0 {
		allow, perSource = o.Proxies, 0
	}
	s.listen = newBounded(l, o.Connections, perSource, func(a netip.Addr) bool { return within(allow, a) })
	s.listen.every, s.listen.burst = time.Second/time.Duration(o.PerSecond), 4*time.Second
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listen.Addr() }

// Close gives the address back without serving.
func (s *Server) Close() error { return s.listen.Close() }

// Serve answers until ctx ends, then lets those finish that are being answered.
func (s *Server) Serve(ctx context.Context) error {
	o := s.options
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: o.HeaderTimeout, ReadTimeout: o.BodyTimeout, IdleTimeout: o.IdleTimeout,
		WriteTimeout: o.BodyTimeout + o.SaveTimeout + 5*time.Second, MaxHeaderBytes: maxHeader,
		Protocols: new(http.Protocols), DisableGeneralOptionsHandler: true,
		// Who knocks badly is counted by nobody: a line for each would fill the disk.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	h.Protocols.SetHTTP1(true)
	ended := make(chan error, 1)
	go func() {
		if s.tls == nil {
			ended <- h.Serve(s.listen)
			return
		}
		h.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.tls.get}
		ended <- h.ServeTLS(s.listen, "", "")
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		h.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := s.source(r)
	d := s.senders[r.URL.Path]
	switch {
	case d == nil:
		refuse(w, http.StatusNotFound)
	case !within(d.Allow, from):
		d.complain("its address is not in allow", "from", from.String())
		refuse(w, http.StatusForbidden)
	case r.Method != http.MethodPost:
		refuse(w, http.StatusMethodNotAllowed)
	case r.ContentLength > s.options.MaxBody:
		d.complain("its body is larger than max_body", "bytes", r.ContentLength)
		refuse(w, http.StatusRequestEntityTooLarge)
	default:
		s.take(w, r, d, from)
	}
}

// take reads the body and hands it on. Two answers can come of what was read
// completely: accepted and refused; a third says that the journal could not be
// written.
func (s *Server) take(w http.ResponseWriter, r *http.Request, d *sender, from netip.Addr) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.options.MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		d.complain("its body did not come within the bounds", "err", err)
		refuse(w, status)
		return
	}
	answered := time.Now().Add(s.options.Hold)
	ctx, cancel := context.WithTimeout(r.Context(), s.options.SaveTimeout)
	defer cancel()
	switch err := s.told(ctx, d, link.NotifyRequest{Header: r.Header, Query: r.URL.RawQuery, Body: body, From: from}); {
	case err == nil:
		answer(w, d.Accepted)
	case errors.Is(err, errRefused):
		s.hold(r.Context(), answered)
		answer(w, d.Refused)
	default:
		d.complain("its notice is not written down, so it is told to come again", "err", err)
		refuse(w, http.StatusServiceUnavailable)
	}
}

// hold waits for a moment, or for the end of a request that nobody waits for.
func (s *Server) hold(ctx context.Context, until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// source is who asks: the peer, or whom a trusted proxy names last.
func (s *Server) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap().WithZone("")
	if !within(s.options.Proxies, from) {
		return from
	}
	row := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(row) {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return netip.Addr{} // a proxy that names nobody lets nobody in
		}
		if from = a.Unmap().WithZone(""); !within(s.options.Proxies, from) {
			return from
		}
	}
	return from
}

// refuse answers what never came as far as a sender's own answers.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close") // whatever else it wanted to send is not read
	answer(w, link.NotifyAnswer{Status: status, ContentType: "text/plain; charset=utf-8", Body: http.StatusText(status) + "\n"})
}

func answer(w http.ResponseWriter, a link.NotifyAnswer) {
	h := w.Header()
	if a.ContentType != "" {
		h.Set("Content-Type", a.ContentType)
	}
	h.Set("Content-Length", fmt.Sprint(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // whoever has left hears nothing
}
