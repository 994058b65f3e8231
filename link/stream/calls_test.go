package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/link"
)

// called is a terminal that serves each connection with serve.
func called(serve func(far net.Conn)) *Calls {
	return &Calls{Dial: func(context.Context) (link.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(far)
		}()
		return near, nil
	}}
}

func silent(far net.Conn) { io.Copy(io.Discard, far) }

func one(conn link.Conn) error {
	_, err := conn.Read(make([]byte, 1))
	return err
}

// TestCall ends for each of its reasons, and its connection with it.
func TestCall(t *testing.T) {
	refused := errors.New("refused")
	for name, tt := range map[string]struct {
		serve func(far net.Conn)
		end   func(c *Calls, cancel func()) // after a minute
		sent  bool
		want  error
	}{
		"answered":  {func(far net.Conn) { io.ReadFull(far, make([]byte, 3)); far.Write([]byte("a")) }, nil, true, nil},
		"hung up":   {func(far net.Conn) { io.ReadFull(far, make([]byte, 3)) }, nil, true, io.EOF},
		"silent":    {silent, nil, true, ErrSilent},
		"cancelled": {silent, func(_ *Calls, cancel func()) { cancel() }, true, context.Canceled},
		"closed":    {silent, func(c *Calls, _ func()) { c.Close(); c.Close() }, true, net.ErrClosed},
		"in part":   {func(far net.Conn) { far.Read(make([]byte, 1)) }, nil, true, io.ErrClosedPipe},
		"not read":  {func(far net.Conn) { time.Sleep(time.Hour) }, func(c *Calls, _ func()) { c.Close() }, false, nil},
		"refused":   {nil, nil, false, refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			over := make(chan struct{})
			c := called(func(far net.Conn) { defer close(over); tt.serve(far) })
			if tt.serve == nil {
				close(over)
				c.Dial = func(context.Context) (link.Conn, error) { return nil, refused }
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.end != nil {
				time.AfterFunc(time.Minute, func() { tt.end(c, cancel) })
			}
			began := time.Now()
			sent, err := c.Call(ctx, []byte("abc"), time.Hour, one)
			switch {
			case name == "not read": // its deadline for writing comes first
				if sent || err == nil || time.Since(began) != WriteTimeout {
					t.Errorf("%s: got %t, %v after %v", name, sent, err, time.Since(began))
				}
			case sent != tt.sent || !errors.Is(err, tt.want):
				t.Errorf("%s: got %t, %v, want %t, %v", name, sent, err, tt.sent, tt.want)
			}
			<-over
			if len(c.conns) > 0 {
				t.Errorf("%s: the connection is still held", name)
			}
		})
	}
}

// TestCallAfterTheEnd dials nobody.
func TestCallAfterTheEnd(t *testing.T) {
	c := &Calls{Dial: func(context.Context) (link.Conn, error) { t.Error("dialled"); return nil, io.EOF }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sent, err := c.Call(ctx, nil, time.Hour, one); sent || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %t, %v", sent, err)
	}
	c.Close()
	if sent, err := c.Call(t.Context(), nil, time.Hour, one); sent || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: got %t, %v", sent, err)
	}
}

// TestCallClosedWhileDialling: the connection that was made too late is given
// back, and nothing sent.
func TestCallClosedWhileDialling(t *testing.T) {
	var heard bytes.Buffer
	over := make(chan struct{})
	c := called(func(far net.Conn) { io.Copy(&heard, far); close(over) })
	dial := c.Dial
	c.Dial = func(ctx context.Context) (link.Conn, error) { defer c.Close(); return dial(ctx) }
	if sent, err := c.Call(t.Context(), []byte("abc"), time.Hour, one); sent || !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %t, %v", sent, err)
	}
	if <-over; heard.Len() > 0 {
		t.Errorf("%q was sent", heard.String())
	}
}

func TestDialHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := DialHost(l.Addr().String())(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	if conn, err := DialHost(l.Addr().String())(t.Context()); err == nil || conn != nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: got %v, %v", conn, err)
	}
}
