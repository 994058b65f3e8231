// Package uevent hears from the kernel, and from udev where it runs, that a
// device came or went. Nothing is polled.
//
//	kernel ── netlink group 1 ──► the device is there
//	udev ──── netlink group 2 ──► its names and its group are set, too
//
// Both are heard: on a box without udev there is only the first, and with udev
// a port below /dev/serial/by-id exists only after the second. Anybody may
// listen; in a network namespace of its own a process hears nothing. A unit of
// systemd with RestrictAddressFamilies needs AF_NETLINK.
//
// Sources: Documentation of the kernel's kobject uevents
// (lib/kobject_uevent.c); systemd, libsystemd/sd-device/device-monitor.c.
package uevent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Event is one message about one device.
type Event struct {
	Action    string // "add", "remove", "bind", "unbind", "change"
	Path      string // of the device below /sys
	Subsystem string // "tty", "usb"
	Type      string // "usb_device", "usb_interface", or ""
	Name      string // of its file below /dev, or ""
	Product   string // of USB: vendor/product/release in hex without leading zeros
	Udev      bool   // udev has done its part
}

// maxMessage bounds a message, in bytes. The kernel's own bound is 2 KiB of
// variables, udev's is far larger than any seen.
const maxMessage = 64 << 10

const (
	groupKernel = 1
	groupUdev   = 2
)

// Listener is a subscription. Close ends a running Next.
type Listener struct {
	file   *os.File
	buf    []byte
	closed atomic.Bool
}

// Listen subscribes.
func Listen() (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listen for devices: %w", err)
	}
	// More than the default: a hub that is plugged in says a lot at once.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen for devices: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel | groupUdev}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen for devices: %w", err)
	}
	return &Listener{file: os.NewFile(uintptr(fd), "uevents"), buf: make([]byte, maxMessage)}, nil
}

// Close wakes Next.
func (l *Listener) Close() error {
	l.closed.Store(true)
	return l.file.Close()
}

// Next waits for a message. lost says that messages before it did not fit the
// kernel's buffer: anything may have come or gone. The error is os.ErrClosed
// after Close.
func (l *Listener) Next() (e Event, lost bool, err error) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return e, false, os.ErrClosed
	}
	for {
		n, from, root := 0, uint32(0), false
		var fault error
		err := raw.Read(func(fd uintptr) bool {
			var sender unix.Sockaddr
			var control [128]byte
			var cn int
			n, cn, _, sender, fault = unix.Recvmsg(int(fd), l.buf, control[:], unix.MSG_DONTWAIT)
			if fault == unix.EAGAIN || fault == unix.EINTR {
				return false
			}
			if nl, ok := sender.(*unix.SockaddrNetlink); ok {
				from = nl.Pid
			}
			root = fault == nil && fromRoot(control[:cn])
			return true
		})
		switch {
		case err != nil && l.closed.Load():
			return e, false, os.ErrClosed
		case err != nil:
			return e, false, fmt.Errorf("listen for devices: %w", err)
		case fault == unix.ENOBUFS:
			return e, true, nil
		case fault != nil:
			return e, false, fmt.Errorf("listen for devices: %w", fault)
		}
		// The kernel is 0. Anybody may send to our socket, only root is udev.
		if !root {
			continue
		}
		if e, ok := parse(l.buf[:n]); ok && (e.Udev || from == 0) {
			return e, false, nil
		}
	}
}

func fromRoot(control []byte) bool {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for _, m := range messages {
		if c, err := unix.ParseUnixCredentials(&m); err == nil {
			return c.Uid == 0
		}
	}
	return false
}

// parse reads either form:
//
//	kernel  add@/devices/...  0  ACTION=add 0 DEVPATH=... 0 ...
//	udev    "libudev" 0  fe ed ca fe  header size  offset  length  ...   ACTION=add 0 ...
//	        8            4 (BE)       4            4       4 (native)    at offset
func parse(b []byte) (e Event, ok bool) {
	if rest, found := bytes.CutPrefix(b, []byte("libudev\x00")); found {
		if len(rest) < 16 || binary.BigEndian.Uint32(rest) != 0xfeedcafe {
			return e, false
		}
		offset, length := binary.NativeEndian.Uint32(rest[8:]), binary.NativeEndian.Uint32(rest[12:])
		if uint64(offset)+uint64(length) > uint64(len(b)) {
			return e, false
		}
		e.Udev, b = true, b[offset:offset+length]
	} else {
		head, rest, found := bytes.Cut(b, []byte{0})
		if !found || !bytes.Contains(head, []byte("@/")) {
			return e, false
		}
		b = rest
	}
	for pair := range strings.SplitSeq(string(b), "\x00") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "ACTION":
			e.Action = value
		case "DEVPATH":
			e.Path = value
		case "SUBSYSTEM":
			e.Subsystem = value
		case "DEVTYPE":
			e.Type = value
		case "DEVNAME":
			e.Name = strings.TrimPrefix(value, "/dev/")
		case "PRODUCT":
			e.Product = value
		}
	}
	return e, e.Action != "" && e.Path != ""
}
