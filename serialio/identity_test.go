package serialio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes files; a content that begins with "->" is a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestList(t *testing.T) {
	root := tree(t, map[string]string{
		"sys/class/tty/ttyS0/device":   "->../../x", // a real UART
		"sys/class/tty/ttyS0/type":     "4\n",
		"sys/class/tty/ttyS1/device":   "->../../x", // a place for one
		"sys/class/tty/ttyS1/type":     "0\n",
		"sys/class/tty/ttyUSB0/device": "->../../x",
		"sys/class/tty/ttyACM3/device": "->../../x", // unplugged, its node is gone
		"sys/class/tty/tty1/dev":       "4:1\n",     // a console
		"dev/ttyS0":                    "", "dev/ttyS1": "", "dev/ttyUSB0": "", "dev/tty1": "",
		"dev/serial/by-id/usb-FTDI_A1-if00-port0":       "->../../ttyUSB0",
		"dev/serial/by-path/pci-0:1.4:1.0-port0":        "->../../ttyUSB0",
		"dev/tillgate/usb-1-1.4-if00":                   "->../ttyUSB0",
		"dev/serial/by-id/usb-Ingenico_gone-if00-port0": "->../../ttyACM3",
	})
	usb := []string{"/dev/serial/by-id/usb-FTDI_A1-if00-port0", "/dev/serial/by-path/pci-0:1.4:1.0-port0", "/dev/tillgate/usb-1-1.4-if00"}
	want := []PortInfo{{Path: "/dev/ttyS0"}, {Path: "/dev/ttyUSB0", Names: usb}}
	if got := ListIn(root); !reflect.DeepEqual(got, want) {
		t.Errorf("ports are %v, want %v", got, want)
	}
	for _, name := range append(usb, "/dev/ttyUSB0") {
		if got, err := Resolve(root + name); err != nil || got != root+"/dev/ttyUSB0" {
			t.Errorf("%s is %s, %v, want ttyUSB0", name, got, err)
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	root := tree(t, map[string]string{
		"file":   "no port",
		"broken": "->nowhere",
		"null":   "->/dev/null",
	})
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"file":    "this is not a serial port",
		"fifo":    "this is not a serial port",
		"null":    "null (/dev/null): this is not a serial port",
		".":       "this is not a serial port",
		"broken":  "no such port (no such file or directory); ",
		"missing": "no such port (no such file or directory); ",
	} {
		_, err := Open(Options{Path: filepath.Join(root, name)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, want)
		}
		if got := errors.Is(err, fs.ErrNotExist); got != strings.HasPrefix(want, "no such") {
			t.Errorf("%s: is fs.ErrNotExist: %v", name, got)
		}
	}
	if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "no path given") {
		t.Errorf("no path: error is %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	root := tree(t, map[string]string{"tty": "", "private": ""})
	os.Chmod(root+"/tty", 0o660)
	os.Chmod(root+"/private", 0o600)
	for _, c := range []struct {
		path string
		err  error
		want string
		is   error
	}{
		{"/tty", unix.EACCES, "permission denied; it belongs to group ", fs.ErrPermission},
		{"/private", unix.EACCES, "its mode is -rw-------: let a group open it", fs.ErrPermission},
		{"/tty", unix.EBUSY, "in use by a process of another user", ErrInUse},
		{"/tty", unix.EWOULDBLOCK, "in use by a process of another user", ErrInUse},
		{"/tty", unix.ENODEV, "no such port (file does not exist (no such device)); ", fs.ErrNotExist}, // a node whose device is gone
		{"/tty", unix.EIO, "input/output error", unix.EIO},
	} {
		err := openError("/dev/serial/by-id/x", root+c.path, &os.PathError{Op: "open", Path: "x", Err: c.err})
		if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "open /dev/serial/by-id/x ("+root+c.path+"): ") {
			t.Errorf("%v becomes %v, want %q in it", c.err, err, c.want)
		}
		if !errors.Is(err, c.is) {
			t.Errorf("%v becomes %v, want it to be %v", c.err, err, c.is)
		}
	}
}

func TestParseParity(t *testing.T) {
	for p := ParityNone; p <= ParitySpace; p++ {
		if got, err := ParseParity(p.String()); err != nil || got != p {
			t.Errorf("%v reads back as %v, %v", p, got, err)
		}
	}
	if _, err := ParseParity("Even"); err == nil {
		t.Error("Even was taken")
	}
}
