package scenes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// name is the link under /dev that udev would keep to a device's port.
type name struct {
	path   string // "" where there is none
	serial string // number of the device
}

// follow makes the link lead to the port of the device.
func (n name) follow(t *testing.T) {
	t.Helper()
	if n.path == "" {
		return
	}
	var port string
	await(t, "a port for "+n.serial, func() bool {
		ttys, _ := filepath.Glob("/sys/class/tty/tty[AU]*") // ttyACM0, ttyUSB0
		for _, tty := range ttys {
			at, err := filepath.EvalSymlinks(filepath.Join(tty, "device"))
			port = "/dev/" + filepath.Base(tty)
			if err == nil && exists(port) && owner(at) == n.serial {
				return true
			}
		}
		return false
	})
	_ = os.Remove(n.path + ".new")
	if err := errors.Join(os.MkdirAll(filepath.Dir(n.path), 0o755), os.Symlink(port, n.path+".new"), os.Rename(n.path+".new", n.path)); err != nil {
		t.Fatal(err)
	}
}

// owner is the serial number of the USB device that something in sysfs is of.
func owner(at string) string {
	for range 3 { // the port, the interface, the device
		if b, err := os.ReadFile(filepath.Join(at, "serial")); err == nil {
			return strings.TrimSpace(string(b))
		}
		at = filepath.Dir(at)
	}
	return ""
}

// remove is called before the plug is pulled: with udev the name goes before the
// kernel gives the number to somebody else. Through a stale name the gateway
// would talk to another terminal.
func (n name) remove() {
	if n.path != "" {
		_ = os.Remove(n.path)
	}
}

// gone waits until the kernel has let go of the device.
func (n name) gone(t *testing.T) {
	t.Helper()
	await(t, n.serial+" is out", func() bool {
		all, _ := filepath.Glob("/sys/bus/usb/devices/*/serial")
		for _, file := range all {
			if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == n.serial {
				return false
			}
		}
		return true
	})
}
