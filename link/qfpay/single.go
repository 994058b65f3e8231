package qfpay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// maxBody bounds an answer over HTTP or TCP, in bytes.
const maxBody = 256 << 10

// single is a terminal behind HTTP or TCP: each request has a connection of its
// own, on which its answer comes.
type single struct {
	stream.Calls
	web     *url.URL // nil: TCP
	profile *atomic.Pointer[profile]
	log     *slog.Logger
}

// dialWeb opens a stream to a host of the web, "name:port".
type dialWeb func(host string) func(ctx context.Context) (link.Conn, error)

func newSingle(c link.Config, wire string, p *atomic.Pointer[profile], dial dialWeb, log *slog.Logger) (*single, error) {
	s := &single{Calls: stream.Calls{Dial: c.Dial}, profile: p, log: log}
	if wire == WireHTTP {
		if err := s.setWeb(c.Address, dial); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// setWeb prepares for HTTP. The port is 9001 where the address has none
// (chapter 7). Only an address of the web is dialled here; any other, such as
// a simulator's, is opened as configured.
func (s *single) setWeb(address string, dial dialWeb) error {
	s.web = &url.URL{Scheme: "http", Host: "terminal:9001"}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return errors.New("the address is no http://host[:port]")
	}
	port := u.Port()
	if port == "" {
		port = "9001"
	}
	s.web = &url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port)}
	if u.Scheme == "https" {
		if s.TLS, err = s.profile.Load().settings.authority(); err != nil {
			return err
		}
	}
	s.Dial = dial(s.web.Host)
	return nil
}

// authority believes the certificates of one authority and no others. Terminals
// are reached by an address that their certificate need not have, so its name is
// compared only where server_name says which.
func (s *Settings) authority() (*tls.Config, error) {
	if s.CAFile == "" {
		return nil, errors.New("https needs ca_file: the authority that signed the terminal's certificate")
	}
	b, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no PEM certificate", s.CAFile)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         s.ServerName,
		InsecureSkipVerify: true, // replaced by the check below, which can leave the name out
		VerifyConnection: func(state tls.ConnectionState) error {
			o := x509.VerifyOptions{Roots: pool, DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
			for _, c := range state.PeerCertificates[1:] {
				o.Intermediates.AddCert(c)
			}
			_, err := state.PeerCertificates[0].Verify(o)
			return err
		},
	}, nil
}

func (s *single) waiting() []answer { return nil }

func (s *single) exchange(ctx context.Context, c call) (sent bool, err error) {
	text, err := s.text(c.content)
	if err != nil {
		return false, err
	}
	return s.Call(ctx, text, c.within, func(conn link.Conn) error {
		if c.wrote != nil {
			c.wrote()
		}
		defer s.stopping(ctx, c.abort)()
		b, err := s.receive(conn)
		if err != nil {
			return err
		}
		a, err := s.profile.Load().read(b)
		if err != nil {
			return err
		}
		if !c.take(heard{answer: a, ours: true}) {
			return errors.New("the answer is about something else")
		}
		return nil
	})
}

// stopping sends function 5001 on a connection of its own when abort is closed,
// and again until it is ended: the wish can come before the request, which has
// another connection. What the terminal answers to the request decides; this
// answer is of no use. The function that is returned ends it and waits until it
// has.
func (s *single) stopping(ctx context.Context, abort <-chan struct{}) (end func()) {
	if abort == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-abort:
		}
		again := time.NewTicker(stopEvery)
		defer again.Stop()
		for ctx.Err() == nil {
			within := s.profile.Load().settings.QueryTimeout
			_, err := s.exchange(ctx, call{content: function(funcCancel), within: within, take: func(heard) bool { return true }})
			if err != nil && ctx.Err() == nil {
				s.log.Warn("the terminal cannot be asked to stop", "err", err)
			}
			select {
			case <-ctx.Done():
			case <-again.C:
			}
		}
	})
	return func() { cancel(); g.Wait() }
}
