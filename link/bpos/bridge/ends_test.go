package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// toy is a library that does what a test says.
type toy struct {
	call   func(method string, args []any) (int, error)
	get    func(property string) (any, error)
	closed bool
}

func (l *toy) Call(method string, args []any) (int, error) {
	if l.call == nil {
		return 0, nil
	}
	return l.call(method, args)
}

func (l *toy) Get(property string) (any, error) {
	if l.get == nil {
		return nil, ErrAbsent
	}
	return l.get(property)
}

func (l *toy) Close() { l.closed = true }

// ends runs f with a client of a host over l, in virtual time.
func ends(t *testing.T, l *toy, f func(*testing.T, *Client)) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- Host{Kind: "toy", Open: func() (Library, error) { return l, nil }}.Serve(theirs, nil) }()
		c := NewClient(ours)
		if a, err := c.Hello(t.Context(), time.Second); err != nil || a.Kind != "toy" {
			t.Errorf("hello: got %+v, %v", a, err)
		}
		f(t, c)
		c.Close()
		if err := <-done; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the host ends with %v", err)
		}
		if !l.closed {
			t.Error("the library is not closed")
		}
	})
}

func TestCallAndGet(t *testing.T) {
	l := &toy{
		call: func(method string, args []any) (int, error) {
			switch method {
			case "Purchase":
				if fmt.Sprintf("%T%v", args[0], args) != "int64[100 0 1]" {
					return 9, nil
				}
				return 0, nil
			case "Ping":
				return 7, nil
			case "CloseApp":
				return 0, ErrAbsent
			}
			return 0, errors.New("it broke\nin two lines")
		},
		get: func(p string) (any, error) {
			v, ok := map[string]any{
				"LastResult": int64(2), "PAN": "4731123412349838", "Receipt": strings.Repeat("Ж", 40000), "Amount": int64(-1), "DataFile": []byte("x"), "LibraryVersion": "1\x1b2",
			}[p]
			if !ok {
				return nil, ErrAbsent
			}
			return v, nil
		},
	}
	ends(t, l, func(t *testing.T, c *Client) {
		for _, x := range []struct {
			method string
			args   []any
			want   string
		}{
			{"Purchase", []any{100, 0, 1}, "0 true "}, {"Ping", nil, "7 true "}, {"CloseApp", nil, "0 false absent"}, {"Confirm", nil, "0 true failed"},
			{"Purchase", []any{100}, "0 false argument"}, {"ReadCard", nil, "0 false refused"}, {"Nothing", nil, "0 false unknown"},
		} {
			code, sent, err := c.Call(t.Context(), time.Second, x.method, x.args...)
			if got := fmt.Sprintf("%d %v %s", code, sent, fault(err)); got != x.want {
				t.Errorf("%s: got %s (%v), want %s", x.method, got, err, x.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: an error of two lines", x.method)
			}
		}
		v, err := c.Get(t.Context(), time.Second, "LastResult", "PAN", "Receipt", "Amount", "DataFile", "RRN")
		if err != nil {
			t.Fatal(err)
		}
		if v.Number("LastResult") != 2 || v.Text("PAN") != "************9838" || len([]rune(v.Text("Receipt"))) != maxReceipt || v["Amount"] != nil || string(v.Data("DataFile")) != "x" || v["RRN"] != nil {
			t.Errorf("got %.200v", v)
		}
		if _, err := c.Get(t.Context(), time.Second, "Track3"); fault(err) != FaultRefused {
			t.Errorf("Track3: got %v", err)
		}
	})
}

// A library that is at work refuses what comes meanwhile; the client that gave up
// on it is not confused by its late answer.
func TestBusy(t *testing.T) {
	release := make(chan struct{})
	l := &toy{call: func(method string, _ []any) (int, error) {
		if method == "CommOpenAuto" {
			<-release
			return 42, nil
		}
		return 0, nil
	}}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		ours, theirs := net.Pipe()
		go Host{Open: func() (Library, error) { return l, nil }}.Serve(theirs, nil)
		c := NewClient(ours)
		defer c.Close()
		c.Hello(t.Context(), time.Second)
		if _, sent, err := c.Call(t.Context(), time.Second, "CommOpenAuto", 9600); err == nil || !sent {
			t.Errorf("got sent %v, %v", sent, err)
		}
		if _, sent, err := c.Call(t.Context(), time.Second, "Ping"); fault(err) != FaultBusy || sent {
			t.Errorf("got sent %v, %v, want busy", sent, err)
		}
		late := make(chan struct{})
		go func() { close(release); close(late) }()
		<-late
		synctest.Wait()
		if code, _, err := c.Call(t.Context(), time.Second, "Ping"); err != nil || code != 0 {
			t.Errorf("after it: got %d, %v", code, err)
		}
	})
}

// When the gateway goes while the library is at work, nobody waits for it.
func TestHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, hung := make(chan struct{}), make(chan struct{})
		l := &toy{call: func(string, []any) (int, error) { <-release; return 0, nil }}
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- Host{Open: func() (Library, error) { return l, nil }}.Serve(theirs, func() { close(hung) })
		}()
		c := NewClient(ours)
		c.Hello(t.Context(), time.Second)
		c.Call(t.Context(), time.Second, "Ping")
		c.Close()
		<-hung
		close(release)
		<-done
	})
}

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, x := range []struct{ answer, want string }{
			{`{"id":1,"hello":2}`, "version 2"}, {`{"id":1,"error":"version","text":"old"}`, "old"}, {`{"id":1,"code":0}`, "version 0"},
			{`{"id":2,"hello":1}`, "nonsense"}, {`SSH-2.0-OpenSSH`, "no answer of the bridge within 1s"},
		} {
			ours, theirs := net.Pipe()
			go func() {
				theirs.Read(make([]byte, 100))
				fmt.Fprintln(theirs, x.answer)
			}()
			c := NewClient(ours)
			if _, err := c.Hello(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s: got %v, want %s", x.answer, err, x.want)
			}
			c.Close()
			theirs.Close()
		}
		ours, theirs := net.Pipe()
		go Host{Open: func() (Library, error) { return nil, errors.New("no such file") }}.Serve(theirs, nil)
		c := NewClient(ours)
		defer c.Close()
		if _, err := c.Hello(t.Context(), time.Second); fault(err) != FaultLibrary || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, sent, err := c.Call(ctx, time.Second, "Ping"); sent || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got sent %v, %v", sent, err)
		}
	})
}

// A bridge that talks without end, or ends, is an error, and never an answer.
func TestNonsense(t *testing.T) {
	for name, talk := range map[string]func(net.Conn){
		"noise without end": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("noise\n", 1000))); err != nil {
					return
				}
			}
		},
		"a line without end": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("x", 10000))); err != nil {
					return
				}
			}
		},
		"the end":           func(c net.Conn) { c.Close() },
		"an id to come":     func(c net.Conn) { fmt.Fprintln(c, `{"id":9,"code":0}`) },
		"other values":      func(c net.Conn) { fmt.Fprintln(c, `{"id":1,"values":{"RRN":"1"}}`) },
		"a code for values": func(c net.Conn) { fmt.Fprintln(c, `{"id":1,"code":0}`) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				go func() {
					theirs.Read(make([]byte, 100))
					talk(theirs)
				}()
				c := NewClient(ours)
				if v, err := c.Get(t.Context(), time.Second, "LastResult"); err == nil {
					t.Errorf("got %v", v)
				}
				c.Close()
				theirs.Close()
			})
		})
	}
}

// A line that is too long for the host costs that line.
func TestLongRequest(t *testing.T) {
	ends(t, &toy{}, func(t *testing.T, c *Client) {
		go c.conn.Write([]byte(strings.Repeat("x", 3*MaxRequest) + "\n"))
		b := make([]byte, 200)
		n, err := c.conn.Read(b)
		if err != nil || !strings.Contains(string(b[:n]), "malformed") {
			t.Errorf("got %s, %v", b[:n], err)
		}
		if _, _, err := c.Call(t.Context(), time.Second, "Ping"); err != nil {
			t.Error(err)
		}
	})
}
