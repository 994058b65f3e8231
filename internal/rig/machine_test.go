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
	qemu    []string // with the console on standard output
	console string   // of the kernel
	args    string   // further words for the kernel
	dtb     string   // below the kernel's folder
	cables  []string
	modules []string
	halts   bool // it cannot power off
}

// usbModules are those that every machine needs.
var usbModules = []string{"vhci-hcd", "cdc-acm", "usbhid", "hid-generic", "dummy_hcd", "libcomposite", "usb_f_acm"}

// pciModules: QEMU's xHCI controller and the FTDI adapter behind it.
var pciModules = append([]string{"xhci-pci", "ftdi_sio"}, usbModules...)

// The cables are sockets, with one port of the machine at either end. The ports
// are found in the machine by their PCI slot. The near end of the first one is
// an 8250 or a PL011.
var pciCables = []string{
	"-chardev", "socket,id=a1,path={dir}/a,server=on,wait=off", "-chardev", "socket,id=a2,path={dir}/a",
	"-device", "pci-serial,chardev=a2,addr=0x11",
	"-chardev", "socket,id=b1,path={dir}/b,server=on,wait=off", "-chardev", "socket,id=b2,path={dir}/b",
	"-device", "qemu-xhci,addr=0x12", "-device", "usb-serial,chardev=b1", "-device", "pci-serial,chardev=b2,addr=0x13",
}

var (
	near8250  = append([]string{"-device", "pci-serial,chardev=a1,addr=0x10"}, pciCables...)
	nearPL011 = append([]string{"-serial", "chardev:a1"}, pciCables...)
)

// pciConsole leaves a machine's own UART to a terminal.
var pciConsole = []string{"-chardev", "stdio,id=console", "-device", "pci-serial,chardev=console,addr=0x2"}

// machines: the first is the quick one.
var machines = []machine{
	{
		name: "amd64", debian: "amd64", kernel: "linux-image-amd64", goarch: "amd64",
		qemu: []string{"qemu-system-x86_64", "-M", "pc", "-cpu", "max", "-m", "512", "-serial", "stdio"}, console: "ttyS0",
		args: "8250.nr_uarts=8", cables: near8250, modules: pciModules,
	},
	{
		name: "arm64", debian: "arm64", kernel: "linux-image-arm64", goarch: "arm64",
		qemu: append([]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "512"}, pciConsole...), console: "ttyS0",
		args: "8250.nr_uarts=8", cables: nearPL011, modules: pciModules,
	},
	{
		name: "armv7", debian: "armhf", kernel: "linux-image-armmp", goarch: "arm", goarm: "7",
		qemu: append([]string{"qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15", "-m", "512"}, pciConsole...), console: "ttyS0",
		args: "8250.nr_uarts=8", cables: nearPL011, modules: pciModules,
	},
	{
		// A Raspberry Pi Zero has no PCI, and QEMU's has no power management.
		name: "armv6", debian: "armel", kernel: "linux-image-rpi", goarch: "arm", goarm: "6",
		qemu: []string{"qemu-system-arm", "-M", "raspi0", "-serial", "stdio"}, console: "ttyAMA0,115200",
		args:    "initcall_blacklist=bcm2835_power_driver_init,bcm2835_pm_driver_init",
		dtb:     "usr/lib/linux-image-*/bcm2835-rpi-zero.dtb",
		modules: usbModules, halts: true,
	},
}

// limit is how long a machine may live. An emulated one on a busy host is slow;
// the makefile's goal is far below.
const limit = 35 * time.Minute

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
		"-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", k.image(t), "-initrd", initramfs,
		"-append", strings.TrimSpace("console="+m.console+" panic=-1 quiet loglevel=3 "+m.args))
	if m.dtb != "" {
		args = append(args, "-dtb", glob(t, filepath.Join(k.dir, m.dtb))[0])
	}
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
