package qfpay

import "bytes"

// scanner finds packets in a stream of bytes. Its buffer grows to the longest
// packet that comes, maxPacket at most, and no packet is copied: what next
// returns is valid until the following call of space.
type scanner struct {
	buf  []byte
	r, w int // buf[r:w] has been read and not been looked at yet
}

const (
	firstBuffer = 8 << 10
	lastBuffer  = 128 << 10 // more than maxPacket: next never leaves it full
)

func newScanner() *scanner { return &scanner{buf: make([]byte, firstBuffer)} }

// space is where the next bytes are to be put; it is never empty. Call filled
// afterwards.
func (s *scanner) space() []byte {
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if s.w == len(s.buf) {
		to := s.buf
		if s.r == 0 && len(s.buf) < lastBuffer {
			to = make([]byte, 2*len(s.buf))
		}
		s.w = copy(to, s.buf[s.r:s.w])
		s.buf, s.r = to, 0
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
