package ecrvn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"tillgate/link"
	"tillgate/link/frame"
	"tillgate/link/stream"
)

// web is a terminal behind its web service.
type web struct {
	stream.Calls
	base     *url.URL
	settings *Settings
	log      *slog.Logger
}

func newWeb(address string, s *Settings, log *slog.Logger) (*web, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address is no http://host[:port][/path]")
	}
	if u.Port() == "" && s.Web.Port != 0 {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(s.Web.Port))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = s.Web.Path
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	w := &web{Calls: stream.Calls{Dial: stream.DialHost(host)}, base: u, settings: s, log: log}
	if u.Scheme == "https" {
		w.TLS, err = s.Web.pinned()
	}
	return w, err
}

// pinned accepts one certificate and nothing else. The terminal has made it
// itself, so neither its name nor its dates nor an authority tell anything.
func (w Web) pinned() (*tls.Config, error) {
	want, err := w.pin()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		InsecureSkipVerify: true, // replaced by the comparison below
		VerifyConnection: func(s tls.ConnectionState) error {
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				return fmt.Errorf("the terminal's certificate has the sha-256 fingerprint %x, which is not the pinned one", got)
			}
			return nil
		},
	}, nil
}

func (w Web) pin() ([32]byte, error) {
	if w.CertificateSHA256 != "" {
		return w.fingerprint()
	}
	if w.CertificateFile == "" {
		return [32]byte{}, errors.New("https needs web.certificate_sha256 or web.certificate_file: the terminal's certificate is its own")
	}
	b, err := os.ReadFile(w.CertificateFile)
	if err != nil {
		return [32]byte{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return [32]byte{}, fmt.Errorf("%s: no PEM certificate", w.CertificateFile)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return [32]byte{}, fmt.Errorf("%s: %w", w.CertificateFile, err)
	}
	return sha256.Sum256(c.Raw), nil
}

func (w *web) Late() []answer { return nil }

func (w *web) exchange(ctx context.Context, c call) (sent bool, err error) {
	text, req, err := w.render(c.query)
	if err != nil {
		return false, err
	}
	return w.Call(ctx, text, c.within, func(conn link.Conn) error {
		if c.wrote != nil {
			c.wrote()
		}
		return w.read(conn, req, c)
	})
}

// render writes the whole HTTP request. The query is text, as the document
// sends it: '|' and ':' are not percent-encoded.
func (w *web) render(query string) ([]byte, *http.Request, error) {
	u := *w.base
	u.RawQuery = query
	req, err := http.NewRequest(w.settings.Web.Method, u.String(), strings.NewReader(w.settings.Web.Body))
	if err != nil {
		return nil, nil, err
	}
	req.Close = true
	req.Header.Set("User-Agent", "tillgate")
	if w.settings.Web.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range w.settings.Web.Headers {
		req.Header.Set(k, v)
	}
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), req, nil
}

// read takes the response apart. Redirects are not followed: what another
// address says is no answer of this terminal.
func (w *web) read(conn link.Conn, req *http.Request, c call) error {
	limited := io.LimitReader(conn, 2*maxAnswer)
	resp, err := http.ReadResponse(bufio.NewReader(limited), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the terminal's web service answers %d", resp.StatusCode)
	}
	objects := frame.NewObjects(resp.Body, maxAnswer)
	for {
		b, err := objects.Next()
		if errors.Is(err, frame.ErrCorrupt) {
			continue
		}
		if errors.Is(err, io.EOF) {
			return errors.New("the response ends without an answer")
		}
		if err != nil {
			return err
		}
		a, err := decode(b)
		if err != nil {
			w.log.Warn("object from the terminal dropped", "bytes", len(b), "err", err)
			continue
		}
		if c.take(a) {
			return nil
		}
	}
}
