package frame

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
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

// BenchmarkObjects has the machine's own floors beside it, over as many bytes
// of the same stream in the same run: a loop that looks at every byte once, and
// a search for one byte that never comes. The ratios say how many times as fast
// as the loop, and what part of the search's speed, frames are cut.
func BenchmarkObjects(b *testing.B) {
	o := NewObjects(&endless{b: answer}, 16<<10)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := o.Next(); err != nil {
			b.Fatal(err)
		}
		n++
	}
	frames := b.Elapsed()
	b.ReportMetric(float64(floor(n, byteLoop))/float64(frames), "x-byte-loop")
	b.ReportMetric(float64(floor(n, search))/float64(frames), "x-search")
}

// floor is how long f takes to look at n answers.
func floor(n int, f func([]byte) int) time.Duration {
	r, buf := &endless{b: answer}, make([]byte, 16<<10)
	start, sum := time.Now(), 0
	for left := n * len(answer); left > 0; left -= len(buf) {
		r.Read(buf)
		sum += f(buf)
	}
	runtime.KeepAlive(sum)
	return time.Since(start)
}

func byteLoop(b []byte) (depth int) {
	for _, c := range b {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
	}
	return depth
}

func search(b []byte) int { return bytes.IndexByte(b, 0) }

// BenchmarkNoise is the worst that a line can send: nothing but braces, and an
// object that never ends.
func BenchmarkNoise(b *testing.B) {
	for name, noise := range map[string]string{"braces": "{", "braces and quotes": `{"`, "strings": `"`, "escapes": `{"\`} {
		b.Run(name, func(b *testing.B) {
			o := NewObjects(io.LimitReader(&endless{b: []byte(strings.Repeat(noise, 4096))}, int64(b.N)*1024), 16<<10)
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
