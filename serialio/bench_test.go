package serialio

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rawLine is the floor: a blocking descriptor with raw termios, and nothing
// else. It has no deadlines, and closing it wakes nobody.
type rawLine int

func (l rawLine) Read(b []byte) (int, error)  { return unix.Read(int(l), b) }
func (l rawLine) Write(b []byte) (int, error) { return unix.Write(int(l), b) }

func openRaw(b *testing.B, path string) rawLine {
	b.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		b.Fatal(err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		b.Fatal(err)
	}
	return rawLine(fd)
}

// answer is a terminal that replies size bytes to each request of ask bytes. It
// reads and writes as rawLine does and runs in a process of its own: in this
// one, a read that blocks a thread would hold up the poller of the other line.
func answer(terminal rawLine, ask, size int) {
	request, reply := make([]byte, ask), make([]byte, size)
	for {
		if _, err := io.ReadFull(terminal, request); err != nil {
			return
		}
		for rest := reply; len(rest) > 0; {
			n, err := terminal.Write(rest)
			if err != nil {
				return
			}
			rest = rest[n:]
		}
	}
}

// newTerminal starts a process that answers on a new pty.
func newTerminal(b *testing.B, ask, reply int) (name string) {
	b.Helper()
	master, name := newPTY(b)
	cmd := secondProcess(b, "")
	cmd.Env = append(cmd.Env, fmt.Sprintf("SERIALIO_TEST_ANSWER=%d %d", ask, reply))
	cmd.ExtraFiles = []*os.File{master}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	master.Close() // the child's copy stays
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return name
}

// BenchmarkExchange is one question and its answer over a pty, as long as those
// of a sale. Floor and ours take turns in one run, so that their ratio carries
// over to other machines; at 115200 8N1 the wire would need 87 ms for it.
func BenchmarkExchange(b *testing.B) { compare(b, 300, 700) }

// BenchmarkThroughput is one short question with a long answer.
func BenchmarkThroughput(b *testing.B) { compare(b, 1, 64<<10) }

func compare(b *testing.B, ask, reply int) {
	floor := openRaw(b, newTerminal(b, ask, reply))
	ours := open(b, Options{Path: newTerminal(b, ask, reply)})

	request, buffer := make([]byte, ask), make([]byte, reply)
	exchange := func(line io.ReadWriter) time.Duration {
		start := time.Now()
		if _, err := line.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(line, buffer); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	b.SetBytes(2 * int64(ask+reply))
	b.ReportAllocs()
	var floors, oursTook []time.Duration
	for b.Loop() {
		floors = append(floors, exchange(floor))
		oursTook = append(oursTook, exchange(ours))
	}
	f, o := median(floors), median(oursTook)
	b.ReportMetric(float64(f)/1e3, "floor-us/p50")
	b.ReportMetric(float64(o)/1e3, "ours-us/p50")
	b.ReportMetric(float64(o)/float64(f), "ours/floor")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
