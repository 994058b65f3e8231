package store

import (
	"encoding/binary"
	"fmt"
	"os"

	"tillgate/internal/payment"
)

// summary is a closed segment in memory: about 2.3 bytes for an id, and as many
// for a fingerprint.
type summary struct {
	path   string
	number uint64
	first  uint64 // first entry that is new
	next   uint64 // entry after the last

	firstSeq   uint64
	events     int
	maxStarted int64
	closed     payment.Moment

	ids     filter
	marks   filter // of fingerprints, as the upper half of 64 bits
	carried []uint64

	positionCount int
}

func (s *summary) nextSeq() uint64 { return s.firstSeq + uint64(s.events) }

func (s *summary) idCount() int   { return len(s.ids.kept) }
func (s *summary) markCount() int { return len(s.marks.kept) }

// again reads the first part once more. What a filter lets pass is decided by it,
// so its checksum is looked at again as well.
func (s *summary) again() (columns, error) {
	_, col, err := readSidecar(s.path, s.number, new([]byte))
	return col, err
}

// The columns of the second part begin here.
func (s *summary) markColumn() int64 {
	return sidecarHeader + int64(s.idCount())*8 + int64(s.markCount())*4 + int64(len(s.carried))*8
}
func (s *summary) offsetColumn() int64   { return s.markColumn() + int64(s.markCount())*4 }
func (s *summary) positionColumn() int64 { return s.offsetColumn() + int64(s.idCount()+1)*4 }
func (s *summary) eventColumn() int64    { return s.positionColumn() + int64(s.positionCount)*8 }

func (s *summary) read(at int64, size int) ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	_, err = f.ReadAt(b, at)
	return b, err
}

// has says whether the segment has the id. Where its sidecar cannot tell the
// answer is an error.
func (s *summary) has(hash uint64) (bool, error) {
	if !s.ids.may(hash) {
		return false, nil
	}
	col, err := s.again()
	if err != nil {
		return false, err
	}
	_, found := col.ids.find(hash)
	return found, nil
}

// positions are the numbers of the steps of one id, none if it is not there.
// Whoever uses them has to check that they lead to that id.
func (s *summary) positions(hash uint64) ([]uint64, error) {
	if !s.ids.may(hash) {
		return nil, nil
	}
	col, err := s.again()
	if err != nil {
		return nil, err
	}
	i, found := col.ids.find(hash)
	if !found {
		return nil, nil
	}
	b, err := s.read(s.offsetColumn()+int64(i)*4, 8)
	if err != nil {
		return nil, err
	}
	from, to := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if from >= to || int64(to) > int64(s.positionCount) {
		return nil, fmt.Errorf("%w: positions %d to %d of %d", errSidecar, from, to, s.positionCount)
	}
	b, err = s.read(s.positionColumn()+int64(from)*8, int(to-from)*8)
	return numbers(b), err
}

// eventNumbers are the numbers of up to most events from seq on.
func (s *summary) eventNumbers(seq uint64, most int) ([]uint64, error) {
	n := min(uint64(most), s.nextSeq()-seq)
	b, err := s.read(s.eventColumn()+int64(seq-s.firstSeq)*8, int(n)*8)
	return numbers(b), err
}

// marked are the hashes of the ids with this fingerprint.
func (s *summary) marked(m uint32) ([]uint64, error) {
	if !s.marks.may(wide(m)) {
		return nil, nil
	}
	col, err := s.again()
	if err != nil {
		return nil, err
	}
	i, _ := col.marks.find(wide(m))
	j := i
	for j < col.marks.len() && col.marks.at(j) == wide(m) {
		j++
	}
	b, err := s.read(s.markColumn()+int64(i)*4, (j-i)*4)
	if err != nil {
		return nil, err
	}
	var hashes []uint64
	for k := 0; k < j-i; k++ {
		id := int64(binary.BigEndian.Uint32(b[k*4:]))
		if id >= int64(col.ids.len()) {
			return nil, fmt.Errorf("%w: id %d of %d", errSidecar, id, col.ids.len())
		}
		hashes = append(hashes, col.ids.at(int(id)))
	}
	return hashes, nil
}

func numbers(b []byte) []uint64 {
	out := make([]uint64, len(b)/8)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(b[i*8:])
	}
	return out
}
