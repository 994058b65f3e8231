package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// A power cut leaves any of the pages that were written and not flushed. The
// test runs a script, keeps the files before and after every durable write, and
// builds what a cut in between could have left: every subset of the changed
// pages without the meta page, all of them with the meta page old, new or torn,
// unfinished temporary files, and directory entries that came or did not come.
// Every such disk has to open and to have what was acknowledged before.

// disk is the content of a directory.
type disk map[string][]byte

func readDisk(t *testing.T, dir string) disk {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := make(disk)
	for _, e := range names {
		if e.Name() == "lock" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		d[e.Name()] = b
	}
	return d
}

func (d disk) with(name string, content []byte) disk {
	c := make(disk, len(d)+1)
	for k, v := range d {
		c[k] = v
	}
	if content == nil {
		delete(c, name)
	} else {
		c[name] = content
	}
	return c
}

// cutter keeps what was acknowledged and tries the states of each write.
type cutter struct {
	t       *testing.T
	b       *box
	scratch string
	random  *rand.Rand
	each    int // states tried for one write, beside the fixed ones
	before  disk
	states  int
	acked   map[payment.ID]payment.State
	seq     uint64
	running payment.ID // what may have happened or not
	err     error
}

func (c *cutter) hook(point string) error {
	what, when, _ := strings.Cut(point, ".")
	if when == "before" {
		c.before = readDisk(c.t, c.b.options.Dir)
		return nil
	}
	after := readDisk(c.t, c.b.options.Dir)
	if what == "commit" || what == "expire" {
		c.pages(after)
	} else {
		c.files(after)
	}
	return c.err
}

// files tries the states of a write that makes, fills or renames files: each
// change of the directory came or did not, each new temporary file is cut off
// somewhere.
func (c *cutter) files(after disk) {
	c.try(c.before)
	c.try(after)
	for name, content := range after {
		if old, ok := c.before[name]; ok && bytes.Equal(old, content) {
			continue
		}
		c.try(after.with(name, nil))
		if strings.HasSuffix(name, ".tmp") {
			for _, n := range []int{0, 1, pageSize, len(content) / 2} {
				c.try(after.with(name, content[:min(n, len(content))]))
			}
		}
	}
	for name, content := range c.before {
		if _, ok := after[name]; !ok {
			c.try(after.with(name, content)) // a removal or a rename that did not come
		}
	}
}

// pages tries the states of a commit.
func (c *cutter) pages(after disk) {
	for name, new := range after {
		old := c.before[name]
		if bytes.Equal(old, new) {
			continue
		}
		var data, meta []int
		for at := 0; at < len(new); at += pageSize {
			if at < len(old) && bytes.Equal(old[at:at+pageSize], new[at:at+pageSize]) {
				continue
			}
			if at < 2*pageSize {
				meta = append(meta, at)
			} else {
				data = append(data, at)
			}
		}
		subset := func(pages ...int) []byte {
			image := bytes.Clone(new)
			copy(image, old)
			for _, at := range pages {
				copy(image[at:], new[at:at+pageSize])
			}
			return image
		}
		for range min(c.each, 1<<len(data)) {
			var some []int
			for _, at := range data {
				if c.random.IntN(2) == 0 {
					some = append(some, at)
				}
			}
			c.try(after.with(name, subset(some...)))
		}
		all := subset(data...)
		c.try(after.with(name, all))
		for _, at := range meta {
			torn := bytes.Clone(all)
			copy(torn[at:], new[at:at+40]) // in the middle of the meta itself
			c.try(after.with(name, torn))
			torn = bytes.Clone(all)
			copy(torn[at:], new[at:at+512])
			c.try(after.with(name, torn))
			garbage := bytes.Clone(all)
			for i := range 512 {
				garbage[at+i] = byte(c.random.Uint32())
			}
			c.try(after.with(name, garbage))
		}
	}
}

// try opens one state and compares it with what was acknowledged. It runs in the
// place of a commit, so it does not end the test itself.
func (c *cutter) try(d disk) {
	if c.err != nil {
		return
	}
	c.states++
	if err := c.compare(d); err != nil {
		c.err = fmt.Errorf("state %d: %w", c.states, err)
		c.t.Error(c.err)
	}
}

func (c *cutter) compare(d disk) error {
	names, err := os.ReadDir(c.scratch)
	if err != nil {
		return err
	}
	for _, e := range names {
		os.Remove(filepath.Join(c.scratch, e.Name()))
	}
	for name, content := range d {
		if err := os.WriteFile(filepath.Join(c.scratch, name), content, 0o640); err != nil {
			return err
		}
	}
	o := c.b.options
	o.Dir, o.Hook = c.scratch, nil
	s, err := Open(o)
	if err != nil {
		return err
	}
	defer s.Close()
	for id, want := range c.acked {
		rec, err := s.Find(id)
		if err != nil || (rec.State != want && id != c.running) {
			return fmt.Errorf("payment %s is %q, %v; %s was acknowledged", id, rec.State, err, want)
		}
	}
	events, err := s.Range(1, s.LastSeq(), maxEvents)
	if err != nil || s.LastSeq() < c.seq {
		return fmt.Errorf("last event %d, %v; %d was acknowledged", s.LastSeq(), err, c.seq)
	}
	for i, e := range events {
		if e.Seq != uint64(i+1) {
			return fmt.Errorf("event %d has number %d", i+1, e.Seq)
		}
	}
	return nil
}

func (c *cutter) ack(id payment.ID, state payment.State) {
	c.acked[id], c.seq = state, c.b.LastSeq()
}

// TestPowerCuts takes STORE_CRASH_STATES for the number of states; it tries a
// little more than that.
func TestPowerCuts(t *testing.T) {
	states := 1000
	if n, err := strconv.Atoi(os.Getenv("STORE_CRASH_STATES")); err == nil {
		states = n
	}
	scratch := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "store"); err == nil { // states are many, and need not survive
		scratch = shm
		defer os.RemoveAll(shm)
	}
	seed := uint64(1)
	c := &cutter{t: t, scratch: scratch, random: rand.New(rand.NewPCG(seed, 2)), each: max(1, states/500), acked: make(map[payment.ID]payment.State)}
	c.b = &box{t: t}
	nb := newBox(t)
	nb.Close()
	*c.b = *nb
	c.b.options.Dir, c.b.options.SegmentSize, c.b.options.Hook = t.TempDir(), 128<<10, c.hook
	c.b.options.Now = func() payment.Moment { return c.b.now }
	c.b.open()
	defer c.b.Close()
	for n := 0; c.b.active.number < 3; n++ {
		tx := c.b.sale(fmt.Sprintf("sale-%d", n), fmt.Sprintf("order-%d", n))
		c.running = tx.ID
		c.b.begin(tx)
		c.ack(tx.ID, payment.StateBegun)
		if n%10 == 3 {
			continue // stays open and is carried over
		}
		c.b.finish(tx.ID, approved(tx))
		c.ack(tx.ID, payment.StateFinal)
		c.b.Acknowledge("local", c.b.LastSeq())
		if n%7 == 5 {
			c.running = ""
			c.b.reopen()
		}
	}
	t.Logf("%d states", c.states)
	if c.states < states {
		t.Errorf("%d states, want %d", c.states, states)
	}
}
