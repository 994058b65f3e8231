package usbip

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Commands of the second half of USB/IP, after the import.
const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4
)

// Errno values that a URB ends with, as the kernel has them.
const (
	statusStall    = -32  // EPIPE
	statusUnlinked = -104 // ECONNRESET
)

// headerSize is that of every command and every answer, in bytes.
const headerSize = 48

// maxTransfer bounds a URB's data, in bytes. usbfs splits at 16 KiB.
const maxTransfer = 1 << 20

// urb is one request of the host, all numbers big-endian on the wire:
//
//	0 command  4 seqnum  8 devid  12 direction (1 is in)  16 endpoint
//	20 flags   24 length 28 start frame, packets, interval  40 setup
//	                                                    48 data, if out
//
// In an unlink, 20 is the seqnum of the one to be ended.
type urb struct {
	command, seq uint32
	in           bool
	endpoint     uint32
	victim       uint32
	length       int
	setup        setup
	data         []byte // of an out transfer
}

func readURB(r io.Reader) (u urb, err error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return u, err
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(h[at:]) }
	u = urb{command: word(0), seq: word(4), in: word(12) == 1, endpoint: word(16), victim: word(20)}
	copy(u.setup[:], h[40:])
	switch u.command {
	case cmdUnlink:
		return u, nil
	case cmdSubmit:
	default:
		return u, fmt.Errorf("USB/IP command %d is unknown", u.command)
	}
	length := word(24)
	if length > maxTransfer {
		return u, fmt.Errorf("USB/IP transfer of %d bytes: want at most %d", length, maxTransfer)
	}
	u.length = int(length)
	if u.in || u.length == 0 {
		return u, nil
	}
	u.data = make([]byte, u.length)
	_, err = io.ReadFull(r, u.data)
	return u, err
}

// answer writes the header of an answer:
//
//	0 command  4 seqnum  8 zero  20 status  24 actual length  28 zero  48 data, if in
func answer(command, seq uint32, status int32, actual int, data []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(data))
	binary.BigEndian.PutUint32(b[0:], command)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[20:], uint32(status))
	binary.BigEndian.PutUint32(b[24:], uint32(actual))
	return append(b, data...)
}
