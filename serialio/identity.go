package serialio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Resolve finds the device behind a name: /dev/serial/by-id/..., by-path/...,
// or /dev/ttyUSB0 itself. Nothing is opened. A name that leads nowhere wraps
// fs.ErrNotExist and lists the ports there are.
func Resolve(name string) (string, error) {
	path, err := filepath.EvalSymlinks(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", openError(name, name, err)
	}
	return path, nil
}

// stableNames lists names of ports that survive unplugging by the device's path:
// by-id before by-path, and those of our own udev rules.
func stableNames(root string) map[string][]string {
	names := map[string][]string{}
	for _, dir := range []string{"/dev/serial/by-id", "/dev/serial/by-path", "/dev/tillgate"} {
		links, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			continue // udev makes the folder with the first adapter
		}
		for _, l := range links {
			target, err := os.Readlink(filepath.Join(root, dir, l.Name()))
			if err != nil {
				continue
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			names[target] = append(names[target], filepath.Join(dir, l.Name()))
		}
	}
	return names
}

// PortInfo is a port that is present.
type PortInfo struct {
	Path string // /dev/ttyUSB0
	// Names survive unplugging; the first one is what a configuration should say.
	Names []string
}

func (i PortInfo) String() string {
	if len(i.Names) == 0 {
		return i.Path
	}
	return i.Names[0] + " (" + i.Path + ")"
}

// List lists the ports that have hardware behind them, in the order of their
// names. Nothing is opened, so nothing is disturbed.
func List() []PortInfo { return ListIn("/") }

// ListIn lists those of a machine whose root folder is root; the paths are those
// in that machine.
func ListIn(root string) []PortInfo {
	var ports []PortInfo
	sys := filepath.Join(root, "sys/class/tty")
	ttys, err := os.ReadDir(sys)
	if err != nil {
		return nil
	}
	names := stableNames(root)
	for _, tty := range ttys {
		at := filepath.Join(sys, tty.Name())
		// Consoles and ptys have no device; the 8250 driver makes ttyS for
		// UARTs that are not there and calls their type 0.
		if _, err := os.Lstat(filepath.Join(at, "device")); err != nil {
			continue
		}
		if kind, err := os.ReadFile(filepath.Join(at, "type")); err == nil && strings.TrimSpace(string(kind)) == "0" {
			continue
		}
		path := "/dev/" + tty.Name()
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			continue
		}
		ports = append(ports, PortInfo{path, names[path]})
	}
	slices.SortFunc(ports, func(a, b PortInfo) int { return strings.Compare(a.Path, b.Path) })
	return ports
}

var errNotSerial = errors.New("this is not a serial port")

// openError says what was tried, what was found and what to do next. name is
// as configured, path the device.
func openError(name, path string, err error) error {
	at := name
	if path != name {
		at = name + " (" + path + ")"
	}
	err = errno(err)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("open %s: no such port (%w); %s", at, notExist(err), present())
	case errors.Is(err, errNotSerial):
		return fmt.Errorf("open %s: %w; %s", at, err, present())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open %s: %w; %s", at, err, whoMay(path))
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("open %s: %w", at, inUse(path))
	}
	return fmt.Errorf("open %s: %w", at, err)
}

// notExist lets a caller ask for fs.ErrNotExist only, whichever way the kernel
// says that a device is not there.
func notExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w (%w)", fs.ErrNotExist, err)
}

func present() string {
	ports := List()
	if len(ports) == 0 {
		return "there are no serial ports on this machine; is the cable in?"
	}
	var names []string
	for _, p := range ports {
		names = append(names, p.String())
	}
	return "ports present: " + strings.Join(names, ", ")
}

func whoMay(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return "run the gateway as a user who may open it"
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || st.Mode().Perm()&0o060 != 0o060 {
		return fmt.Sprintf("its mode is %v: let a group open it with a udev rule", st.Mode().Perm())
	}
	gid := strconv.FormatUint(uint64(sys.Gid), 10)
	group := "group " + gid
	if g, err := user.LookupGroupId(gid); err == nil {
		group = "group " + g.Name
	}
	return fmt.Sprintf("it belongs to %s: add the gateway's user to that group and start it again", group)
}
