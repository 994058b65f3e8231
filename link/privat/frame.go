package privat

import (
	"bytes"
	"fmt"
	"io"

	"tillgate/link/frame"
)

// maxFrame is how many bytes one message may have. The longest known kind, the
// journal of a batch, has about 30 lines of 40 bytes for each receipt.
const maxFrame = 128 << 10

// maxEmptyReads is how often in a row a reader may return neither bytes nor an
// error.
const maxEmptyReads = 100

// errTooLong: a frame was dropped up to its end. The stream can be read on.
var errTooLong = fmt.Errorf("%w: it is longer than 131072 bytes", frame.ErrCorrupt)

// frames cuts messages out of a stream (document, 2.):
//
//	{json}   00
//	n bytes  terminator
//
// A frame of nothing is skipped: the handshake begins with a 00 of its own.
type frames struct {
	r       io.Reader
	buf     []byte
	at      int // buf[at:] has been read and not been handed over
	looked  int // buf[at:looked] has no terminator
	dropped bool
}

func newFrames(r io.Reader) *frames { return &frames{r: r, buf: make([]byte, 0, 4096)} }

// next returns the next frame without its terminator. The bytes are valid until
// the next call. errTooLong costs that frame; every other error is the stream's.
func (f *frames) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(f.buf[f.looked:], 0); i >= 0 {
			b := f.buf[f.at : f.looked+i]
			f.at = f.looked + i + 1
			f.looked = f.at
			if f.dropped {
				f.dropped = false
				return nil, errTooLong
			}
			if len(bytes.TrimSpace(b)) > 0 {
				return b, nil
			}
			continue
		}
		if f.at > 0 { // not for each read: a long frame would be copied for each of its bytes
			f.buf = f.buf[:copy(f.buf, f.buf[f.at:])]
			f.at = 0
		}
		f.looked = len(f.buf)
		if len(f.buf) >= maxFrame {
			f.buf, f.looked, f.dropped = f.buf[:0], 0, true
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once. The buffer grows up to the bound.
func (f *frames) fill() error {
	if len(f.buf) == cap(f.buf) {
		more := make([]byte, len(f.buf), min(2*cap(f.buf), maxFrame))
		copy(more, f.buf)
		f.buf = more
	}
	for range maxEmptyReads {
		n, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+n]
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("reading frames: %w", io.ErrNoProgress)
}
