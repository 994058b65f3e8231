package frame

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// answer has the shape and the length of a terminal's answer: 25 short
// members, 680 bytes.
var answer = []byte(`{"requestId":"A","transInfo":{` + strings.Repeat(`"returnCode":"00","cardInput":"CONTACTLESS",`, 15) + `"z":""}}` + "\r\n")

// endless reads the same bytes over and over.
type endless struct {
	b []byte
	i int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		k := copy(b[n:], e.b[e.i:])
		n += k
		e.i = (e.i + k) % len(e.b)
	}
	return n, nil
}

// BenchmarkObjects has the machine's own floor beside it: a loop that looks at
// every byte of the same stream once, and a search for one byte that never
// comes. Read MB/s as a ratio to those.
func BenchmarkObjects(b *testing.B) {
	b.Run("frames", func(b *testing.B) {
		o := NewObjects(&endless{b: answer}, 16<<10)
		b.SetBytes(int64(len(answer)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.Next(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor: byte loop", func(b *testing.B) {
		r, buf := &endless{b: answer}, make([]byte, len(answer))
		b.SetBytes(int64(len(answer)))
		depth := 0
		for b.Loop() {
			if _, err := io.ReadFull(r, buf); err != nil {
				b.Fatal(err)
			}
			for _, c := range buf {
				switch c {
				case '{':
					depth++
				case '}':
					depth--
				}
			}
		}
		if depth != 0 {
			b.Fatal("unbalanced")
		}
	})
	b.Run("floor: one search", func(b *testing.B) {
		r, buf := &endless{b: answer}, make([]byte, len(answer))
		b.SetBytes(int64(len(answer)))
		for b.Loop() {
			if _, err := io.ReadFull(r, buf); err != nil || bytes.IndexByte(buf, 0) >= 0 {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNoise is the worst that a line can send: nothing but braces, and an
// object that never ends.
func BenchmarkNoise(b *testing.B) {
	for name, noise := range map[string]string{"braces": "{", "objects that never end": `{"`, "strings": `"`, "escapes": `{"\`} {
		b.Run(name, func(b *testing.B) {
			o := NewObjects(io.LimitReader(&endless{b: []byte(noise)}, int64(b.N)*1024), 16<<10)
			b.SetBytes(1024)
			b.ResetTimer()
			for {
				if _, err := o.Next(); err == io.EOF || err == io.ErrUnexpectedEOF {
					return
				}
			}
		})
	}
}

// TestNoAllocation is the promise of the package: reading a frame costs none.
func TestNoAllocation(t *testing.T) {
	o := NewObjects(&endless{b: answer}, 16<<10)
	if n := testing.AllocsPerRun(1000, func() { o.Next() }); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}
