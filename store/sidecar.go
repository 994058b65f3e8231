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
//	92          first part, of which memory keeps a filter and the carried ids:
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

func sidecarPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%010d.idx", number))
}

// encodeSidecar makes the summary of an index, and the bytes of its sidecar.
func encodeSidecar(path string, number, first, next uint64, x *index, closed payment.Moment) (*summary, []byte) {
	s := &summary{path: path, number: number, first: first, next: next, firstSeq: x.firstSeq, events: len(x.events), maxStarted: x.maxStarted, closed: closed}
	ids := slices.Sorted(maps.Keys(x.steps))
	type markOfID struct {
		mark uint32
		id   uint32
	}
	var marks []markOfID
	for m, hashes := range x.marks {
		for _, h := range hashes {
			i, _ := slices.BinarySearch(ids, h)
			marks = append(marks, markOfID{m, uint32(i)})
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
	for _, h := range ids {
		one = binary.BigEndian.AppendUint64(one, h)
	}
	for _, m := range marks {
		one = binary.BigEndian.AppendUint32(one, m.mark)
		two = binary.BigEndian.AppendUint32(two, m.id)
	}
	for _, h := range s.carried {
		one = binary.BigEndian.AppendUint64(one, h)
	}
	var positions []byte
	for _, h := range ids {
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
	col := newColumns(one, len(ids), len(marks))
	s.ids, _ = newFilter(col.ids)
	s.marks, _ = newFilter(col.marks)
	return s, append(append(s.header(one, two), one...), two...)
}

// wide is a fingerprint as a filter takes it.
func wide(mark uint32) uint64 { return uint64(mark) << 32 }

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
	for _, v := range []int{s.idCount(), s.markCount(), len(s.carried), s.positionCount, s.events} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(two, castagnoli))
	return binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, one))
}

// columns are the first part of a sidecar.
type columns struct {
	ids, marks column
	carried    []byte
}

func newColumns(one []byte, ids, marks int) columns {
	return columns{column{8, one[:ids*8]}, column{4, one[ids*8:][:marks*4]}, one[ids*8+marks*4:]}
}

// readSidecar reads the header and the first part. room is used for it, and
// grows as it has to.
func readSidecar(path string, number uint64, room *[]byte) (*summary, columns, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, columns{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, columns{}, err
	}
	return parseSidecar(f, info.Size(), path, number, room)
}

func parseSidecar(r io.ReaderAt, size int64, path string, number uint64, room *[]byte) (*summary, columns, error) {
	bad := func(what string) (*summary, columns, error) {
		return nil, columns{}, fmt.Errorf("%w %s: %s", errSidecar, filepath.Base(path), what)
	}
	var b [sidecarHeader]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return bad("it is shorter than its header")
	}
	if string(b[:8]) != sidecarMagic || binary.BigEndian.Uint32(b[8:]) != sidecarLayout {
		return bad("not a sidecar of this version")
	}
	u64 := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	n, m, c, p, e := counts(b[64:84])
	if n > maxColumn || m > maxColumn || c > maxColumn || p > maxColumn || e > maxColumn ||
		size != sidecarHeader+n*8+m*4+c*8+m*4+(n+1)*4+p*8+e*8 {
		return bad("its length is not what its header says")
	}
	*room = slices.Grow((*room)[:0], int(n*8+m*4+c*8))
	one := (*room)[:n*8+m*4+c*8]
	if _, err := r.ReadAt(one, sidecarHeader); err != nil {
		return bad("its first part cannot be read")
	}
	if crc32.Update(crc32.Checksum(b[:88], castagnoli), castagnoli, one) != binary.BigEndian.Uint32(b[88:]) {
		return bad("checksum")
	}
	s := &summary{
		path: path, number: u64(16), first: u64(24), next: u64(32), firstSeq: u64(40), events: int(e), positionCount: int(p),
		maxStarted: int64(u64(48)), closed: payment.Moment{Time: time.UnixMilli(int64(u64(56))).UTC(), Clock: payment.ClockUnsynced},
	}
	if binary.BigEndian.Uint32(b[12:])&1 != 0 {
		s.closed.Clock = payment.ClockSynced
	}
	if s.number != number {
		return bad("it belongs to another segment")
	}
	col := newColumns(one, int(n), int(m))
	var idsSorted, marksSorted bool
	s.ids, idsSorted = newFilter(col.ids)
	s.marks, marksSorted = newFilter(col.marks)
	if !idsSorted || !marksSorted {
		return bad("its hashes are out of order")
	}
	s.carried = numbers(col.carried)
	return s, col, nil
}

func counts(b []byte) (n, m, c, p, e int64) {
	at := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i*4:])) }
	return at(0), at(1), at(2), at(3), at(4)
}
