package serialio

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// The faults of go.bug.st/serial 1.8.0 for which serialio does not let it carry
// bytes. Each is shown with the library alone, then not to be ours. If a newer
// library fails to show one, that reason is gone.

// reuse opens a file under a descriptor number that was just given back, as a
// journal or a socket may get it.
func reuse(t *testing.T, fd int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := -1
	c.Control(func(n uintptr) { got = int(n) })
	if got == fd { // the lowest free number, as it happens in the field
		t.Cleanup(func() { f.Close() })
		return path
	}
	defer f.Close()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Fatalf("descriptor %d was not given back: %v", fd, err)
	}
	if err := unix.Dup3(got, fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return path
}

func onlyDescriptor(t *testing.T, path string) int {
	t.Helper()
	fds := descriptors(t, path)
	if len(fds) != 1 {
		t.Fatalf("%s is open as %d, want one descriptor", path, fds)
	}
	return fds[0]
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteAfterClose(t *testing.T) {
	const frame = "PAYMENT FRAME"
	t.Run("library", func(t *testing.T) {
		_, name := newPTY(t)
		p, err := serial.Open(name, &serial.Mode{BaudRate: 115200})
		if err != nil {
			t.Fatal(err)
		}
		fd := onlyDescriptor(t, name)
		p.Close()
		journal := reuse(t, fd)
		n, err := p.Write([]byte(frame))
		if got := content(t, journal); err != nil || n != len(frame) || got != frame {
			t.Errorf("write gave %d, %v and the other file has %q; the library's fault is gone", n, err, got)
		}
	})
	t.Run("ours", func(t *testing.T) {
		_, name := newPTY(t)
		p := open(t, Options{Path: name})
		fd := onlyDescriptor(t, name)
		p.Close()
		journal := reuse(t, fd)
		n, err := p.Write([]byte(frame))
		if n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("write gave %d, %v, want 0 and os.ErrClosed", n, err)
		}
		if got := content(t, journal); got != "" {
			t.Errorf("the other file has %q", got)
		}
	})
}

// occupy takes every descriptor below 1024, so that the next one is above.
func occupy(t *testing.T) {
	t.Helper()
	const want = 1100
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < want {
		if limit.Max < want {
			t.Skipf("this machine allows only %d open files", limit.Max)
		}
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
	}
	var taken []int
	t.Cleanup(func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
	})
	for fd := 0; fd < want; taken = append(taken, fd) {
		var err error
		if fd, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDescriptorsFrom1024(t *testing.T) {
	master, name := newPTY(t)
	occupy(t)
	t.Run("library", func(t *testing.T) {
		p, err := serial.Open(name, &serial.Mode{BaudRate: 115200})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		defer func() {
			if recover() == nil {
				t.Error("no panic; the library's fault is gone")
			}
		}()
		master.Write([]byte("x"))
		p.Read(make([]byte, 1))
	})
	t.Run("ours", func(t *testing.T) {
		p := open(t, Options{Path: name})
		if fd := onlyDescriptor(t, name); fd < 1024 {
			t.Fatalf("descriptor is %d, want 1024 or more", fd)
		}
		master.Write([]byte("answer"))
		if got := readFull(t, p, 6); string(got) != "answer" {
			t.Errorf("read %q", got)
		}
		if _, err := p.Write([]byte("ask")); err != nil {
			t.Error(err)
		}
		if got := readFull(t, master, 3); string(got) != "ask" {
			t.Errorf("terminal read %q", got)
		}
	})
}
