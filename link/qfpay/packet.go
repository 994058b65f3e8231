package qfpay

import (
	"bytes"
	"encoding/binary"
)

// Limits of chapter 9.3. The document allows 65536 bytes of data where its own
// length field has 16 bits: the field decides.
const (
	overhead   = 11        // bytes of a packet beside its data
	maxPacket  = 1<<16 - 1 // bytes of one packet
	maxPart    = maxPacket - overhead
	maxMessage = 1<<16 - 1 // bytes of a message in several packets
	maxNumber  = 0x7f
)

// Types of packets. Errors are read both ways of chapter 9.4: the type is the
// code, or the type is 0x30 and the code is the data.
const (
	kindRequest = 0x10
	kindAnswer  = 0x20
	kindError   = 0x30

	errUnknown = 0x30
	errFormat  = 0x31
	errCheck   = 0x32
	errDecrypt = 0x33
	errContent = 0x34
	errSplit   = 0x35
)

// packet is one packet of chapter 9.3. Numbers are big-endian, as in the hex
// sample of the vendor.
//
//	2f 6e  01       10    01      00 0e  00 03        ..       2f 6e
//	mark   version  type  number  total  data length  data     mark
//
// total counts every byte from mark to mark. data length is that of the whole
// message: it equals total - 11 unless the message comes in several packets of
// one number. The mark is "/n" in ASCII, which Base64 has too: a packet ends
// where its length says.
type packet struct {
	kind   byte
	number byte
	whole  int    // bytes of the message that this packet is, or is a part of
	data   []byte // of this packet
}

// single says whether the message is in this packet alone.
func (p packet) single() bool { return p.whole == len(p.data) }

// append writes p behind b.
func (p packet) append(b []byte) []byte {
	b = append(b, 0x2f, 0x6e, 0x01, p.kind, p.number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.data)+overhead))
	b = binary.BigEndian.AppendUint16(b, uint16(p.whole))
	b = append(b, p.data...)
	return append(b, 0x2f, 0x6e)
}

// split writes a message as packets that carry at most part bytes of it each.
// The message has at most maxMessage bytes, part is between 1 and maxPart.
func split(b []byte, kind, number byte, message []byte, part int) []byte {
	whole := len(message)
	for {
		n := min(part, len(message))
		b = packet{kind, number, whole, message[:n]}.append(b)
		if message = message[n:]; len(message) == 0 {
			return b
		}
	}
}

// errorCode is the code of an error packet, 0 of any other.
func (p packet) errorCode() byte {
	switch {
	case p.kind < kindError:
		return 0
	case p.kind == kindError:
		return codeIn(p.data)
	}
	return p.kind
}

// codeIn looks for an error code in the data of a packet of type 0x30: one byte,
// or its two hexadecimal digits with or without 0x.
func codeIn(data []byte) byte {
	if len(data) == 1 && data[0] >= errUnknown && data[0] <= errSplit {
		return data[0]
	}
	d := bytes.TrimPrefix(data, []byte("0x"))
	if len(d) == 2 && d[0] == '3' && d[1] >= '0' && d[1] <= '5' {
		return 0x30 + d[1] - '0'
	}
	return errUnknown
}

// verdict is what the first bytes of a buffer are.
type verdict int

const (
	isPacket verdict = iota
	isPart           // so far: more bytes are needed to tell
	isBroken         // a plausible header whose packet does not end with the mark
	isNoise          // nothing that begins here
)

// parse reads the packet at the beginning of b; n is its length. The data is a
// part of b. Of a broken one kind and number are told.
func parse(b []byte) (p packet, n int, v verdict) {
	for i, c := range [3]byte{0x2f, 0x6e, 0x01} {
		if i == len(b) {
			return p, 0, isPart
		}
		if b[i] != c {
			return p, 0, isNoise
		}
	}
	if len(b) < 9 {
		return p, 0, isPart
	}
	p.kind, p.number = b[3], b[4]
	n = int(binary.BigEndian.Uint16(b[5:]))
	p.whole = int(binary.BigEndian.Uint16(b[7:]))
	if !plausible(p.kind, p.number, n, p.whole) {
		return packet{}, 0, isNoise
	}
	if len(b) < n {
		return p, n, isPart
	}
	if b[n-2] != 0x2f || b[n-1] != 0x6e {
		return p, n, isBroken
	}
	p.data = b[9 : n-2]
	return p, n, isPacket
}

// plausible says whether a header can be one. A part has data, and less than
// its message.
func plausible(kind, number byte, total, whole int) bool {
	known := kind == kindRequest || kind == kindAnswer || kind >= kindError && kind <= errSplit
	own := total - overhead
	return known && number >= 1 && number <= maxNumber && own >= 0 && (whole == own || whole > own && own > 0)
}
