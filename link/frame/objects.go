package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// ErrCorrupt is wrapped by every error after which the stream can be read on:
// what was lost has been skipped.
var ErrCorrupt = errors.New("corrupt frame")

// maxEmptyReads is how often in a row a reader may return neither bytes nor an
// error.
const maxEmptyReads = 100

// Objects reads JSON objects from a stream that has no other framing: no
// length, no terminator, no checksum. An object begins at a '{' that is
// followed by a '"' or a '}' (blanks allowed), and ends where its braces
// balance. Braces inside strings do not count. What stands between objects is
// noise, such as the echo of a request, and is skipped.
//
// Only braces, quotes and backslashes are looked at. Line breaks inside
// strings, broken UTF-8 and text that is no JSON are passed on: judging them
// is the decoder's business.
//
// It is not safe for concurrent use.
type Objects struct {
	r   io.Reader
	buf []byte // its length is the bound

	// buf[start:end] is what is kept, buf[start:at] of it has been looked at.
	start, at, end int

	depth    int  // open braces; 0 while looking for an object
	first    bool // the character after the first brace is still to come
	inString bool
	escaped  bool // a backslash was the last character
}

// NewObjects reads from r objects of at most max bytes.
func NewObjects(r io.Reader, max int) *Objects {
	return &Objects{r: r, buf: make([]byte, max)}
}

// Next returns the next object, from '{' to '}'. The bytes are valid until the
// next call.
//
// An object longer than the bound is [ErrCorrupt]. An error of the stream is
// returned as it is; a half-read object is kept, so that reading can go on
// after a deadline. A stream that ends inside an object ends with
// io.ErrUnexpectedEOF.
func (o *Objects) Next() ([]byte, error) {
	for {
		if o.scan() {
			b := o.buf[o.start:o.at]
			o.start, o.depth = o.at, 0
			return b, nil
		}
		if err := o.room(); err != nil {
			return nil, err
		}
		if err := o.fill(); err != nil {
			return nil, err
		}
	}
}

// Pending is how many bytes of an unfinished object have been read. While it is
// more than 0 the sender is in the middle of an answer, and silence means that
// the rest will not come: see [Objects.Reset].
func (o *Objects) Pending() int {
	if o.depth == 0 {
		return 0
	}
	return o.end - o.start
}

// Reset forgets an unfinished object and tells how many bytes it had.
func (o *Objects) Reset() int {
	n := o.Pending()
	o.start, o.at, o.end, o.depth = 0, 0, 0, 0
	return n
}

// room makes space for at least one more byte.
func (o *Objects) room() error {
	if o.depth == 0 {
		o.start, o.at, o.end = 0, 0, 0 // all that was there is noise
	}
	if o.end < len(o.buf) {
		return nil
	}
	if o.start == 0 {
		return fmt.Errorf("%w: object of more than %d bytes", ErrCorrupt, o.Reset())
	}
	copy(o.buf, o.buf[o.start:o.end])
	o.at, o.end, o.start = o.at-o.start, o.end-o.start, 0
	return nil
}

func (o *Objects) fill() error {
	for range maxEmptyReads {
		n, err := o.r.Read(o.buf[o.end:])
		o.end += n
		if n > 0 {
			return nil // an error that came along will come again
		}
		if errors.Is(err, io.EOF) && o.depth > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// scan looks at the bytes that are new and says whether an object is complete.
func (o *Objects) scan() bool {
	for o.at < o.end {
		if o.depth == 0 && !o.find() {
			return false
		}
		if o.first && !o.confirm() {
			continue
		}
		if o.depth > 0 && o.balance() {
			return true
		}
	}
	return false
}

// find looks for the brace that begins an object.
func (o *Objects) find() bool {
	i := bytes.IndexByte(o.buf[o.at:o.end], '{')
	if i < 0 {
		o.at = o.end
		return false
	}
	o.start = o.at + i
	o.at = o.start + 1
	o.depth, o.first, o.inString, o.escaped = 1, true, false, false
	return true
}

// confirm takes back a brace that stands in noise.
func (o *Objects) confirm() bool {
	for ; o.at < o.end; o.at++ {
		switch o.buf[o.at] {
		case ' ', '\t', '\r', '\n':
			continue
		case '"', '}':
			o.first = false
			return true
		}
		o.depth, o.first = 0, false
		return false
	}
	return false
}

// balance counts braces up to the one that closes the object.
func (o *Objects) balance() bool {
	b, i, depth, inString := o.buf[:o.end], o.at, o.depth, o.inString
	if o.escaped && i < len(b) {
		i, o.escaped = i+1, false
	}
scan:
	for i < len(b) {
		if inString {
			i = endOfRun(b, i)
			if i >= len(b) {
				break
			}
			if b[i] == '\\' {
				i += 2
				continue
			}
			inString = false
			i++
			continue
		}
		c := b[i]
		i++
		switch c {
		case '"':
			inString = true
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				break scan
			}
		}
	}
	if i > len(b) { // the character after a backslash is still to come
		i, o.escaped = len(b), true
	}
	o.at, o.depth, o.inString = i, depth, inString
	return depth == 0
}

const (
	lows    = 0x0101010101010101
	highs   = 0x8080808080808080
	quotes  = lows * '"'
	slashes = lows * '\\'
)

// endOfRun finds the next quote or backslash at or after i, or len(b). It
// looks at sixteen bytes at a time, without a branch on where in them one is:
// the strings of an answer are short, and a guess that fails costs more than
// eight bytes looked at in vain.
func endOfRun(b []byte, i int) int {
	for ; i+16 <= len(b); i += 16 {
		w := b[i : i+16]
		n := bits.TrailingZeros64(marks(binary.LittleEndian.Uint64(w))) / 8
		m := 8 + bits.TrailingZeros64(marks(binary.LittleEndian.Uint64(w[8:])))/8
		if n == 8 {
			n = m
		}
		if n < 16 {
			return i + n
		}
	}
	for ; i < len(b) && b[i] != '"' && b[i] != '\\'; i++ {
	}
	return i
}

// marks has its lowest bit set in the first byte of w that is a quote or a
// backslash, and is 0 if there is none: x-lows &^ x & highs finds the first
// zero byte of x.
func marks(w uint64) uint64 {
	q, s := w^quotes, w^slashes
	return (q-lows)&^q&highs | (s-lows)&^s&highs
}
