package serialio

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RS485 has the kernel's driver switch a transceiver's direction by RTS. A
// program cannot do it in time.
type RS485 struct {
	On          bool
	RTSLow      bool   // RTS is low while sending; default: high
	BeforeDelay uint32 // milliseconds between RTS and the first bit
	AfterDelay  uint32 // milliseconds between the last bit and RTS
}

// serialRS485 is struct serial_rs485 of the kernel (linux/serial.h).
type serialRS485 struct {
	flags       uint32
	beforeDelay uint32
	afterDelay  uint32
	_           [5]uint32
}

// Flags of serialRS485.
const (
	rs485Enabled      = 1 << 0
	rs485RTSOnSend    = 1 << 1
	rs485RTSAfterSend = 1 << 2
)

// maxRS485Delay is the kernel's own bound.
const maxRS485Delay = 100

func (r RS485) check() error {
	if r.BeforeDelay > maxRS485Delay || r.AfterDelay > maxRS485Delay {
		return fmt.Errorf("RS485 delays of %d and %d ms: want at most %d", r.BeforeDelay, r.AfterDelay, maxRS485Delay)
	}
	return nil
}

// set turns RS485 on, and makes sure that the driver took it as it was meant.
func (r RS485) set(fd int) error {
	want := serialRS485{flags: rs485Enabled | rs485RTSOnSend, beforeDelay: r.BeforeDelay, afterDelay: r.AfterDelay}
	if r.RTSLow {
		want.flags = rs485Enabled | rs485RTSAfterSend
	}
	got := want
	if err := rs485Ioctl(fd, unix.TIOCSRS485, &got); err != nil {
		if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("turn on RS485: the port's driver cannot do it (%w): take a port that can, or a converter that finds the direction by itself", err)
		}
		return fmt.Errorf("turn on RS485: %w", err)
	}
	if got.flags&(rs485Enabled|rs485RTSOnSend|rs485RTSAfterSend) != want.flags {
		return fmt.Errorf("turn on RS485: the port's driver made %#x of %#x", got.flags, want.flags)
	}
	return nil
}

// clearRS485 is best effort: the port may be gone.
func clearRS485(fd int) { _ = rs485Ioctl(fd, unix.TIOCSRS485, &serialRS485{}) }

func rs485Ioctl(fd int, request uintptr, r *serialRS485) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(r))); errno != 0 {
		return errno
	}
	return nil
}
