package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pieces reads b in pieces whose lengths come from cut, over and over.
type pieces struct {
	b, cut []byte
	i      int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := min(len(p.b), len(b))
	if len(p.cut) > 0 {
		n = min(n, 1+int(p.cut[p.i%len(p.cut)]))
		p.i++
	}
	copy(b, p.b[:n])
	p.b = p.b[n:]
	return n, nil
}

// all reads to the end; a corrupt frame is written as "corrupt".
func all(r io.Reader, max int) (got []string, err error) {
	o := NewObjects(r, max)
	for {
		b, err := o.Next()
		switch {
		case errors.Is(err, ErrCorrupt):
			got = append(got, "corrupt")
		case err != nil:
			return got, err
		default:
			got = append(got, string(b))
		}
	}
}

func TestObjects(t *testing.T) {
	const long = `{"a":"0123456789"}`
	for _, c := range []struct {
		name, in string
		max      int
		want     []string
		err      error
	}{
		{"nothing", "", 64, nil, io.EOF},
		{"noise only", "/ecr?rqt=1|2&cmd=last_trans\r\n\x00\xff", 64, nil, io.EOF},
		{"one", `{"a":"b"}`, 64, []string{`{"a":"b"}`}, io.EOF},
		{"empty object", `{}`, 64, []string{`{}`}, io.EOF},
		{"two without a gap", `{"a":1}{"b":2}`, 64, []string{`{"a":1}`, `{"b":2}`}, io.EOF},
		{"echo before it", `/ecr?rq=A|B&cmd=sale|1|1|2|3|4|5{"a":1}`, 64, []string{`{"a":1}`}, io.EOF},
		{"noise between", "\x00{\"a\":1}\r\n\r\n{\"b\":2}zz", 64, []string{`{"a":1}`, `{"b":2}`}, io.EOF},
		{"brace in noise", `x{y{{"a":1}`, 64, []string{`{"a":1}`}, io.EOF},
		{"brace at the end of noise", `{ `, 64, nil, io.ErrUnexpectedEOF},
		{"nested", `{"a":{"b":{}},"c":{}}`, 64, []string{`{"a":{"b":{}},"c":{}}`}, io.EOF},
		{"braces in strings", `{"a":"}}{","b{":"{"}`, 64, []string{`{"a":"}}{","b{":"{"}`}, io.EOF},
		{"escaped quotes", `{"a":"\"}\\"}{"b":"\\\""}`, 64, []string{`{"a":"\"}\\"}`, `{"b":"\\\""}`}, io.EOF},
		{"line breaks in strings", "{\"ST\r\nAN\":\"0\n1\"}", 64, []string{"{\"ST\r\nAN\":\"0\n1\"}"}, io.EOF},
		{"blanks after the brace", "{ \r\n\t\"a\":1}", 64, []string{"{ \r\n\t\"a\":1}"}, io.EOF},
		{"mojibake", "{\"a\":\"\xc3\x81\xff\xfe\"}", 64, []string{"{\"a\":\"\xc3\x81\xff\xfe\"}"}, io.EOF},
		{"exactly the bound", long, len(long), []string{long}, io.EOF},
		{"one over the bound", long + `{"b":1}`, len(long) - 1, []string{"corrupt", `{"b":1}`}, io.EOF},
		{"ends inside", `{"a":1}{"b":`, 64, []string{`{"a":1}`}, io.ErrUnexpectedEOF},
		{"ends after a backslash", `{"a":"\`, 64, nil, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(c.in), "single bytes": iotest.OneByteReader(strings.NewReader(c.in)),
				"halves": iotest.HalfReader(strings.NewReader(c.in)), "error with data": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				got, err := all(r, c.max)
				if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) || !errors.Is(err, c.err) {
					t.Errorf("%s: got %q, %v, want %q, %v", name, got, err, c.want, c.err)
				}
			}
		})
	}
}

// TestDeadline reads on after an error in the middle of an object, and forgets
// the object when asked to.
func TestDeadline(t *testing.T) {
	timeout := errors.New("deadline")
	r := &steps{`noise{"a":`, timeout, `1}{"b"`, timeout, `{"c":3}`}
	o := NewObjects(r, 64)
	if _, err := o.Next(); err != timeout || o.Pending() != 5 {
		t.Fatalf("half an object: got %v with %d bytes pending, want %v with 5", err, o.Pending(), timeout)
	}
	if b, err := o.Next(); string(b) != `{"a":1}` || err != nil {
		t.Fatalf("read on: got %q, %v", b, err)
	}
	if _, err := o.Next(); err != timeout {
		t.Fatalf("got %v, want %v", err, timeout)
	}
	if n := o.Reset(); n != 4 || o.Pending() != 0 {
		t.Errorf("reset dropped %d and left %d, want 4 and 0", n, o.Pending())
	}
	if b, err := o.Next(); string(b) != `{"c":3}` || err != nil {
		t.Errorf("after reset: got %q, %v", b, err)
	}
}

// steps returns its strings as reads and its errors as errors.
type steps []any

func (s *steps) Read(b []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	v := (*s)[0]
	*s = (*s)[1:]
	if err, ok := v.(error); ok {
		return 0, err
	}
	return copy(b, v.(string)), nil
}

func TestNoProgress(t *testing.T) {
	if _, err := NewObjects(idle{}, 64).Next(); err != io.ErrNoProgress {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// reference is what Objects does, one byte at a time over the whole input.
func reference(in []byte, max int) (got []string, open bool) {
	for i := 0; i < len(in); i++ {
		if in[i] != '{' {
			continue
		}
		j := i + 1
		for j < len(in) && bytes.IndexByte([]byte(" \t\r\n"), in[j]) >= 0 && j-i < max {
			j++
		}
		if j-i < max && j < len(in) && in[j] != '"' && in[j] != '}' {
			i = j - 1
			continue
		}
		depth, inString, k := 0, false, i
		for ; k < len(in) && k-i < max; k++ {
			switch c := in[k]; {
			case inString && c == '\\':
				k++
			case c == '"':
				inString = !inString
			case c == '{' && !inString:
				depth++
			case c == '}' && !inString:
				depth--
			}
			if depth == 0 {
				break
			}
		}
		switch {
		case depth == 0 && k < len(in) && k-i < max:
			got = append(got, string(in[i:k+1]))
			i = k
		case len(in)-i > max:
			got = append(got, "corrupt")
			i += max - 1
		default:
			return got, true
		}
	}
	return got, false
}

func FuzzObjects(f *testing.F) {
	for _, s := range []string{
		`/ecr?rqt=A|B&cmd=sale|2000|1|2|3|4|5{"requestId":"A","transInfo":{"amount":"2000"}}`,
		"{\"a\":\"\\\"}\\\\\"}{ \r\n\"b\":{}}x{y", `{"a":"\`, "{{{{{{{{", `{"":{"":{"":{`,
	} {
		f.Add([]byte(s), []byte{0, 3, 200}, uint8(40))
	}
	f.Fuzz(func(t *testing.T, in, cut []byte, bound uint8) {
		max := 1 + int(bound)
		got, err := all(&pieces{b: in, cut: cut}, max)
		want, open := reference(in, max)
		// A full buffer is only told from a finished stream by one more read, so
		// an object that fills it exactly and then ends is corrupt.
		if open && len(got) == len(want)+1 && got[len(got)-1] == "corrupt" && err == io.EOF {
			got = got[:len(got)-1]
			open = false
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("max %d, pieces %v of %q:\ngot  %q\nwant %q", max, cut, in, got, want)
		}
		if (err == io.ErrUnexpectedEOF) != open {
			t.Fatalf("max %d, %q: got %v, want an open object %v", max, in, err, open)
		}
	})
}
