package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tillgate/internal/payment"
)

// A sidecar says what a closed segment holds, so that a start does not read the
// history. It can always be made again from the segment; when the segment has
// expired, it is what remains of its ids. All integers are big-endian.
//
//	offset size
//	0      8    "tillgidx"
//	8      4    layout, 1
//	12     4    flags: 1 the closing clock was synchronised
//	16     8    number of the segment
//	24     8    first entry that is new in it
//	32     8    entry after its last
//	40     8    sequence number of its first event
//	48     8    newest begin in it, ms since 1970
//	56     8    when it was closed, ms since 1970
//	64     4    n: ids
//	68     4    m: fingerprints
//	72     4    c: ids that are carried over from an older segment
//	76     4    p: positions
//	80     4    e: events
//	84     4    CRC-32C of the second part
//	88     4    CRC-32C of bytes 0 to 88 and of the first part
//	92          first part, kept in memory:
//	              n * 8  hashes of ids, sorted
//	              m * 4  fingerprints, sorted
//	              c * 8  hashes of the carried ids, sorted
//	            second part, read when needed:
//	              m * 4      for each fingerprint, which id
//	              (n+1) * 4  for each id, where its positions begin
//	              p * 8      positions: numbers of entries
//	              e * 8      numbers of the events, by sequence number
const (
	sidecarMagic  = "tillgidx"
	sidecarHeader = 92
	sidecarLayout = 1

	// maxColumn bounds every count read from a sidecar: more entries than any
	// segment has room for.
	maxColumn = 1 << 26
)

var errSidecar = errors.New("damaged sidecar")

// summary is a closed segment in memory: 8 bytes for an id, 4 for a fingerprint.
type summary struct {
	path   string
	number uint64
	first  uint64 // first entry that is new
	next   uint64 // entry after the last

	firstSeq   uint64
	events     int
	maxStarted int64
	closed     payment.Moment

	ids     []uint64
	marks   []uint32
	carried []uint64

	positionCount int
}

func (s *summary) nextSeq() uint64 { return s.firstSeq + uint64(s.events) }

func sidecarPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%010d.idx", number))
}

// encodeSidecar makes the summary of an index, and the bytes of its sidecar.
func encodeSidecar(path string, number, first, next uint64, x *index, closed payment.Moment) (*summary, []byte) {
	s := &summary{path: path, number: number, first: first, next: next, firstSeq: x.firstSeq, events: len(x.events), maxStarted: x.maxStarted, closed: closed}
	s.ids = slices.Sorted(maps.Keys(x.steps))
	type markOfID struct {
		mark uint32
		id   uint32
	}
	var marks []markOfID
	for m, hashes := range x.marks {
		for _, h := range hashes {
			marks = append(marks, markOfID{m, uint32(find(s.ids, h))})
		}
	}
	slices.SortFunc(marks, func(a, b markOfID) int {
		return cmp.Or(cmp.Compare(a.mark, b.mark), cmp.Compare(a.id, b.id))
	})
	for _, b := range x.begun {
		if b.number < first {
			s.carried = append(s.carried, b.hash)
		}
	}
	slices.Sort(s.carried)

	var one, two []byte
	for _, h := range s.ids {
		one = binary.BigEndian.AppendUint64(one, h)
	}
	for _, m := range marks {
		s.marks = append(s.marks, m.mark)
		one = binary.BigEndian.AppendUint32(one, m.mark)
		two = binary.BigEndian.AppendUint32(two, m.id)
	}
	for _, h := range s.carried {
		one = binary.BigEndian.AppendUint64(one, h)
	}
	var positions []byte
	for _, h := range s.ids {
		two = binary.BigEndian.AppendUint32(two, uint32(len(positions)/8))
		for _, n := range x.steps[h] {
			positions = binary.BigEndian.AppendUint64(positions, n)
		}
	}
	s.positionCount = len(positions) / 8
	two = binary.BigEndian.AppendUint32(two, uint32(s.positionCount))
	two = append(two, positions...)
	for _, n := range x.events {
		two = binary.BigEndian.AppendUint64(two, n)
	}
	return s, append(append(s.header(one, two), one...), two...)
}

func (s *summary) header(one, two []byte) []byte {
	b := []byte(sidecarMagic)
	b = binary.BigEndian.AppendUint32(b, sidecarLayout)
	flags := uint32(0)
	if s.closed.Clock == payment.ClockSynced {
		flags = 1
	}
	b = binary.BigEndian.AppendUint32(b, flags)
	for _, v := range []uint64{s.number, s.first, s.next, s.firstSeq, uint64(s.maxStarted), uint64(s.closed.Time.UnixMilli())} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	for _, v := range []int{len(s.ids), len(s.marks), len(s.carried), s.positionCount, s.events} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(two, castagnoli))
	return binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, one))
}

// readSidecar reads the header and the first part.
func readSidecar(path string, number uint64) (*summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return parseSidecar(f, info.Size(), path, number)
}

func parseSidecar(r io.ReaderAt, size int64, path string, number uint64) (*summary, error) {
	bad := func(what string) error { return fmt.Errorf("%w %s: %s", errSidecar, filepath.Base(path), what) }
	var b [sidecarHeader]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, bad("it is shorter than its header")
	}
	if string(b[:8]) != sidecarMagic || binary.BigEndian.Uint32(b[8:]) != sidecarLayout {
		return nil, bad("not a sidecar of this version")
	}
	u64 := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	n, m, c, p, e := counts(b[64:84])
	if n > maxColumn || m > maxColumn || c > maxColumn || p > maxColumn || e > maxColumn ||
		size != sidecarHeader+n*8+m*4+c*8+m*4+(n+1)*4+p*8+e*8 {
		return nil, bad("its length is not what its header says")
	}
	one := make([]byte, n*8+m*4+c*8)
	if _, err := r.ReadAt(one, sidecarHeader); err != nil {
		return nil, bad("its first part cannot be read")
	}
	if crc32.Update(crc32.Checksum(b[:88], castagnoli), castagnoli, one) != binary.BigEndian.Uint32(b[88:]) {
		return nil, bad("checksum")
	}
	s := &summary{
		path: path, number: u64(16), first: u64(24), next: u64(32), firstSeq: u64(40), events: int(e), positionCount: int(p),
		maxStarted: int64(u64(48)), closed: payment.Moment{Time: time.UnixMilli(int64(u64(56))).UTC(), Clock: payment.ClockUnsynced},
		ids: make([]uint64, n), marks: make([]uint32, m), carried: make([]uint64, c),
	}
	if binary.BigEndian.Uint32(b[12:])&1 != 0 {
		s.closed.Clock = payment.ClockSynced
	}
	if s.number != number {
		return nil, bad("it belongs to another segment")
	}
	for i := range s.ids {
		s.ids[i] = binary.BigEndian.Uint64(one[i*8:])
	}
	one = one[n*8:]
	for i := range s.marks {
		s.marks[i] = binary.BigEndian.Uint32(one[i*4:])
	}
	one = one[m*4:]
	for i := range s.carried {
		s.carried[i] = binary.BigEndian.Uint64(one[i*8:])
	}
	return s, nil
}

func counts(b []byte) (n, m, c, p, e int64) {
	at := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i*4:])) }
	return at(0), at(1), at(2), at(3), at(4)
}

// The columns of the second part begin here.
func (s *summary) markColumn() int64 {
	return sidecarHeader + int64(len(s.ids))*8 + int64(len(s.marks))*4 + int64(len(s.carried))*8
}
func (s *summary) offsetColumn() int64   { return s.markColumn() + int64(len(s.marks))*4 }
func (s *summary) positionColumn() int64 { return s.offsetColumn() + int64(len(s.ids)+1)*4 }
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

// positions are the numbers of the steps of one id. Whoever uses them has to
// check that they lead to that id.
func (s *summary) positions(hash uint64) ([]uint64, error) {
	i := find(s.ids, hash)
	if i < 0 {
		return nil, fmt.Errorf("%w: no such id", errSidecar)
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
	i := find(s.marks, m)
	if i < 0 {
		return nil, nil
	}
	j := i
	for j < len(s.marks) && s.marks[j] == m {
		j++
	}
	b, err := s.read(s.markColumn()+int64(i)*4, (j-i)*4)
	if err != nil {
		return nil, err
	}
	var hashes []uint64
	for k := 0; k < j-i; k++ {
		id := binary.BigEndian.Uint32(b[k*4:])
		if int64(id) >= int64(len(s.ids)) {
			return nil, fmt.Errorf("%w: id %d of %d", errSidecar, id, len(s.ids))
		}
		hashes = append(hashes, s.ids[id])
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

// insert puts n into its place, which is nearly always the end.
func insert(sorted []uint64, n uint64) []uint64 {
	if len(sorted) == 0 || sorted[len(sorted)-1] < n {
		return append(sorted, n)
	}
	i, found := slices.BinarySearch(sorted, n)
	if found {
		return sorted
	}
	return slices.Insert(sorted, i, n)
}

func insertBegun(sorted []begun, b begun) []begun {
	if len(sorted) == 0 || sorted[len(sorted)-1].number < b.number {
		return append(sorted, b)
	}
	i, _ := slices.BinarySearchFunc(sorted, b, func(a, b begun) int { return cmp.Compare(a.number, b.number) })
	return slices.Insert(sorted, i, b)
}
