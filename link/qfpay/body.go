package qfpay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"tillgate/link"
)

// text is a request as it goes onto its connection:
//
//	POST /api/pos/trade, Content-Type: application/json     "02sc4oen.."     chapter 7
//	02sc4oen..                                                                chapter 8
//
// The body of the web is a JSON string, or the bare text with bare_body; JSON
// stays as it is.
func (s *single) text(c content) ([]byte, error) {
	p := s.profile.Load()
	body := p.render(c)
	if s.web == nil {
		return body, nil
	}
	if body[0] != '{' && !p.settings.BareBody {
		body = quoted(string(body))
	}
	u := *s.web
	u.Path = path(c.get("func_type"))
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tillgate")
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// receive reads one answer. What another address says is no answer of this
// terminal, so redirects are errors.
func (s *single) receive(conn link.Conn) ([]byte, error) {
	if s.web == nil {
		return s.receiveBare(conn)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 2*maxBody)), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the terminal's web service answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	return b, err
}

// receiveBare reads an answer that has neither a length nor an end: it is there
// when it can be read. Otherwise it ends with the connection, or where the line
// has been silent for part_gap in the middle of it.
func (s *single) receiveBare(conn link.Conn) ([]byte, error) {
	p := s.profile.Load()
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if len(got) > maxBody {
			return nil, fmt.Errorf("the answer has more than %d bytes", maxBody)
		}
		if n > 0 && len(got) <= maxMessage || err != nil {
			if _, bad := p.read(got); bad == nil {
				return got, nil
			}
		}
		switch {
		case err != nil && len(bytes.TrimSpace(got)) > 0 && (errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)):
			return got, nil // what is wrong with it is told by whoever reads it
		case err != nil:
			return nil, err
		}
		if len(bytes.TrimSpace(got)) > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(p.settings.PartGap)) // fails where the connection has ended: then the next read says so
		}
	}
}
