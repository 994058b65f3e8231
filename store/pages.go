package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// bbolt trusts its pages: one that points to itself, or beyond the file, ends
// the process while it is being checked. So the tree is walked once before bbolt
// opens a file, with reads that can fail and a bound on everything. All integers
// are in the byte order of the machine.
//
//	page    0  8  number     8  2  flags   10  2  count   12  4  overflow: further pages
//	meta   16  4  magic     20  4  version 24  4  page size
//	       32  8  root page 48  8  free list page         56  8  pages in use
//	       64  8  transaction                             72  8  FNV-1a of bytes 16 to 72
//	branch 16 16  each: 4 offset of the key, 4 its length, 8 page
//	leaf   16 16  each: 4 flags, 4 offset of the key, 4 its length, 4 length of the value
const (
	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	pageHeader = 16
	bucketFlag = 0x01 // of a leaf's element: its value is a bucket
	metaEnd    = 80

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)
	maxDepth    = 32
	maxOverflow = 2 * maxBody / pageSize
)

var native = binary.NativeEndian

// walker checks one file.
type walker struct {
	r     io.ReaderAt
	size  int64
	page  int64 // bytes of a page
	used  uint64
	taken []bool               // by page: in the tree, or free
	room  [maxDepth + 1][]byte // a page for each depth
	depth int
	metas int // meta pages that are whole
}

// checkFile makes sure that bbolt can open a file without harm. torn says that
// one of the two meta pages is not whole, as a power cut can leave it: bbolt
// uses the other one and mends it with its next commit.
func checkFile(path string) (size int64, torn bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	torn, err = checkPages(f, info.Size())
	return info.Size(), torn, err
}

func checkPages(r io.ReaderAt, size int64) (torn bool, err error) {
	if size > 2*maxSegmentSize {
		return false, fmt.Errorf("%w: %d bytes", errDamaged, size)
	}
	w := walker{r: r, size: size}
	root, free, err := w.meta()
	if err != nil {
		return false, err
	}
	w.taken = make([]bool, w.used)
	if free != noFreelist {
		if err := w.freelist(free); err != nil {
			return false, err
		}
	}
	return w.metas < 2, w.tree(root)
}

func (w *walker) bad(page uint64, what string) error {
	return fmt.Errorf("%w: page %d: %s", errDamaged, page, what)
}

// meta finds the newest of the two meta pages that is whole, as bbolt does.
func (w *walker) meta() (root, free uint64, err error) {
	var newest []byte
	for i, at := range []int64{0, pageSize} {
		b := make([]byte, metaEnd)
		if _, err := w.r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		sum := fnv.New64a()
		sum.Write(b[16:72])
		if native.Uint32(b[16:]) != boltMagic || native.Uint32(b[20:]) != boltVersion || sum.Sum64() != native.Uint64(b[72:]) {
			continue
		}
		if native.Uint32(b[24:]) != pageSize {
			return 0, 0, fmt.Errorf("%w: pages of %d bytes, want %d", errForeign, native.Uint32(b[24:]), pageSize)
		}
		if native.Uint64(b) == uint64(i) && native.Uint16(b[8:]) == flagMeta {
			w.metas++
		}
		if newest == nil || native.Uint64(b[64:]) > native.Uint64(newest[64:]) {
			newest = b
		}
	}
	if newest == nil {
		return 0, 0, fmt.Errorf("%w: neither meta page is whole", errDamaged)
	}
	w.page, w.used = pageSize, native.Uint64(newest[56:])
	if w.used > uint64(w.size)/pageSize {
		return 0, 0, fmt.Errorf("%w: %d pages in use, the file has %d", errDamaged, w.used, w.size/pageSize)
	}
	return native.Uint64(newest[32:]), native.Uint64(newest[48:]), nil
}

// load reads a page with its overflow and checks its header. What it returns is
// valid until the next page of the same depth.
func (w *walker) load(id uint64, flags uint16) ([]byte, uint16, int, error) {
	if id < 2 || id >= w.used {
		return nil, 0, 0, w.bad(id, "outside of the file")
	}
	head, err := w.read(id, 1)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("page %d: %w", id, err)
	}
	kind, count, overflow := native.Uint16(head[8:]), int(native.Uint16(head[10:])), uint64(native.Uint32(head[12:]))
	if native.Uint64(head[:]) != id || kind&flags == 0 || kind&(kind-1) != 0 {
		return nil, 0, 0, w.bad(id, "not the page that is looked for")
	}
	if overflow > maxOverflow || id+overflow >= w.used {
		return nil, 0, 0, w.bad(id, "longer than the file")
	}
	for i := id; i <= id+overflow; i++ {
		if w.taken[i] {
			return nil, 0, 0, w.bad(i, "used twice")
		}
		w.taken[i] = true
	}
	if overflow == 0 {
		return head, kind, count, nil
	}
	b, err := w.read(id, int(overflow)+1)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("page %d: %w", id, err)
	}
	return b, kind, count, nil
}

// read reads n pages from id on into the room of this depth.
func (w *walker) read(id uint64, n int) ([]byte, error) {
	b := slices.Grow(w.room[w.depth][:0], n*int(w.page))[:n*int(w.page)]
	w.room[w.depth] = b
	_, err := w.r.ReadAt(b, int64(id)*w.page)
	return b, err
}

func (w *walker) freelist(id uint64) error {
	b, _, count, err := w.load(id, flagFreelist)
	if err != nil {
		return err
	}
	first := pageHeader
	if count == 0xFFFF { // the count did not fit into its field
		first += 8
		if n := native.Uint64(b[pageHeader:]); n > w.used {
			return w.bad(id, "more free pages than pages")
		} else {
			count = int(n)
		}
	}
	if first+count*8 > len(b) {
		return w.bad(id, "longer than its page")
	}
	for i := range count {
		free := native.Uint64(b[first+i*8:])
		if free < 2 || free >= w.used || w.taken[free] {
			return w.bad(free, "cannot be free")
		}
		w.taken[free] = true
	}
	return nil
}

func (w *walker) tree(id uint64) error {
	if w.depth++; w.depth > maxDepth {
		return w.bad(id, "too deep")
	}
	defer func() { w.depth-- }()
	b, kind, count, err := w.load(id, flagBranch|flagLeaf)
	if err != nil {
		return err
	}
	if kind == flagLeaf {
		return w.leaf(id, b, count)
	}
	if count == 0 || pageHeader+count*16 > len(b) {
		return w.bad(id, "its count is wrong")
	}
	var last []byte
	for i := range count {
		e := pageHeader + i*16
		pos, klen := native.Uint32(b[e:]), native.Uint32(b[e+4:])
		if !within(b, e, pos, uint64(klen)) {
			return w.bad(id, "a key is outside")
		}
		k := b[e+int(pos):][:klen]
		if i > 0 && bytes.Compare(last, k) >= 0 {
			return w.bad(id, "its keys are out of order")
		}
		last = k
		if err := w.tree(native.Uint64(b[e+8:])); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(id uint64, b []byte, count int) error {
	if pageHeader+count*16 > len(b) {
		return w.bad(id, "its count is wrong")
	}
	var last []byte
	for i := range count {
		e := pageHeader + i*16
		pos, klen, vlen := native.Uint32(b[e+4:]), native.Uint32(b[e+8:]), native.Uint32(b[e+12:])
		if klen == 0 || !within(b, e, pos, uint64(klen)+uint64(vlen)) {
			return w.bad(id, "an element is outside")
		}
		k := b[e+int(pos):][:klen]
		if i > 0 && bytes.Compare(last, k) >= 0 {
			return w.bad(id, "its keys are out of order")
		}
		last = k
		if native.Uint32(b[e:])&bucketFlag == 0 {
			continue
		}
		if err := w.bucket(id, b[e+int(pos)+int(klen):][:vlen]); err != nil {
			return err
		}
	}
	return nil
}

// bucket follows the value of a leaf's element: 8 root page, 8 sequence, and
// where there is no root page the only page of the bucket itself.
func (w *walker) bucket(id uint64, v []byte) error {
	if len(v) < 16 {
		return w.bad(id, "a bucket is cut off")
	}
	if w.depth++; w.depth > maxDepth {
		return w.bad(id, "too deep")
	}
	defer func() { w.depth-- }()
	if root := native.Uint64(v); root != 0 {
		return w.tree(root)
	}
	inline := v[16:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != flagLeaf {
		return w.bad(id, "a bucket is no leaf")
	}
	return w.leaf(id, inline, int(native.Uint16(inline[10:])))
}

// within says whether n bytes at an offset from an element lie in the page.
func within(b []byte, element int, offset uint32, n uint64) bool {
	return uint64(element)+uint64(offset)+n <= uint64(len(b)) && offset >= 16
}
