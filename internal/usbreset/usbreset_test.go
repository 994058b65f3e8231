package usbreset

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A folder that looks like sysfs shows what is written; that a kernel acts on it
// is shown by the rig.
func folder(t *testing.T) (Machine, func(name string) string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"sys/bus/usb/devices/1-1.4/idVendor":                   "079b",
		"sys/bus/usb/devices/1-1.4/idProduct":                  "0028",
		"sys/bus/usb/devices/1-1.4/serial":                     "A1",
		"sys/bus/usb/devices/1-1.4/authorized":                 "1",
		"sys/bus/usb/devices/1-1/bDeviceClass":                 "09",
		"sys/bus/usb/devices/1-0:1.0/usb1-port1/disable":       "0",
		"sys/bus/usb/devices/1-1.3/idVendor":                   "079b",
		"sys/bus/usb/devices/1-1.3/idProduct":                  "0028",
		"sys/bus/usb/devices/1-1:1.0/1-1-port4/disable":        "0",
		"sys/bus/usb/devices/1-0:1.0/usb1-port2/disable":       "0",
		"sys/bus/usb/drivers/cdc_acm/bind":                     "",
		"sys/bus/usb/drivers/cdc_acm/unbind":                   "",
		"sys/bus/usb/devices/1-1.4/1-1.4:1.0/tty/ttyACM0/dev":  "",
		"sys/bus/usb/devices/1-1.4/1-1.4:1.1/bInterfaceNumber": "01",
	} {
		at := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"sys/bus/usb/devices/1-1.4/1-1.4:1.0/driver": "../../../drivers/cdc_acm",
		"sys/class/tty/ttyACM0/device":               "../../../bus/usb/devices/1-1.4/1-1.4:1.0",
	} {
		at := filepath.Join(root, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
			t.Fatal(err)
		}
	}
	return Machine{Root: root, Off: time.Millisecond}, func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestSteps(t *testing.T) {
	m, file := folder(t)
	if err := m.Rebind(t.Context(), "1-1.4"); err != nil {
		t.Error(err)
	}
	if file("sys/bus/usb/drivers/cdc_acm/unbind") != "1-1.4:1.0" || file("sys/bus/usb/drivers/cdc_acm/bind") != "" {
		t.Error("the interface was not unbound, or bound although it is: a folder does not let go")
	}
	if err := m.Reset(t.Context(), "1-1.4"); err != nil || file("sys/bus/usb/devices/1-1.4/authorized") != "1" {
		t.Errorf("after a reset: %v, authorized %s", err, file("sys/bus/usb/devices/1-1.4/authorized"))
	}
	for port, at := range map[string]string{"1-1.4": "1-1:1.0/1-1-port4", "1-2": "1-0:1.0/usb1-port2"} {
		if err := m.PowerCycle(t.Context(), port); err != nil || file("sys/bus/usb/devices/"+at+"/disable") != "0" {
			t.Errorf("power of %s: %v", port, err)
		}
	}
	if err := m.PowerCycle(t.Context(), "1-3"); err == nil {
		t.Error("a port without a switch was switched")
	}
	if err := m.Rebind(t.Context(), "1-1.3"); err == nil {
		t.Error("a device without a driver was bound again")
	}
	for name, step := range map[string]func(context.Context, string) error{"rebind": m.Rebind, "reset": m.Reset, "power": m.PowerCycle} {
		if err := step(t.Context(), "1-1"); err == nil || !strings.Contains(err.Error(), "a hub is plugged in there") {
			t.Errorf("%s of a hub, and of all behind it: %v", name, err)
		}
	}
	for _, bad := range []string{"", "../1-1", "1-1/..", "1", "usb1", "1-1.4:1.0"} {
		if m.Reset(t.Context(), bad) == nil || m.PowerCycle(t.Context(), bad) == nil || m.Rebind(t.Context(), bad) == nil {
			t.Errorf("%q was taken for a port", bad)
		}
	}
}

func TestWhichDevice(t *testing.T) {
	m, _ := folder(t)
	if port, err := m.PortOf("/dev/ttyACM0"); port != "1-1.4" {
		t.Errorf("got %q, %v", port, err)
	}
	if _, err := m.PortOf("/dev/ttyACM7"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "recovery.usb_port") {
		t.Errorf("got %v", err)
	}
	if port, err := m.Find(0x079b, 0x0028, "A1"); port != "1-1.4" {
		t.Errorf("got %q, %v", port, err)
	}
	if _, err := m.Find(0x079b, 0x0028, ""); err == nil || !strings.Contains(err.Error(), "2 of them") {
		t.Errorf("got %v", err)
	}
}
