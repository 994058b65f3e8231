package ssi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

const webPort = "3001" // one more than that of TCP (1.1)

// web is a terminal behind HTTP: the JSON without a frame, as the body of a POST
// and of its answer. The document has neither path nor method.
type web struct {
	stream.Calls
	target string
}

func newWeb(address string) (*web, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address is no http://host[:port][/path]")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), webPort)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return &web{stream.Calls{Dial: stream.DialHost(u.Host)}, u.String()}, nil
}

func (w *web) fresh() bool { return true }

func (w *web) exchange(ctx context.Context, r request, within time.Duration) (a answer, sent bool, err error) {
	data, err := r.encode()
	if err != nil {
		return a, false, err
	}
	req, err := http.NewRequest(http.MethodPost, w.target, bytes.NewReader(data))
	if err != nil {
		return a, false, err
	}
	req.Close = true
	req.Header.Set("User-Agent", "tillgate")
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	var msg bytes.Buffer
	if err := req.Write(&msg); err != nil {
		return a, false, err
	}
	sent, err = w.Call(ctx, msg.Bytes(), within, func(conn link.Conn) error {
		a, err = readWeb(conn, req, r)
		return err
	})
	return a, sent, err
}

// readWeb takes the response apart. Redirects are not followed: what another
// address says is no answer of this terminal.
func readWeb(conn link.Conn, req *http.Request, r request) (answer, error) {
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 2*maxData)), req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("the terminal's web service answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxData+1))
	if err != nil {
		return answer{}, err
	}
	if len(b) > maxData {
		return answer{}, errTooBig
	}
	a, err := decode(b)
	if err == nil && !r.answers(a) {
		err = errors.New("the answer names another method")
	}
	return a, err
}
