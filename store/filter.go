package store

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

// filter is what memory keeps of a column of hashes in a sidecar: 16 bits of
// each, which is enough to know that a hash is not there. Hashes are sorted and
// spread evenly, so their first k bits say where to look:
//
//	k bits   one of 2^k ranges; 8 to 16 hashes fall into each
//	16 bits  kept
//	the rest in the sidecar, which is read when these agree
//
// About one of 5,000 hashes that are not there passes. Every segment of the
// history is asked at every Begin: a million payments have 170 of them.
type filter struct {
	k      int      // at least 1
	starts []uint32 // index of the first hash of each range, and their number
	kept   []uint16
}

// column is hashes as they lie in a sidecar: big-endian, 8 bytes wide, or 4 for
// those that are the upper half of 64 bits.
type column struct {
	width int
	b     []byte
}

func (c column) len() int { return len(c.b) / c.width }

func (c column) at(i int) uint64 {
	if c.width == 8 {
		return binary.BigEndian.Uint64(c.b[i*8:])
	}
	return uint64(binary.BigEndian.Uint32(c.b[i*4:])) << 32
}

// find is where h stands, or would stand, in the column.
func (c column) find(h uint64) (i int, found bool) {
	return sort.Find(c.len(), func(i int) int { return cmp.Compare(h, c.at(i)) })
}

// newFilter makes the filter of a column; sorted says whether it is that.
func newFilter(c column) (f filter, sorted bool) {
	n := c.len()
	f.k = max(1, bits.Len(uint(n/16)))
	f.starts, f.kept = make([]uint32, 1<<f.k+1), make([]uint16, n)
	k, last, r := f.k, uint64(0), 0
	for i := range f.kept { // a million times at a start: rangeOf and bitsOf by hand
		h := c.at(i)
		if h < last {
			return filter{}, false
		}
		last = h
		for q := int(h >> ((64 - k) & 63)); r <= q; r++ {
			f.starts[r] = uint32(i)
		}
		f.kept[i] = uint16(h << (k & 63) >> 48)
	}
	for ; r < len(f.starts); r++ {
		f.starts[r] = uint32(n)
	}
	return f, true
}

// The masks spare the test for a shift of 64.
func (f *filter) rangeOf(h uint64) int   { return int(h >> ((64 - f.k) & 63)) }
func (f *filter) bitsOf(h uint64) uint16 { return uint16(h << (f.k & 63) >> 48) }

// may says whether the hash can be in the column.
func (f *filter) may(h uint64) bool {
	r := f.rangeOf(h)
	return slices.Contains(f.kept[f.starts[r]:f.starts[r+1]], f.bitsOf(h))
}

// candidates are the indices of the filters that let a hash pass, ascending.
func candidates(filters []filter, h uint64) (all []int) {
	for i := range filters {
		if filters[i].may(h) {
			all = append(all, i)
		}
	}
	return all
}
