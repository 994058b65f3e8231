package bridge

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// gateway hears one answer and hangs up.
type gateway struct {
	bytes.Buffer
	hangUp io.Closer
}

func (g *gateway) Write(b []byte) (int, error) {
	defer g.hangUp.Close()
	return g.Buffer.Write(b)
}

// TestProgram: what is wrong with the arguments is said once, with the way out.
func TestProgram(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		out    string // in standard output; "" is nothing
		err    string // in standard error, likewise
	}{
		{"-help", 0, "", "-listen address"},
		{"-version", 0, "line protocol 1", ""},
		{"", 2, "", "-library is required; see -help"},
		{"-nope", 2, "", "not defined: -nope; see -help"},
		{"-library /l extra", 2, "", "no arguments beside the flags"},
		{"-library /l -allow 10.0.0.0/8", 2, "", "-allow goes with -listen"},
		{"-library /l -listen 127.0.0.1:0 -allow 10.0.0.5", 2, "", `"10.0.0.5" is no network: `},
		{"-library /l -listen 127.0.0.1:99999", 1, "", "99999"},
		{"-library /l", 0, `{"id":1,"error":"library","text":"no such file"}` + "\n", ""},
	} {
		in, asks := io.Pipe()
		go io.WriteString(asks, `{"id":1,"hello":1}`+"\n") // until it is read, or in is closed
		out, err := gateway{hangUp: asks}, bytes.Buffer{}
		p := Program{
			Kind: "test", About: "A bridge.", Library: "path", Open: func(string) (Library, error) { return nil, errors.New("no such file") },
			In: in, Out: &out, Err: &err,
		}
		status := p.Run(strings.Fields(c.args))
		in.Close()
		for what, got := range map[string]struct{ text, want string }{"says": {out.String(), c.out}, "complains": {err.String(), c.err}} {
			if !strings.Contains(got.text, got.want) || (got.want == "") != (got.text == "") {
				t.Errorf("%q %s %q, want %q", c.args, what, got.text, got.want)
			}
		}
		if status != c.status || c.status == 2 && strings.Count(err.String(), "\n") != 1 {
			t.Errorf("%q ends with %d, and says %q", c.args, status, err.String())
		}
	}
}
