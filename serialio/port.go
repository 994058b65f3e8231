package serialio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrUnplugged is wrapped by the error of a Read or Write on a port whose
// device is gone: the cable was pulled, the terminal lost power, the other side
// of a pty closed. A Port's own Close gives os.ErrClosed instead.
var ErrUnplugged = errors.New("the device is gone")

// Port is an open serial port. It has the methods of link.Conn.
type Port struct {
	path string // the device itself, /dev/ttyUSB0
	name string // as given, for errors
	file *os.File
	opt  Options
	gpio lines // until it is closed or lost

	writing sync.Mutex // held while a Write runs, and by Close while it discards

	mu     sync.Mutex
	closed bool
	lost   error // why the line is gone; the descriptor is closed
}

// Open opens a port, takes it for this process, sets its line, and plays
// Options.Wake. It waits for nothing else: not for a carrier, not for another
// process. Bytes received before Open are discarded.
//
// The error wraps fs.ErrNotExist, fs.ErrPermission or [ErrInUse] where that is
// the reason, and says what to do.
func Open(o Options) (*Port, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("serial port %s: %w", o.Path, err)
	}
	path, err := Resolve(o.Path)
	if err != nil {
		return nil, err
	}
	// Opening has side effects on many devices: look before.
	st, err := os.Stat(path)
	if err == nil && st.Mode()&fs.ModeCharDevice == 0 {
		err = errNotSerial
	}
	if err != nil {
		return nil, openError(o.Path, path, err)
	}
	fd, err := openNonblocking(path)
	if err != nil {
		return nil, openError(o.Path, path, err)
	}
	p, err := take(fd, path, o)
	if err != nil {
		return nil, openError(o.Path, path, err)
	}
	return p, nil
}

func openNonblocking(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// take makes a Port of a descriptor, or closes it.
func take(fd int, path string, o Options) (*Port, error) {
	p := &Port{path: path, name: o.Path, opt: o}
	locked := false
	err := func() error {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			if err == unix.ENOTTY {
				return errNotSerial
			}
			return err
		}
		// The lock comes before the first change to a line that somebody
		// else may be talking on. TIOCEXCL alone does not stop root.
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return err
		}
		locked = true
		if err := configure(fd, o); err != nil {
			return err
		}
		// After the library's close, which lifts it.
		if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
			return fmt.Errorf("take the port: %w", err)
		}
		if o.RS485.On {
			if err := o.RS485.set(fd); err != nil {
				return err
			}
		}
		var err error
		if p.gpio, err = o.raise(fd); err != nil {
			return err
		}
		if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
			return fmt.Errorf("discard old input: %w", err)
		}
		return nil
	}()
	if err != nil {
		p.gpio.drop()
		if locked { // else the flag and the lock are somebody else's
			if o.RS485.On {
				clearRS485(fd)
			}
			release(fd)
		}
		unix.Close(fd)
		return nil, err
	}
	p.file = os.NewFile(uintptr(fd), path) // on the poller, since fd does not block
	if err := p.file.SetDeadline(time.Time{}); err != nil {
		p.gpio.drop()
		p.file.Close()
		return nil, fmt.Errorf("the device has no deadlines: %w", err)
	}
	return p, nil
}

// Path is the device that was opened, all links resolved.
func (p *Port) Path() string { return p.path }

// Read reads what has arrived, at least one byte. It ends at the read deadline
// with os.ErrDeadlineExceeded, at Close with os.ErrClosed, and when the device
// goes with [ErrUnplugged]. It never returns io.EOF, nor 0 and nil for a
// non-empty b.
func (p *Port) Read(b []byte) (int, error) {
	if err := p.state("read"); err != nil {
		return 0, err
	}
	n, err := p.file.Read(b)
	return n, p.explain("read", err)
}

// Write hands all of b to the kernel. When it ends early, for the reasons that
// end Read, n bytes are on their way and the rest is not. A Write that returned
// nil says nothing about the wire: output that has not left yet is discarded by
// Close.
func (p *Port) Write(b []byte) (n int, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.state("write"); err != nil {
		return 0, err
	}
	n, err = p.file.Write(b)
	return n, p.explain("write", err)
}

// SetReadDeadline ends a running and every later Read at t; the zero time is
// never.
func (p *Port) SetReadDeadline(t time.Time) error {
	return p.deadline(func() error { return p.file.SetReadDeadline(t) })
}

// SetWriteDeadline ends a running and every later Write at t.
func (p *Port) SetWriteDeadline(t time.Time) error {
	return p.deadline(func() error { return p.file.SetWriteDeadline(t) })
}

// SetDeadline does both.
func (p *Port) SetDeadline(t time.Time) error {
	return p.deadline(func() error { return p.file.SetDeadline(t) })
}

// deadline keeps anyone from taking back the deadline by which Close frees a
// blocked Write.
func (p *Port) deadline(set func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stateLocked("set deadline"); err != nil {
		return err
	}
	return set()
}

// Close wakes Read and Write, discards output that has not left yet, so that a
// stuck line cannot hold it up, and gives the port back. It is idempotent. The
// kernel drops DTR with it.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	lost := p.lost != nil
	if !lost {
		p.file.SetWriteDeadline(time.Unix(1, 0))
	}
	p.mu.Unlock()
	if lost {
		p.gpio.drop()
		return nil
	}

	p.writing.Lock() // from here on nobody adds output
	p.control(func(fd int) { unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
	if p.opt.RS485.On {
		p.control(clearRS485)
	}
	p.control(release)
	p.writing.Unlock()
	err := p.file.Close()
	p.gpio.drop()
	if errors.Is(err, os.ErrClosed) {
		return nil // a Read found the line gone meanwhile
	}
	return err
}

// release lifts what keeps others off the port. The exclusive flag is the
// line's, not the descriptor's, and on a pty would outlive us; the lock would be
// kept, for a moment, by a child that has forked and not yet executed. Either
// may fail on a line that is gone, where it does not matter.
func release(fd int) {
	unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
	unix.Flock(fd, unix.LOCK_UN)
}

// control runs f with the descriptor, which cannot be closed and reused
// meanwhile. os.File.Fd would not give that.
func (p *Port) control(f func(fd int)) {
	c, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	c.Control(func(fd uintptr) { f(int(fd)) })
}

func (p *Port) state(op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stateLocked(op)
}

func (p *Port) stateLocked(op string) error {
	switch {
	case p.closed:
		return &os.PathError{Op: op, Path: p.name, Err: os.ErrClosed}
	case p.lost != nil:
		return &os.PathError{Op: op, Path: p.name, Err: p.lost}
	}
	return nil
}

// explain tells apart what the kernel reports alike: end of file and EIO both
// mean that the device went, unless it was us who closed it.
func (p *Port) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stateLocked(op); err != nil {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		p.lost = ErrUnplugged
		if !errors.Is(err, io.EOF) {
			p.lost = fmt.Errorf("%w (%w)", ErrUnplugged, errno(err))
		}
		// Not held until Close: while we hold it, a replugged adapter gets
		// another number.
		p.control(release)
		p.file.Close()
		return p.stateLocked(op)
	}
	return &os.PathError{Op: op, Path: p.name, Err: errno(err)}
}

// errno strips the path error that os.File put around err.
func errno(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
