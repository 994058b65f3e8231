package ssi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"tillgate/link/frame"
)

// A message on a byte stream (document 1.3):
//
//	02 66 01 | nn nn | data, UTF-8 JSON | lrc
//	 │  │  │    │                          └ all bytes of data, xor-ed
//	 │  │  │    └ length of data, high byte first, 1 to 65535
//	 │  │  └ version of the protocol
//	 │  └ the protocol
//	 └ STX
const (
	stx      = 0x02
	protocol = 0x66
	version  = 0x01

	maxData    = 65535
	headerSize = 5
	maxFrame   = headerSize + maxData + 1

	firstBuffer   = 2048 // bytes; the usual result has 700
	maxEmptyReads = 100  // in a row, as in package bufio
)

// Errors of one frame, all of them [frame.ErrCorrupt]. They are values so that
// noise costs no memory.
var (
	errLRC    = fmt.Errorf("%w: the check byte is wrong", frame.ErrCorrupt)
	errEmpty  = fmt.Errorf("%w: no data", frame.ErrCorrupt)
	errTooBig = errors.New("the message has more than 65535 bytes")
)

// lrc is the exclusive or of all bytes (document 6.1).
func lrc(b []byte) byte {
	var x uint64
	for len(b) >= 32 {
		x ^= binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:]) ^
			binary.LittleEndian.Uint64(b[16:]) ^ binary.LittleEndian.Uint64(b[24:])
		b = b[32:]
	}
	x ^= bits.RotateLeft64(x, 32)
	x ^= bits.RotateLeft64(x, 16)
	x ^= bits.RotateLeft64(x, 8)
	sum := byte(x)
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// appendFrame writes data as one frame.
func appendFrame(dst, data []byte) ([]byte, error) {
	if len(data) > maxData {
		return dst, errTooBig
	}
	dst = append(dst, stx, protocol, version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	dst = append(dst, data...)
	return append(dst, lrc(data)), nil
}

// frames reads frames from a stream. What stands between them is noise and is
// skipped. JSON has no byte 02, so inside a frame no other begins; after a bad
// frame reading goes on behind its first byte, and a good one that a wrong
// length had swallowed is found again.
//
// It is not safe for concurrent use.
type frames struct {
	r   io.Reader
	buf []byte // grows to maxFrame when a frame needs it
	// buf[start:end] has been read and not been used.
	start, end int
}

func newFrames(r io.Reader) *frames { return &frames{r: r, buf: make([]byte, firstBuffer)} }

// next returns the data of the next frame, valid until the next call. After a
// [frame.ErrCorrupt] reading can go on; an error of the stream is returned as it
// is, and half a frame is kept.
func (f *frames) next() ([]byte, error) {
	for {
		data, ok, err := f.scan()
		if ok || err != nil {
			return data, err
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

// pending is how many bytes of an unfinished frame have been read.
func (f *frames) pending() int { return f.end - f.start }

// giveUp drops the first byte of an unfinished frame: the rest of it will not
// come. What follows may hold a whole one.
func (f *frames) giveUp() {
	if f.pending() > 0 {
		f.start++
	}
}

// scan looks for a frame in what was read.
func (f *frames) scan() (data []byte, ok bool, err error) {
	for f.start < f.end {
		b := f.buf[f.start:f.end]
		switch {
		case b[0] != stx, len(b) > 1 && b[1] != protocol, len(b) > 2 && b[2] != version:
			f.start++
			continue
		case len(b) < headerSize:
			return nil, false, nil
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 {
			f.start++
			return nil, false, errEmpty
		}
		if len(b) < headerSize+n+1 {
			return nil, false, nil
		}
		data = b[headerSize : headerSize+n]
		if lrc(data) != b[headerSize+n] {
			f.start++
			return nil, false, errLRC
		}
		f.start += headerSize + n + 1
		return data, true, nil
	}
	return nil, false, nil
}

// fill reads more. The longest frame fits once it stands at the front.
func (f *frames) fill() error {
	if f.start > 0 {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	if f.end == len(f.buf) { // scan keeps no more than one frame, so there is room up to maxFrame
		f.buf = append(f.buf, make([]byte, min(len(f.buf), maxFrame-len(f.buf)))...)
	}
	for range maxEmptyReads {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
