package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// countWritten returns what tells how many bytes this process has given to write
// calls. It opens nothing: the go command has a test note every file that it
// opens, and that note is written too, 4096 bytes at a time.
func countWritten(t *testing.T) (written func() int) {
	t.Helper()
	f, err := os.Open("/proc/self/io")
	if err != nil {
		t.Skipf("this kernel does not count written bytes (%v)", err)
	}
	t.Cleanup(func() { f.Close() })
	return func() int {
		b := make([]byte, 4096)
		n, err := f.ReadAt(b, 0)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b[:n])) {
			if n, ok := strings.CutPrefix(line, "wchar: "); ok {
				v, _ := strconv.Atoi(strings.TrimSpace(n))
				return v
			}
		}
		t.Fatal("no wchar in /proc/self/io")
		return 0
	}
}

// TestBytesPerSale is goal G3: at most 52 KB for a plain sale, whatever lies in
// the journal already, and nothing while idle.
func TestBytesPerSale(t *testing.T) {
	b, written := newBox(t, func(o *Options) { o.SegmentSize = 4 << 20 }), countWritten(t)
	for _, history := range []int{0, 1500} {
		for n := range history {
			b.sell(fmt.Sprintf("history-%d", n))
		}
		const sales = 50
		segment, before := b.active.number, written()
		for n := range sales {
			b.sell(fmt.Sprintf("counted-%d-%d", history, n))
			b.ackAll()
		}
		per := (written() - before) / sales
		if b.active.number != segment {
			t.Fatal("a roll-over fell into the count")
		}
		t.Logf("%d bytes per sale behind %d others", per, history)
		if per > 52<<10 {
			t.Errorf("%d bytes per sale behind %d others, want at most %d", per, history, 52<<10)
		}
	}
	before := written()
	if err := b.Healthy(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pending("local", 10); err != nil {
		t.Fatal(err)
	}
	b.Acknowledge("local", b.LastSeq())
	if n := written() - before; n > 0 {
		t.Errorf("%d bytes written while idle", n)
	}
}

// TestFlushesPerSale counts the system calls of two runs that differ by a number
// of sales.
func TestFlushesPerSale(t *testing.T) {
	strace := needStrace(t)
	count := func(sales int) (flushes int) {
		log := filepath.Join(t.TempDir(), "log")
		cmd := child(t, "sell", t.TempDir(), []string{"STORE_SIZE=16777216", "STORE_SALES=" + strconv.Itoa(sales)},
			strace, "-f", "-qq", "-o", log, "-e", "trace=fsync,fdatasync,sync,syncfs,msync,sync_file_range")
		if out, err := cmd.Output(); err != nil || len(said(out)["done"]) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "sync(") { // not a second time where it is resumed
				flushes++
			}
		}
		return flushes
	}
	const more = 20
	if got := count(5+more) - count(5); got != 4*more {
		t.Errorf("%d flushes for %d sales, want 4 each", got, more)
	}
}
