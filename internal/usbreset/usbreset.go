// Package usbreset does to a USB device what pulling its plug would: gives it
// back to its driver, takes its authorisation away for a moment, or switches its
// hub's port off. It writes to sysfs and needs root; `tillgate recover-step`,
// which systemd starts for one step, is its only user in a box.
//
// Sources: Documentation/ABI/testing/sysfs-bus-usb and
// Documentation/usb/authorization.rst of the Linux kernel.
package usbreset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Machine is where sysfs is; the zero value is this machine.
type Machine struct {
	Root string        // "" is "/"
	Off  time.Duration // how long a device is off; 0 means 2 s
}

func (m Machine) path(elements ...string) string {
	return filepath.Join(append([]string{"/", m.Root}, elements...)...)
}

// portName is a device's place: bus, dash, ports of hubs.
var portName = regexp.MustCompile(`^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}$`)

// check refuses what is no port, and hubs: what is done to one is done to every
// terminal behind it, and only the gateway knows which of them may be paying.
func (m Machine) check(port string) error {
	if !portName.MatchString(port) {
		return fmt.Errorf("USB port %q: want a name like 1-1.4", port)
	}
	if read(m.path("sys/bus/usb/devices", port), "bDeviceClass") == "09" {
		return fmt.Errorf("USB port %s: a hub is plugged in there: name the terminal's own port", port)
	}
	return nil
}

// device is the folder of the device at a port.
func (m Machine) device(port string) (string, error) {
	if err := m.check(port); err != nil {
		return "", err
	}
	dir := m.path("sys/bus/usb/devices", port)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("USB port %s: %w: no device is plugged in there", port, fs.ErrNotExist)
	}
	return dir, nil
}

// PortOf finds the USB device behind a serial port's path, links resolved.
func (m Machine) PortOf(tty string) (string, error) {
	at, err := filepath.EvalSymlinks(m.path("sys/class/tty", filepath.Base(tty), "device"))
	if err != nil {
		return "", fmt.Errorf("USB device of %s: %w: it is not there; name its port as recovery.usb_port", tty, fs.ErrNotExist)
	}
	for ; len(at) > 1; at = filepath.Dir(at) {
		if portName.MatchString(filepath.Base(at)) {
			return filepath.Base(at), nil
		}
	}
	return "", fmt.Errorf("USB device of %s: it is not behind USB", tty)
}

// Find finds the one device with these ids and serial number.
func (m Machine) Find(vendor, product uint16, serial string) (string, error) {
	all, _ := filepath.Glob(m.path("sys/bus/usb/devices/*/idVendor"))
	var found []string
	for _, file := range all {
		dir := filepath.Dir(file)
		if read(dir, "idVendor") == fmt.Sprintf("%04x", vendor) && read(dir, "idProduct") == fmt.Sprintf("%04x", product) &&
			(serial == "" || read(dir, "serial") == serial) {
			found = append(found, filepath.Base(dir))
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("USB device %04x:%04x: %d of them are there: name its port as recovery.usb_port", vendor, product, len(found))
	}
	return found[0], nil
}

func read(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // never makes a file
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: only root may: is tillgate-recover.socket running?", err)
	}
	return err
}

// Rebind takes the device's interfaces away from their drivers and gives them
// back: what a driver has got wrong is forgotten.
func (m Machine) Rebind(ctx context.Context, port string) error {
	dir, err := m.device(port)
	if err != nil {
		return err
	}
	parts, _ := filepath.Glob(filepath.Join(dir, port+":*"))
	drivers := map[string]string{} // of the interfaces that had one
	for _, part := range parts {
		if driver, err := filepath.EvalSymlinks(filepath.Join(part, "driver")); err == nil {
			drivers[part] = driver
		}
	}
	if len(drivers) == 0 {
		return fmt.Errorf("rebind %s: no driver of the kernel has it", port)
	}
	// A driver that has two interfaces lets go of both by one, and takes both by
	// the first: what came along is left alone.
	var errs []error
	for _, part := range parts {
		if bound(part) {
			if err := write(filepath.Join(drivers[part], "unbind"), filepath.Base(part)); err != nil {
				errs = append(errs, fmt.Errorf("unbind %s: %w", filepath.Base(part), err))
			}
		}
	}
	errs = append(errs, m.pause(ctx)) // it is bound again all the same
	for _, part := range parts {
		if drivers[part] != "" && !bound(part) {
			if err := write(filepath.Join(drivers[part], "bind"), filepath.Base(part)); err != nil {
				errs = append(errs, fmt.Errorf("bind %s: %w", filepath.Base(part), err))
			}
		}
	}
	return errors.Join(errs...)
}

func bound(part string) bool {
	_, err := os.Lstat(filepath.Join(part, "driver"))
	return err == nil
}

// Reset takes the kernel's authorisation from the device and gives it back: it
// is enumerated and configured again. Its power stays on.
func (m Machine) Reset(ctx context.Context, port string) error {
	dir, err := m.device(port)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "authorized"), "0"); err != nil {
		return fmt.Errorf("reset %s: %w", port, err)
	}
	paused := m.pause(ctx) // an end must not leave it without
	if err := write(filepath.Join(dir, "authorized"), "1"); err != nil {
		return fmt.Errorf("reset %s: %w", port, err)
	}
	return paused
}

// PowerCycle switches the hub's port off and on. Not every hub can: many only
// cut the data, and say nothing. It works without a device in the port.
func (m Machine) PowerCycle(ctx context.Context, port string) error {
	disable, err := m.powerSwitch(port)
	if err != nil {
		return err
	}
	if err := write(disable, "1"); err != nil {
		return fmt.Errorf("power of %s: %w", port, err)
	}
	paused := m.pause(ctx)
	if err := write(disable, "0"); err != nil {
		return fmt.Errorf("power of %s: %w", port, err)
	}
	return paused
}

// CanPower says whether PowerCycle can be tried at a port.
func (m Machine) CanPower(port string) error {
	_, err := m.powerSwitch(port)
	return err
}

func (m Machine) powerSwitch(port string) (string, error) {
	if err := m.check(port); err != nil {
		return "", err
	}
	hub, number := parent(port)
	switches, _ := filepath.Glob(m.path("sys/bus/usb/devices", hub+":1.0", "*-port"+number, "disable"))
	if len(switches) != 1 {
		return "", fmt.Errorf("power of %s: this kernel cannot switch that port (it takes Linux 6.0 and a hub with port power)", port)
	}
	return switches[0], nil
}

// parent names the hub of a port as sysfs does: "1-1.4" is port 4 of "1-1", and
// "1-1" port 1 of the root hub "1-0".
func parent(port string) (hub, number string) {
	if i := strings.LastIndexByte(port, '.'); i >= 0 {
		return port[:i], port[i+1:]
	}
	bus, number, _ := strings.Cut(port, "-")
	return bus + "-0", number
}

func (m Machine) pause(ctx context.Context) error {
	d := m.Off
	if d == 0 {
		d = 2 * time.Second
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
