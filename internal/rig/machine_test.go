package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is an architecture, and how QEMU is told to be one.
type machine struct {
	name    string // as .ci/static calls it
	debian  string // architecture of the kernel's package
	kernel  string // the package that names it
	goarch  string
	goarm   string
	qemu    []string
	console string // of the kernel; the first serial port, on our standard output
	args    string // further words for the kernel
	dtb     string // in the kernel's package
	cables  []string
	modules []string
	halts   bool // it cannot power off
}

// usbModules are those that every machine needs.
var usbModules = []string{"vhci-hcd", "cdc-acm", "usbhid", "hid-generic", "dummy_hcd", "libcomposite", "usb_f_acm"}

// pciModules: QEMU's xHCI controller and the FTDI adapter behind it.
var pciModules = []string{"xhci-pci", "ftdi_sio"}

// The cables: each is a socket, with one port of the machine at either end.
// The ports are found in the machine by their PCI slot.
var pciCables = []string{
	"-chardev", "socket,id=a1,path={dir}/a,server=on,wait=off", "-chardev", "socket,id=a2,path={dir}/a",
	"-device", "pci-serial,chardev=a1,addr=0x10", "-device", "pci-serial,chardev=a2,addr=0x11",
	"-chardev", "socket,id=b1,path={dir}/b,server=on,wait=off", "-chardev", "socket,id=b2,path={dir}/b",
	"-device", "qemu-xhci,addr=0x12", "-device", "usb-serial,chardev=b1", "-device", "pci-serial,chardev=b2,addr=0x13",
}

var machines = []machine{
	{
		name: "amd64", debian: "amd64", kernel: "linux-image-amd64", goarch: "amd64",
		qemu: []string{"qemu-system-x86_64", "-M", "pc", "-cpu", "max", "-m", "512", "-smp", "1"}, console: "ttyS0",
		args: "8250.nr_uarts=8", cables: pciCables, modules: append(usbModules, pciModules...),
	},
}

// limit is how long a machine may live. An emulated one on a busy host is slow;
// the makefile's goal is far below.
const limit = 10 * time.Minute

// run boots the machine with an initramfs and hands every line of its console
// to hear, until the machine is off.
func (m machine) run(t *testing.T, k kernel, initramfs string, hear func(line string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	// A socket's path has at most 108 bytes.
	dir, err := os.MkdirTemp("", "rig-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	args := append(m.qemu[1:len(m.qemu):len(m.qemu)],
		"-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", k.image(t), "-initrd", initramfs,
		"-append", strings.TrimSpace("console="+m.console+" panic=-1 quiet loglevel=3 "+m.args))
	for _, a := range m.cables {
		args = append(args, strings.ReplaceAll(a, "{dir}", dir))
	}
	cmd := exec.CommandContext(ctx, m.qemu[0], args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			t.Fatalf("%v; on Debian: apt-get install qemu-system-x86 qemu-system-arm", err)
		}
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		hear(line)
		if m.halts && line == "rig: end" {
			cancel()
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		t.Errorf("%s: %v: %s", m.qemu[0], err, &complaints)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("the machine did not end within %v", limit)
	}
}

// fetch returns the machine's kernel, from the cache or from Debian.
func (m machine) fetch(t *testing.T) kernel {
	t.Helper()
	cache := os.Getenv("RIG_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(user, "tillgate-rig")
	}
	dir := filepath.Join(cache, m.debian+"-"+m.kernel)
	if _, err := os.Stat(filepath.Join(dir, "package")); err != nil {
		begun := time.Now()
		cmd := exec.CommandContext(t.Context(), "./fetch-kernel", m.debian, m.kernel, dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd, err, out)
		}
		t.Logf("fetched %s in %.0fs", m.kernel, time.Since(begun).Seconds())
	}
	return openKernel(t, dir)
}
