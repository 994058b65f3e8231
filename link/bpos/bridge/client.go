package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"tillgate/internal/payment"
)

// Conn is the connection to a bridge: a pipe to a child, TCP, or the line of a
// simulator.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// maxNoise bounds what is skipped on one connection because it is no answer.
const maxNoise = 4 << 20

// errNonsense: the connection is of no more use.
var errNonsense = errors.New("the bridge talks nonsense")

// Client asks a bridge. One goroutine uses it at a time, except Close.
type Client struct {
	conn  Conn
	id    int64
	have  []byte // read, and not a whole line yet
	skip  bool   // the rest of a line that is too long is skipped
	noise int    // bytes that were no answer
}

// NewClient makes a client; the connection is the client's.
func NewClient(c Conn) *Client { return &Client{conn: c} }

// Close ends the connection, and wakes whoever waits for an answer.
func (c *Client) Close() error { return c.conn.Close() }

// Hello makes the bridge load its library. It returns the answer, with the kind
// of the bridge and the version of the library.
func (c *Client) Hello(ctx context.Context, within time.Duration) (Answer, error) {
	a, _, err := c.ask(ctx, Request{Hello: Version}, within)
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("hello: %w", err)
	case a.Hello != Version:
		return Answer{}, fmt.Errorf("hello: the bridge speaks version %d of the protocol, this is version %d", a.Hello, Version)
	}
	return a, nil
}

// Call calls a method of the library and returns what the method returned: 0 is
// done. sent says whether the bridge may have called it.
func (c *Client) Call(ctx context.Context, within time.Duration, method string, args ...any) (code int, sent bool, err error) {
	a, sent, err := c.ask(ctx, Request{Call: method, Args: args}, within)
	if err == nil && a.Code == nil {
		err = errNonsense
	}
	if err != nil {
		if r, ok := errors.AsType[*Refusal](err); ok && r.Fault != FaultFailed {
			sent = false
		}
		return 0, sent, fmt.Errorf("%s: %w", method, err)
	}
	return *a.Code, true, nil
}

// Values are properties by name.
type Values map[string]any

// Number is a property of kind [Byte] or [Number]; 0 if the library has it not.
func (v Values) Number(name string) int64 { n, _ := v[name].(int64); return n }

// Text is a property of kind [Text]; "" if the library has it not.
func (v Values) Text(name string) string { s, _ := v[name].(string); return s }

// Data is a property of kind [Data].
func (v Values) Data(name string) []byte { b, _ := v[name].([]byte); return b }

// Get reads properties. All that were asked for are there.
func (c *Client) Get(ctx context.Context, within time.Duration, names ...string) (Values, error) {
	a, _, err := c.ask(ctx, Request{Get: names}, within)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", names[0], err)
	}
	for _, n := range names {
		if _, ok := a.Values[n]; !ok {
			return nil, fmt.Errorf("get %s: %w", n, errNonsense)
		}
	}
	return a.Values, nil
}

// ask sends one request and waits for its answer. What is no answer, and answers
// to what was given up, are skipped, up to a bound. sent says whether a byte may
// have gone out.
func (c *Client) ask(ctx context.Context, r Request, within time.Duration) (a Answer, sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, false, err
	}
	c.id++
	r.ID = c.id
	b, err := r.Line()
	if err != nil {
		return Answer{}, false, err
	}
	until := time.Now().Add(within)
	c.conn.SetReadDeadline(until)
	c.conn.SetWriteDeadline(until)
	defer context.AfterFunc(ctx, func() {
		c.conn.SetReadDeadline(time.Unix(1, 0))
		c.conn.SetWriteDeadline(time.Unix(1, 0))
	})()
	if n, err := c.conn.Write(b); err != nil {
		return Answer{}, n > 0, cause(ctx, within, err)
	}
	for {
		line, err := c.line()
		if err != nil {
			return Answer{}, true, cause(ctx, within, err)
		}
		a, err := ParseAnswer(line)
		switch {
		case err != nil || a.ID != 0 && a.ID < r.ID:
			if c.noise += len(line); c.noise > maxNoise {
				return Answer{}, true, errNonsense
			}
		case a.ID > r.ID:
			return Answer{}, true, errNonsense
		case a.Error != "":
			return Answer{}, true, &Refusal{a.Error, clean(a.Text)}
		default:
			return a, true, nil
		}
	}
}

// cause prefers the reason why a deadline was moved.
func cause(ctx context.Context, within time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the bridge has ended")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer of the bridge within %v: the library in it may hang, or something else is at the address", within)
	}
	return err
}

// line reads up to the next 0A. Of a line that is too long, nothing is kept.
func (c *Client) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.have, '\n'); i >= 0 {
			line := bytes.Clone(c.have[:i])
			c.have = append(c.have[:0], c.have[i+1:]...)
			if !c.skip {
				return line, nil
			}
			c.skip = false
			continue
		}
		if len(c.have) > MaxAnswer {
			c.noise += len(c.have)
			c.have, c.skip = c.have[:0], true
		}
		if c.noise > maxNoise {
			return nil, errNonsense
		}
		var buf [4096]byte
		n, err := c.conn.Read(buf[:])
		c.have = append(c.have, buf[:n]...)
		if err != nil && n == 0 {
			return nil, err
		}
	}
}

// clean keeps a text of the bridge fit for an error: one line, bounded, without
// card numbers.
func clean(s string) string { return payment.Clip(payment.MaskNumbers(payment.Printable(s)), 800) }
