package usbip

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// controller is the kernel's virtual host controller.
const controller = "/sys/devices/platform/vhci_hcd.0"

// highSpeed is enum usb_device_speed of the kernel.
const highSpeed = 3

// Attach plugs d into this machine's kernel, for as long as [Device.Serve] runs
// on the cable that it returns. It takes root (CAP_SYS_ADMIN in the first user
// namespace) and the module vhci-hcd; the error says which is missing.
func Attach() (cable net.Conn, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a USB/IP cable: %w", err)
	}
	defer unix.Close(pair[1]) // the kernel keeps its own reference
	f := os.NewFile(uintptr(pair[0]), "USB/IP")
	cable, err = net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("make a USB/IP cable: %w", err)
	}
	// Somebody else may take the port between the look and the write.
	for range attempts {
		port, err := freePort(controller)
		if err != nil {
			cable.Close()
			return nil, err
		}
		// port, descriptor, bus and number of the device on its own machine, speed
		line := fmt.Sprintf("%d %d %d %d", port, pair[1], 1<<16|(port+1), highSpeed)
		if err = os.WriteFile(filepath.Join(controller, "attach"), []byte(line), 0); err == nil {
			return cable, nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			cable.Close()
			return nil, attachError(err)
		}
	}
	cable.Close()
	return nil, errors.New("attach a USB device: others took every free port first; try again")
}

// attempts to get a free port.
const attempts = 16

func attachError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("attach a USB device: this kernel has no virtual USB controller: `sudo modprobe vhci-hcd` (on Debian it is in the kernel's package)")
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("attach a USB device: only root may: run it with sudo, or serve it over TCP and let root attach it with usbip")
	}
	return fmt.Errorf("attach a USB device: %w", err)
}

// freePort finds a free high-speed port. A line of the file is
//
//	hub port sta spd dev      sockfd local_busid
//	hs  0000 004 000 00000000 000000 0-0            4: free
func freePort(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, attachError(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "hs" || f[2] != "004" {
			continue
		}
		if port, err := strconv.Atoi(f[1]); err == nil {
			return port, nil
		}
	}
	return 0, errors.New("attach a USB device: every port of the virtual USB controller is taken")
}

// Plug attaches d to this machine's kernel again and again: a terminal that
// lost its power comes back. It ends with ctx.
func (d *Device) Plug(ctx context.Context, talk func(context.Context, net.Conn) error) error {
	for ctx.Err() == nil {
		cable, err := Attach()
		if err != nil {
			return err
		}
		if err := d.Serve(ctx, cable, talk); err != nil {
			return err
		}
	}
	return nil
}
