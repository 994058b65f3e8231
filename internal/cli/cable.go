package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/link"
)

// openPTY makes a pseudo-terminal and returns its master side and the name of
// the other. The other side is not opened: once somebody has opened and closed
// it, reading here ends with EIO, as an unplugged cable does.
func openPTY() (*os.File, string, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("open /dev/ptmx: %w", err)
	}
	n := 0
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/ptmx"), fmt.Sprintf("/dev/pts/%d", n), nil
}

// ptyCable serves sim on pseudo-terminals until ctx ends. There is a new one
// after each connection, and name, a symbolic link, always leads to the newest:
// so a port that is closed, or a simulated reboot, looks like a USB converter
// that was pulled out and plugged in again. plugged is told each device, if it
// is not nil.
func ptyCable(ctx context.Context, name string, sim link.Simulator, log *slog.Logger, plugged func(device string)) error {
	if info, err := os.Lstat(name); err == nil && info.Mode().Type() != fs.ModeSymlink {
		return fmt.Errorf("%s is there already and is no link to a simulated port", name)
	}
	defer os.Remove(name)
	for ctx.Err() == nil {
		master, device, err := openPTY()
		if err != nil {
			return err
		}
		if err := point(name, device); err != nil {
			master.Close()
			return err
		}
		if plugged != nil {
			plugged(device)
		}
		end, err := again(master)
		if err != nil {
			master.Close()
			return err
		}
		if err := sim.Serve(ctx, end); err != nil && !errors.Is(err, unix.EIO) {
			log.Warn("simulated cable broke", "device", device, "err", err)
		}
		linger(ctx, master)
		master.Close()
	}
	return nil
}

// again is the same end under a descriptor of its own: the line ends when both are
// closed.
func again(end *os.File) (*os.File, error) {
	raw, err := end.SyscallConn() // Fd would make it blocking
	if err != nil {
		return nil, err
	}
	fd := -1
	if err := raw.Control(func(first uintptr) { fd, err = unix.FcntlInt(first, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("use %s twice: %w", end.Name(), err)
	}
	return os.NewFile(uintptr(fd), end.Name()), nil
}

// hearing is how long a pseudo-terminal stays after the last word on it: with its
// end goes what was not read yet, which no real cable takes back.
const hearing = 250 * time.Millisecond

// linger waits until the other side has closed its end, or had time to read.
func linger(ctx context.Context, master *os.File) {
	if master.SetReadDeadline(time.Now().Add(hearing)) != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = master.SetReadDeadline(time.Now()) })()
	_, _ = io.Copy(io.Discard, master)
}

// point makes name a symbolic link to device, in one step.
func point(name, device string) error {
	making := name + ".new"
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(device, making); err != nil {
		return err
	}
	return os.Rename(making, name)
}

// tcpCable serves sim on every TCP connection that is made: some protocols have
// one for each request.
func tcpCable(ctx context.Context, l net.Listener, sim link.Simulator, log *slog.Logger) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var g sync.WaitGroup
	defer g.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		g.Go(func() {
			defer c.Close()
			if err := sim.Serve(ctx, c); err != nil {
				log.Warn("simulated cable broke", "peer", c.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// webCable serves a simulator that has a web service.
func webCable(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pipeDial opens an in-process line to sim, for sim:// addresses.
func pipeDial(ctx context.Context, sim link.Simulator, log *slog.Logger) func(context.Context) (link.Conn, error) {
	return func(context.Context) (link.Conn, error) {
		ours, its := net.Pipe()
		go func() {
			if err := sim.Serve(ctx, its); err != nil {
				log.Debug("simulated line ended", "err", err)
			}
			its.Close()
		}()
		return pipeConn{ours}, nil
	}
}

// pipeConn makes the errors of a closed pipe those that link.Conn promises.
type pipeConn struct{ net.Conn }

func (c pipeConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, closedPipe(err)
}

func (c pipeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, closedPipe(err)
}

func closedPipe(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return os.ErrClosed
	}
	return err
}

// private makes a folder that only its owner can look into.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(filepath.Clean(dir), 0o700)
}
