package scenes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is for an emulated machine on a busy host.
const patience = 2 * time.Minute

// await waits for a condition of the machine.
func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func inMachine(t *testing.T) {
	t.Helper()
	if os.Getenv("TILLGATE_RIG") == "" {
		t.Skip("this is played in the rig's machine: run `make rig`")
	}
}

// uart finds the serial port of a PCI slot, or a name that is there as such.
func uart(t *testing.T, slot string) string {
	t.Helper()
	found, _ := filepath.Glob("/sys/bus/pci/devices/0000:00:" + slot + ".0/tty/tty*")
	if len(found) == 0 {
		found, _ = filepath.Glob("/sys/bus/pci/devices/0000:00:" + slot + ".0/*/*/tty/tty*") // newer kernels: below the port's own bus
	}
	if len(found) != 1 {
		t.Fatalf("the serial ports of PCI slot %s are %v, want one", slot, found)
	}
	return "/dev/" + filepath.Base(found[0])
}

// hasPCI: without it there are no UARTs but the machine's own, and no cables.
func hasPCI() bool { return exists("/sys/bus/pci/devices") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// machineName is what the kernel says it runs on: x86_64, aarch64, armv7l ...
func machineName() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}
