package qfpay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"tillgate/link"
)

// Serve talks on one connection until it ends or ctx does; then it returns nil.
// The first bytes tell whether it is spoken to in packets, over HTTP, or by the
// bare text of TCP. The newest connection with packets is where the terminal's
// cable is plugged in.
func (s *Simulator) Serve(ctx context.Context, c link.Conn) error {
	defer s.unplug(c)
	return s.power.Serve(ctx, c, func() error { return s.listen(c) })
}

func (s *Simulator) unplug(c link.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cable != nil && s.cable.conn == c {
		s.cable = nil
	}
}

func (s *Simulator) listen(c link.Conn) error {
	in := bufio.NewReader(c)
	first, err := in.Peek(5)
	switch {
	case string(first) == "POST ":
		req, err := http.ReadRequest(in)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
		if err != nil {
			return err
		}
		return s.single(c, body, req.URL.Path)
	case len(first) == 5 && (first[0] == '{' || isBase64(first)):
		return s.bare(c, in)
	case err != nil:
		return err
	}
	return s.packets(c, in)
}

func isBase64(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return true
}

// bare reads a request that has no end: it is there when it can be read, or when
// nothing has come behind it for half a second.
func (s *Simulator) bare(c link.Conn, in *bufio.Reader) error {
	var got []byte
	buf := make([]byte, 4096)
	for len(got) <= maxBody {
		n, err := in.Read(buf)
		got = append(got, buf[:n]...)
		_, _, bad := s.open(got)
		if bad == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			return s.single(c, got, "")
		}
		if err == nil {
			err = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// single answers one request on its own connection. The customer goes on
// whatever becomes of that.
func (s *Simulator) single(c link.Conn, body []byte, endpoint string) error {
	answered := make(chan []byte, 1)
	s.power.Go(func() { answered <- s.respond(body, endpoint) })
	var b []byte
	select {
	case b = <-answered:
	case <-s.power.Done():
		return nil
	}
	if b == nil {
		_, err := io.Copy(io.Discard, c) // says nothing, for as long as somebody listens
		return err
	}
	if endpoint != "" && len(b) > 0 {
		b = append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"), b...)
	}
	_, err := c.Write(b)
	return err
}

// respond is the body of the answer to one request: nil is silence, empty the
// end of the connection.
func (s *Simulator) respond(body []byte, endpoint string) []byte {
	r, p, err := s.open(body)
	if err != nil {
		return []byte(`{"respcd":"5001","resperr":"decrypt"}`)
	}
	if endpoint != "" && endpoint != path(r.content.get("func_type")) {
		return []byte(`{"respcd":"4006","resperr":"path"}`)
	}
	rep, ok := s.run(r, p)
	if !ok || rep.hangUp && rep.mute {
		return []byte{}
	}
	if rep.mute {
		return nil
	}
	b := s.write(rep, r, p)
	if rep.half {
		b = b[:len(b)/2]
	}
	return b
}

// write is an answer as it goes into a packet or a body.
func (s *Simulator) write(rep reply, r request, p *profile) []byte {
	s.mu.Lock()
	mood := s.mood
	s.mu.Unlock()
	if rep.noise {
		return bytes.Repeat([]byte("\x00\xff/n\x01\x10{\x1b}{\"~"), 40)
	}
	e := map[string]string{"respcd": rep.respcd, "respmsg": rep.text, "resperr": "", "data": ""}
	if mood.marks {
		e["respmsg"] = "/n/n\x01\x10/n"
	}
	var data any = rep.data
	if len(rep.data) == 1 && !mood.list {
		data = rep.data[0]
	}
	if len(rep.data) > 0 {
		e["data"] = string(encode(data))
	}
	b := encode(e)
	if mood.plain || !r.sealed {
		return b
	}
	return p.sealer.seal(b)
}

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // maps of strings can always be encoded
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// ServeHTTP is the web service.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Write([]byte(`{"respcd":"4004","resperr":"want POST"}`))
		return
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.power.Respond(w, req, func() []byte { return s.respond(body, req.URL.Path) })
}
