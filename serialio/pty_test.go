package serialio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wait is how long a test waits for what must happen at once.
const wait = 10 * time.Second

// newPTY makes a pty pair: the terminal's side, and the name of ours.
func newPTY(t testing.TB) (master *os.File, name string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

func open(t testing.TB, o Options) *Port {
	t.Helper()
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// descriptors lists the descriptors of this process that have path open.
func descriptors(t testing.TB, path string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, path) && strings.TrimSuffix(target, " (deleted)") == path {
			fd, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
	}
	return fds
}

func readFull(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		if err := d.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		defer d.SetReadDeadline(time.Time{})
	}
	if k, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %d of %d bytes: %v", k, n, err)
	}
	return b
}

// result waits for the error of something that runs in its own goroutine.
func result(t testing.TB, what string, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(wait):
		t.Fatalf("%s did not return", what)
		return nil
	}
}

// arrived waits until the terminal's side has something to read.
func arrived(t testing.TB, master *os.File) {
	t.Helper()
	c, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		n := 0
		c.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		if n > 0 {
			return
		}
	}
	t.Fatal("nothing arrived at the terminal")
}

// TestMain turns the test binary into the second process of a test.
func TestMain(m *testing.M) {
	// It says how it went, then keeps the port until its input ends.
	if path := os.Getenv("SERIALIO_TEST_OPEN"); path != "" {
		p, err := Open(Options{Path: path})
		switch {
		case errors.Is(err, ErrInUse):
			fmt.Println("in use:", err)
		case err != nil:
			fmt.Println("error:", err)
		default:
			fmt.Println("open")
			io.Copy(io.Discard, os.Stdin)
			p.Close()
		}
		os.Exit(0)
	}
	if sizes := os.Getenv("SERIALIO_TEST_ANSWER"); sizes != "" {
		var ask, reply int
		fmt.Sscan(sizes, &ask, &reply)
		unix.SetNonblock(3, false)
		answer(3, ask, reply)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// secondProcess opens path in a process of its own.
func secondProcess(t testing.TB, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "SERIALIO_TEST_OPEN="+path)
	cmd.Stderr = os.Stderr
	return cmd
}
