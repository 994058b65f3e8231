package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tillgate/internal/payment"
)

// An entry is one value of the bucket "entries". Its key is its number, eight
// bytes, big-endian; numbers ascend over all segments and never change, also
// when an entry is carried over. All integers are big-endian.
//
//	offset size
//	0      4    CRC-32C of the number and of everything after this field
//	4      1    layout, 1
//	5      1    kind: 1 step of a payment, 2 event; others are kept and skipped
//	6      1    flags: 1 open, 2 begun, 4 clock synchronised
//	7      1    0
//	8      8    step: hash of the payment's id; event: its sequence number
//	16     4    begun: fingerprint of the order or the original; 0 for none
//	20     4    length of the JSON
//	24     8    when, by its own clock, in milliseconds since 1970
//	32     n    JSON of payment.Step or payment.Event
const (
	headerSize = 32
	layout     = 1

	// Format is the number of the layout of journals this version writes. A
	// version reads and continues those of its own and of the next number, so
	// that the box can be taken back to it.
	Format = layout

	// maxBody bounds the JSON of one entry, written or read.
	maxBody = 1 << 20
)

type entryKind byte

const (
	kindStep  entryKind = 1
	kindEvent entryKind = 2
)

const (
	flagOpen   = 1 << 0 // the payment is not over after this step
	flagBegun  = 1 << 1 // first step of a payment
	flagSynced = 1 << 2 // the clock that gave the time was synchronised
)

// header is an entry without its JSON.
type header struct {
	kind  entryKind
	flags byte
	about uint64 // hash of an id, or sequence number
	mark  uint32 // fingerprint
	at    int64
}

func (h header) is(flag byte) bool { return h.flags&flag != 0 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errEntry is wrapped by every error about an entry that cannot be believed.
var errEntry = errors.New("damaged entry")

// key is the number as a bbolt key.
func key(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// numberOf reads a bbolt key.
func numberOf(k []byte) (uint64, error) {
	if len(k) != 8 {
		return 0, fmt.Errorf("%w: a key of %d bytes", errEntry, len(k))
	}
	return binary.BigEndian.Uint64(k), nil
}

// checksum covers the number, so that an entry found under another one's key is
// seen.
func checksum(number uint64, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(key(number), castagnoli), castagnoli, rest)
}

// encode makes the value of an entry.
func encode(number uint64, h header, body []byte) ([]byte, error) {
	if len(body) > maxBody {
		return nil, fmt.Errorf("entry of %d bytes: at most %d are kept", len(body), maxBody)
	}
	b := make([]byte, headerSize, headerSize+len(body))
	b[4], b[5], b[6] = layout, byte(h.kind), h.flags
	binary.BigEndian.PutUint64(b[8:], h.about)
	binary.BigEndian.PutUint32(b[16:], h.mark)
	binary.BigEndian.PutUint32(b[20:], uint32(len(body)))
	binary.BigEndian.PutUint64(b[24:], uint64(h.at))
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, checksum(number, b[4:]))
	return b, nil
}

// decode checks an entry and returns its header and its JSON, which aliases
// value.
func decode(number uint64, value []byte) (header, []byte, error) {
	if len(value) < headerSize {
		return header{}, nil, fmt.Errorf("%w %d: %d bytes, want at least %d", errEntry, number, len(value), headerSize)
	}
	if got, want := checksum(number, value[4:]), binary.BigEndian.Uint32(value); got != want {
		return header{}, nil, fmt.Errorf("%w %d: checksum %08x, want %08x", errEntry, number, got, want)
	}
	if value[4] != layout {
		return header{}, nil, fmt.Errorf("%w %d: layout %d is not known to this version", errEntry, number, value[4])
	}
	if n := binary.BigEndian.Uint32(value[20:]); n > maxBody || int(n) != len(value)-headerSize {
		return header{}, nil, fmt.Errorf("%w %d: says %d bytes of JSON, has %d", errEntry, number, n, len(value)-headerSize)
	}
	h := header{
		kind:  entryKind(value[5]),
		flags: value[6],
		about: binary.BigEndian.Uint64(value[8:]),
		mark:  binary.BigEndian.Uint32(value[16:]),
		at:    int64(binary.BigEndian.Uint64(value[24:])),
	}
	return h, value[headerSize:], nil
}

// hashOf is what stands for an id in memory and in sidecars. It has to be the
// same in every version, and spread evenly (filter.go).
func hashOf(id payment.ID) uint64 {
	sum := sha256.Sum256([]byte("id\x00" + string(id)))
	return binary.BigEndian.Uint64(sum[:])
}

// markOf is the fingerprint by which the payments of one order, or those about
// one original, are found. It is 0 if tx has neither.
func markOf(tx payment.Transaction) uint32 {
	if holdsOrder(tx) {
		return orderMark(tx.Order)
	}
	return originalMark(tx.Original.Payment)
}

// holdsOrder says whether tx is of a kind that [payment.CheckOrder] looks at.
func holdsOrder(tx payment.Transaction) bool {
	return payment.Record{Transaction: tx, State: payment.StateBegun}.HoldsOrder()
}

func orderMark(order string) uint32           { return mark("order", order) }
func originalMark(original payment.ID) uint32 { return mark("original", string(original)) }

func mark(what, text string) uint32 {
	if text == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(what + "\x00" + text))
	return max(1, binary.BigEndian.Uint32(sum[:]))
}
