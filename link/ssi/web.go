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
	"os"
	"strings"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

const webPort = "3001" // one more than that of TCP (1.1)

// isWeb says whether an address is a web service's.
func isWeb(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// newWeb is a terminal behind HTTP: the JSON without a frame, as the body of a
// POST and of its answer. The document has neither path nor method. Requests
// are written here: net/http's client repeats them, follows redirects and
// cannot tell whether a byte has left.
func newWeb(address string) (*calls, error) {
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
	d := &net.Dialer{}
	return webCalls(func(ctx context.Context) (link.Conn, error) { return d.DialContext(ctx, "tcp", u.Host) }, u.String()), nil
}

// newWebOver is a web service at the other end of whatever dial opens.
func newWebOver(dial func(context.Context) (link.Conn, error)) *calls {
	return webCalls(dial, "http://terminal/")
}

func webCalls(dial func(context.Context) (link.Conn, error), target string) *calls {
	return &calls{dial: dial, talk: func(ctx context.Context, conn link.Conn, r request, within time.Duration) (answer, bool, error) {
		return post(ctx, conn, target, r, within)
	}}
}

// post makes one exchange on a new connection.
func post(ctx context.Context, conn link.Conn, target string, r request, within time.Duration) (a answer, sent bool, err error) {
	data, err := r.encode()
	if err != nil {
		return a, false, err
	}
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(data))
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
	// The deadline is the call's; a cancelled ctx moves it into the past.
	until := time.Now().Add(within)
	if err := errors.Join(conn.SetReadDeadline(until), conn.SetWriteDeadline(until)); err != nil {
		return a, false, err
	}
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0))
		conn.SetWriteDeadline(time.Unix(1, 0))
	})
	defer stop()
	if n, err := conn.Write(msg.Bytes()); err != nil {
		return a, n > 0, cause(ctx, err)
	}
	a, err = readWeb(conn, req, r)
	return a, true, cause(ctx, err)
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

// cause says what an error of the connection means.
func cause(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return stream.ErrSilent
	}
	return err
}
