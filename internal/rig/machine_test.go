package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine is an architecture, and how QEMU is told to be one.
type machine struct {
	name    string // as .ci/static and fetch-kernel call it
	goarch  string
	goarm   string
	qemu    []string // with the console on standard output
	console string   // of the kernel
	args    string   // further words for the kernel
	dtb     string   // below the kernel's folder
	ports   []string // with cables between them, on machines with PCI
	modules []string
	halts   bool // it cannot power off
}

// usbModules are those that every machine needs.
var usbModules = []string{"vhci-hcd", "cdc-acm", "usbhid", "hid-generic", "dummy_hcd", "libcomposite", "usb_f_acm"}

// pciModules: QEMU's xHCI controller and the FTDI adapter behind it.
var pciModules = append([]string{"xhci-pci", "ftdi_sio"}, usbModules...)

// ports are the ends of the cables and the port for orders about them, all
// sockets (cables_test.go). They are found in the machine by their PCI slot. The
// near end of the first cable is an 8250 or a PL011; the plug of the second, an
// FTDI adapter, is in as long as somebody holds its socket.
var ports = []string{
	"-chardev", "socket,id=uart-near,path={dir}/uart-near,server=on,wait=off",
	"-chardev", "socket,id=uart-far,path={dir}/uart-far,server=on,wait=off",
	"-device", "pci-serial,chardev=uart-far,addr=0x11",
	"-chardev", "socket,id=ftdi-near,path={dir}/ftdi-near,server=on,wait=off",
	"-chardev", "socket,id=ftdi-far,path={dir}/ftdi-far,server=on,wait=off",
	"-device", "qemu-xhci,addr=0x12", "-device", "usb-serial,chardev=ftdi-near,serial=SN-ftdi",
	"-device", "pci-serial,chardev=ftdi-far,addr=0x13",
	"-chardev", "socket,id=hand,path={dir}/hand,server=on,wait=off",
	"-device", "pci-serial,chardev=hand,addr=0x14",
}

var (
	near8250  = append([]string{"-device", "pci-serial,chardev=uart-near,addr=0x10"}, ports...)
	nearPL011 = append([]string{"-serial", "chardev:uart-near"}, ports...)
)

// pciConsole leaves a machine's own UART to a terminal.
var pciConsole = []string{"-chardev", "stdio,id=console", "-device", "pci-serial,chardev=console,addr=0x2"}

// machines: the first is the quick one.
var machines = []machine{
	{
		name: "amd64", goarch: "amd64",
		qemu: []string{"qemu-system-x86_64", "-M", "pc", "-cpu", "max,la57=off", "-m", "512", "-serial", "stdio"}, console: "ttyS0",
		args: "8250.nr_uarts=8", ports: near8250, modules: pciModules,
	},
	{
		name: "arm64", goarch: "arm64",
		qemu: append([]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "512"}, pciConsole...), console: "ttyS0",
		args: "8250.nr_uarts=8", ports: nearPL011, modules: pciModules,
	},
	{
		name: "armv7", goarch: "arm", goarm: "7",
		qemu: append([]string{"qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15", "-m", "512"}, pciConsole...), console: "ttyS0",
		args: "8250.nr_uarts=8", ports: nearPL011, modules: pciModules,
	},
	{
		// A Raspberry Pi Zero has no PCI, and QEMU's has no power management.
		name: "armv6", goarch: "arm", goarm: "6",
		qemu: []string{"qemu-system-arm", "-M", "raspi0", "-serial", "stdio"}, console: "ttyAMA0,115200",
		args:    "initcall_blacklist=bcm2835_power_driver_init,bcm2835_pm_driver_init",
		dtb:     "usr/lib/linux-image-*/bcm2835-rpi-zero.dtb",
		modules: usbModules, halts: true,
	},
}

// icount makes a machine of so many instructions a second: each takes 2 to the
// power of shift nanoseconds of the machine's time. On a busy host its clock
// goes slower with it, so that a machine which the host lets wait does not take
// the wait for a terminal's silence. A Raspberry Pi Zero is 125 million a
// second here, the others are 250.
func (m machine) icount() string {
	if m.goarm == "6" {
		return "shift=3"
	}
	return "shift=2"
}

// limit is how long a machine may live. An emulated one on a busy host is slow;
// the makefile's goal is far below.
const limit = time.Hour

// run boots the machine with an initramfs, of which it follows one plan, and hands
// every line of its console to hear, until the machine is off.
func (m machine) run(t *testing.T, k kernel, initramfs string, plan int, hear func(line string)) {
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
		"-accel", "tcg", "-icount", m.icount(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "socket,id=monitor,path="+filepath.Join(dir, "monitor")+",server=on,wait=off", "-mon", "chardev=monitor,mode=readline",
		"-kernel", k.image(t), "-initrd", initramfs,
		"-append", strings.TrimSpace(fmt.Sprintf("console=%s panic=-1 quiet loglevel=3 rig_plan=%d %s", m.console, plan, m.args)))
	if m.dtb != "" {
		args = append(args, "-dtb", glob(t, filepath.Join(k.dir, m.dtb))[0])
	}
	for _, a := range m.ports {
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
	var hands sync.WaitGroup
	hands.Go(func() { keepAwake(ctx, t, dir) })
	if len(m.ports) > 0 {
		hands.Go(func() { serveCables(ctx, t, dir) })
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
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	cancel()
	hands.Wait()
	if late {
		t.Errorf("the machine did not end within %v", limit)
	}
}

// keepAwake gives QEMU's monitor an empty line each second, until the machine is
// off. QEMU 7.2 with -icount can miss the moment at which all processors have gone
// to sleep: the machine's next timer is due, nothing in QEMU will see to it, and the
// machine stands still until something from outside wakes QEMU's main loop, which
// then finds the timer. Seen once in some hours of an emulated arm64: its virtual
// clock had a timer in 52 us, all processors slept, and QEMU waited for ever. To the
// machine, whose clock stands still meanwhile, nothing has happened.
func keepAwake(ctx context.Context, t *testing.T, dir string) {
	monitor, err := dial(ctx, filepath.Join(dir, "monitor"))
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("QEMU's monitor: %v", err)
		}
		return
	}
	defer monitor.Close()
	go func() { _, _ = io.Copy(io.Discard, monitor) }() // its prompts
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(monitor, "\n"); err != nil {
			return // the machine is off
		}
	}
}

// fetch returns the machine's kernel, from the cache or from Debian.
func (m machine) fetch(t *testing.T) kernel {
	t.Helper()
	begun := time.Now()
	dir := strings.TrimSpace(command(t, nil, "internal/rig/fetch-kernel", m.name))
	t.Logf("kernel %s in %.0fs", dir, time.Since(begun).Seconds())
	return openKernel(t, dir)
}
