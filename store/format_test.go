package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

func TestEntryRoundTrip(t *testing.T) {
	h := header{kind: kindStep, flags: flagOpen | flagBegun, about: hashOf("id"), mark: orderMark("order"), at: -5}
	v, err := encode(77, h, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	got, body, err := decode(77, v)
	if err != nil || got != h || string(body) != `{"a":1}` {
		t.Errorf("%+v %s %v", got, body, err)
	}
	if _, _, err := decode(78, v); err == nil {
		t.Error("an entry under another one's number was accepted")
	}
	for i := range v {
		w := bytes.Clone(v)
		w[i] ^= 0x10
		if _, _, err := decode(77, w); err == nil {
			t.Errorf("flipped bit in byte %d was not seen", i)
		}
		if _, _, err := decode(77, v[:i]); err == nil {
			t.Errorf("cut at byte %d was not seen", i)
		}
	}
	if _, err := encode(1, h, make([]byte, maxBody+1)); err == nil {
		t.Error("an entry beyond the bound was written")
	}
}

func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	even := make([]uint64, 6000)
	for i := range even {
		even[i] = rng.Uint64()
	}
	slices.Sort(even)
	for name, sorted := range map[string][]uint64{
		"none": {}, "one": {5}, "ends": {0, 1, 2, 3, 1 << 63, ^uint64(0)}, "the same": {7, 7, 7}, "uneven": {1, 2, 4, 8, 16, 32, 1 << 40, 1<<40 + 1, 1 << 60},
		"even": even, "all in one range": slices.Sorted(func(yield func(uint64) bool) {
			for i := range uint64(1000) {
				if !yield(i << 20) {
					return
				}
			}
		}),
	} {
		f, ok := newFilter(columnOf(sorted...))
		if !ok {
			t.Errorf("%s: said to be out of order", name)
			continue
		}
		for _, h := range sorted {
			if !f.may(h) {
				t.Errorf("%s: %x does not pass", name, h)
			}
		}
	}
	f, _ := newFilter(columnOf(even...))
	passed := 0
	for range 100_000 {
		if f.may(rng.Uint64()) {
			passed++
		}
	}
	if passed > 100 {
		t.Errorf("%d of 100,000 strange hashes pass, want about 18", passed)
	}
	if _, ok := newFilter(columnOf(1, 3, 2)); ok {
		t.Error("hashes out of order were accepted")
	}
}

func columnOf(hashes ...uint64) column {
	c := column{width: 8}
	for _, h := range hashes {
		c.b = binary.BigEndian.AppendUint64(c.b, h)
	}
	return c
}

func FuzzDecode(f *testing.F) {
	v, _ := encode(1, header{kind: kindEvent, about: 9}, []byte(`{}`))
	f.Add(uint64(1), v)
	f.Add(uint64(1), v[:headerSize])
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, number uint64, value []byte) {
		h, body, err := decode(number, value)
		if err != nil {
			return
		}
		again, err := encode(number, h, body)
		if err != nil || (value[7] == 0 && !bytes.Equal(again, value)) {
			t.Errorf("%x decodes and encodes to %x, %v", value, again, err)
		}
	})
}

// FuzzOpen spoils a segment: whatever is in the file, opening it ends with a
// journal or an error.
func FuzzOpen(f *testing.F) {
	b := newBox(f, func(o *Options) { o.SegmentSize = 128 << 10 })
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		b.sell(id)
	}
	b.begin(b.sale("open", "order"))
	b.Close()
	sound, err := os.ReadFile(segmentPath(b.options.Dir, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{}, false)
	f.Add(uint32(8*pageSize+pageHeader), []byte{0xff, 0xff, 0xff, 0xff}, false)
	f.Add(uint32(32), []byte{1}, true)
	f.Add(uint32(5*pageSize+10), []byte{0, 0x80}, true)
	f.Add(uint32(6*pageSize), []byte{3, 0, 0, 0, 0, 0, 0, 0, 1}, false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, at uint32, change []byte, mend bool) {
		file := bytes.Clone(sound)
		if int(at) < len(file) {
			copy(file[at:], change)
		}
		if mend { // let a changed meta page pass its own checksum
			for _, m := range []int{0, pageSize} {
				sum := fnv64(file[m+16 : m+72])
				native.PutUint64(file[m+72:], sum)
			}
		}
		if err := os.WriteFile(segmentPath(dir, 1), file, 0o640); err != nil {
			t.Fatal(err)
		}
		os.Remove(sidecarPath(dir, 1))
		s, err := Open(Options{Dir: dir, SegmentSize: 128 << 10, Destinations: []string{"local"}})
		if err != nil {
			return
		}
		defer s.Close()
		for range s.History(Query{}) {
		}
		_, _ = s.Range(1, s.LastSeq(), 100)
	})
}

func fnv64(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func FuzzSidecar(f *testing.F) {
	x := newIndex()
	for n, id := range []payment.ID{"a", "b", "c"} {
		if err := x.add(uint64(n+1), header{kind: kindStep, flags: flagBegun, about: hashOf(id), mark: uint32(n)}); err != nil {
			f.Fatal(err)
		}
	}
	_, b := encodeSidecar("x", 1, 1, 4, x, payment.Moment{})
	f.Add(b)
	f.Add(b[:sidecarHeader])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, col, err := parseSidecar(bytes.NewReader(b), int64(len(b)), "x", 1, new([]byte))
		if err != nil {
			return
		}
		if s.idCount()*8 > len(b) {
			t.Errorf("%d ids out of %d bytes", s.idCount(), len(b))
		}
		for i := range s.idCount() {
			if !s.ids.may(col.ids.at(i)) {
				t.Errorf("id %d of %d does not pass the filter", i, s.idCount())
			}
		}
	})
}

// TestPageThatPointsToItself: bbolt's own check would not come back from it.
func TestPageThatPointsToItself(t *testing.T) {
	b := newBox(t)
	b.sellUntil("a", 2)
	b.Close()
	path := segmentPath(b.options.Dir, 1)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	looped := 0
	for at := 2 * pageSize; at < len(file); at += pageSize {
		if native.Uint16(file[at+8:]) == flagBranch {
			native.PutUint64(file[at+pageHeader+8:], native.Uint64(file[at:]))
			looped++
		}
	}
	if looped == 0 {
		t.Fatal("the segment has no branch page")
	}
	if err := os.WriteFile(path, file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := checkFile(path); err == nil {
		t.Error("a page that points to itself was not seen")
	}
}

// TestJournalOfTheNextVersion: what a newer version added is kept and skipped,
// also by a roll-over, and the journal goes on.
func TestJournalOfTheNextVersion(t *testing.T) {
	b := newBox(t)
	b.begin(b.sale("one", "order-1"))
	b.Close()
	db, err := bbolt.Open(segmentPath(b.options.Dir, 1), 0o640, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		entries, meta := tx.Bucket(bucketEntries), tx.Bucket(bucketMeta)
		var m map[string]any
		if err := json.Unmarshal(meta.Get(keySegment), &m); err != nil {
			return err
		}
		m["minor"], m["colour"] = minor+1, "blue"
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		put := func(n uint64, h header, body string) error {
			v, err := encode(n, h, []byte(body))
			if err != nil {
				return err
			}
			return entries.Put(binary.BigEndian.AppendUint64(nil, n), v)
		}
		return firstError(
			meta.Put(keySegment, text),
			meta.Put([]byte("weather"), []byte("rain")),
			put(2, header{kind: kindStep, flags: flagOpen, about: hashOf("one")}, `{"kind":"weighed","id":"one","at":{"time":"2026-03-01T12:00:00Z","clock":"synced"},"grams":250}`),
			put(3, header{kind: 9, about: 7}, `{"what":"ever"}`),
			put(4, header{kind: kindEvent, about: 1}, `{"seq":1,"epoch":"x","type":"payment.weighed","time":"2026-03-01T12:00:00Z","clock":"synced","data":{"grams":250},"mood":"good"}`),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	if got := b.find("one").State; got != payment.StateBegun {
		t.Errorf("state %s, want begun", got)
	}
	if r, err := b.Verify(t.Context()); err != nil || !r.OK() {
		t.Errorf("verify: %+v, %v", r, err)
	}
	b.sellUntil("fill", 2)
	b.reopen()
	steps, raws, err := b.stepsOf(hashOf("one"))
	if err != nil || steps != b.active || len(raws) != 2 || !bytes.Contains(raws[1].body, []byte(`"grams":250`)) {
		t.Errorf("the unknown step was not carried over: %d steps, %v", len(raws), err)
	}
	b.finish("one", outcome(payment.Declined))
	if events, err := b.Range(1, 1, 1); err != nil || events[0].Type != "payment.weighed" {
		t.Errorf("event of a newer version: %v, %v", events, err)
	}

	b.Close()
	db, err = bbolt.Open(segmentPath(b.options.Dir, 2), 0o640, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySegment, []byte(`{"format":2,"number":2,"first":1}`))
	})
	if err := firstError(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(b.options); err == nil {
		t.Error("a journal of another format was opened")
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestLeftovers: what an interrupted roll-over leaves is cleared away; a newest
// segment that is gone is not silently passed over.
func TestLeftovers(t *testing.T) {
	b := newBox(t)
	b.sellUntil("a", 3)
	b.Close()
	dir := b.options.Dir
	for _, name := range []string{"0000000004.seg.tmp", "0000000003.idx.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("unfinished"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(sidecarPath(dir, 3), []byte("of a roll-over that did not end"), 0o640); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.find("a-0")
	left, err := list(dir)
	if err != nil || len(left.leftovers) != 0 || slices.Contains(left.sidecars, 3) {
		t.Errorf("leftovers: %+v, %v", left, err)
	}
	b.Close()
	if err := os.Rename(segmentPath(dir, 3), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(segmentPath(dir, 2), filepath.Join(dir, "elsewhere2")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(b.options); err == nil {
		t.Error("the newest segments are gone, and it opened")
	}
}
