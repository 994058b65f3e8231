package qfpay

import "bytes"

// scanner finds packets in a stream of bytes. It allocates once and copies no
// packet: what next returns is valid until the following call of space.
type scanner struct {
	buf  []byte
	r, w int // buf[r:w] has been read and not been looked at yet
}

func newScanner() *scanner { return &scanner{buf: make([]byte, maxPacket+4096)} }

// space is where the next bytes are to be put; it is never empty, since the
// longest packet leaves room behind it. Call filled afterwards.
func (s *scanner) space() []byte {
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if s.w == len(s.buf) {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	return s.buf[s.w:]
}

func (s *scanner) filled(n int) { s.w += n }

// pending says whether the beginning of a packet is waiting for its rest.
func (s *scanner) pending() bool { return s.w > s.r }

// next returns the next packet, or a broken one, whose number is known. ok is
// false when more bytes are needed. Noise is passed over and counted.
func (s *scanner) next() (p packet, v verdict, noise int) {
	for {
		i := bytes.IndexByte(s.buf[s.r:s.w], 0x2f)
		if i < 0 {
			noise += s.w - s.r
			s.r = s.w
			return packet{}, isPart, noise
		}
		s.r += i
		noise += i
		p, n, v := parse(s.buf[s.r:s.w])
		switch v {
		case isPacket:
			s.r += n
			return p, v, noise
		case isPart:
			return packet{}, v, noise
		}
		s.r++
		noise++
		if v == isBroken {
			return p, v, noise
		}
	}
}

// skip gives up the packet whose rest does not come: what looked like its
// beginning was none, and a packet may begin behind it.
func (s *scanner) skip() {
	if s.r < s.w {
		s.r++
	}
}
