// Package rauctest is a box with two systems for tests: the real RAUC on a bus of
// its own, two slots that are files, and a bootloader that is a script and
// remembers in files what it was told.
//
//	{dir}/slot.0, slot.1    the systems
//	{dir}/boot/primary      what starts next: A or B
//	{dir}/boot/state.A      good or bad
//
// It needs root, for RAUC mounts the bundles that it installs, in a mount
// namespace of its own.
package rauctest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Box is one such box.
type Box struct {
	Dir string
	Bus string // address

	t    *testing.T
	slot string // bootname of the system that runs
	rauc *exec.Cmd
}

// SlotSize is what a slot holds.
const SlotSize = 1 << 20

// New makes a box that runs slot 0 ("A"), which holds system. It skips, loudly,
// where RAUC cannot run. configure may change its system.conf.
func New(t *testing.T, system []byte, configure ...func(conf string) string) *Box {
	t.Helper()
	return made(t, system, nil, configure)
}

// NewOn makes one whose bus has these policies, each as a file of its own would
// have it, beside one that lets everybody listen.
func NewOn(t *testing.T, policies []string) *Box {
	t.Helper()
	return made(t, []byte("a system"), policies, nil)
}

func made(t *testing.T, system []byte, policies []string, configure []func(conf string) string) *Box {
	t.Helper()
	for _, tool := range []string{"rauc", "dbus-daemon", "mksquashfs", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT RUN: images are not tested: %s is not installed (Debian packages rauc, rauc-service, dbus, squashfs-tools)", tool)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: images are not tested: RAUC mounts bundles, which takes root")
	}
	b := &Box{Dir: t.TempDir(), t: t, slot: "A"}
	for _, dir := range []string{"boot", "mnt", "data", "bin"} {
		b.check(os.Mkdir(b.path(dir), 0o755))
	}
	b.write("slot.0", padded(t, system), 0o644)
	b.write("slot.1", make([]byte, SlotSize), 0o644)
	b.write("boot/primary", []byte("A\n"), 0o644)
	b.write("boot/state.A", []byte("good\n"), 0o644)
	b.write("boot/state.B", []byte("bad\n"), 0o644)
	b.write("backend", []byte(backend), 0o755)
	b.write("bin/fw_printenv", []byte(printenv), 0o755)
	b.write("bin/fw_setenv", []byte(setenv), 0o755)
	conf := strings.ReplaceAll(systemConf, "@DIR@", b.Dir)
	for _, c := range configure {
		conf = c(conf)
	}
	b.write("system.conf", []byte(conf), 0o644)
	b.Certify(time.Now().Add(24 * time.Hour))
	b.bus(policies)
	b.start()
	return b
}

const systemConf = `[system]
compatible=tillgate-test
bootloader=custom
activate-installed=false
bundle-formats=plain
data-directory=@DIR@/data

[handlers]
bootloader-custom-backend=@DIR@/backend

[keyring]
path=@DIR@/cert.pem

[slot.rootfs.0]
device=@DIR@/slot.0
type=raw
bootname=A

[slot.rootfs.1]
device=@DIR@/slot.1
type=raw
bootname=B
`

// backend is the bootloader of the box: what RAUC's chapter "Custom" asks for.
const backend = `#!/bin/sh
cd "$(dirname "$0")/boot" || exit 1
if [ -e hang ]; then
	touch hanging
	while [ -e hang ]; do sleep 0.1; done
fi
case $1 in
get-primary) cat primary ;;
set-primary) echo "$2" >primary; echo good >"state.$2" ;;
get-state) cat "state.$2" ;;
set-state) echo "$3" >"state.$2" ;;
*) exit 1 ;;
esac
`

// printenv and setenv keep U-Boot's environment in files, where U-Boot is the
// bootloader: fw_printenv [-n] NAME, fw_setenv NAME VALUE.
const (
	printenv = `#!/bin/sh
[ "$1" = -n ] && { cat "$(dirname "$0")/../boot/env.$2"; exit; }
value=$(cat "$(dirname "$0")/../boot/env.$1") || exit 1
echo "$1=$value"
`
	setenv = `#!/bin/sh
printf '%s' "$2" >"$(dirname "$0")/../boot/env.$1"
`
)

// Env is a variable of U-Boot, "" if it is not set.
func (b *Box) Env(name string) string {
	text, _ := os.ReadFile(b.path("boot/env." + name))
	return string(text)
}

// SetEnv sets it, as U-Boot does.
func (b *Box) SetEnv(name, value string) {
	b.t.Helper()
	b.write("boot/env."+name, []byte(value), 0o644)
}

func padded(t *testing.T, system []byte) []byte {
	t.Helper()
	if len(system) > SlotSize {
		t.Fatalf("a system of %d bytes does not fit into a slot", len(system))
	}
	return append(bytes.Clone(system), make([]byte, SlotSize-len(system))...)
}

func (b *Box) path(name string) string { return filepath.Join(b.Dir, name) }

func (b *Box) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *Box) write(name string, text []byte, mode fs.FileMode) {
	b.t.Helper()
	b.check(os.WriteFile(b.path(name), text, mode))
}

func (b *Box) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(name))
	b.check(err)
	return strings.TrimSpace(string(text))
}

// Slot is what slot n holds, without the zeros behind it.
func (b *Box) Slot(n int) []byte {
	b.t.Helper()
	text, err := os.ReadFile(b.path(fmt.Sprintf("slot.%d", n)))
	b.check(err)
	return bytes.TrimRight(text, "\x00")
}

// Running is what the slot of the system that runs holds.
func (b *Box) Running() []byte { return b.Slot(int(b.slot[0] - 'A')) }

// Next is the bootname of what starts next, State what the bootloader was told
// of a slot.
func (b *Box) Next() string { return b.read("boot/primary") }

// State is what the bootloader was told of a slot: good or bad.
func (b *Box) State(bootname string) string { return b.read("boot/state." + bootname) }

// Forget makes the bootloader think badly of a slot, as after some starts of which
// nobody said that they were good.
func (b *Box) Forget(bootname string) {
	b.t.Helper()
	b.write("boot/state."+bootname, []byte("bad\n"), 0o644)
}

// Start starts the system in a slot.
func (b *Box) Start(bootname string) {
	b.t.Helper()
	b.stop()
	b.slot = bootname
	b.start()
}

// Reboot starts the system that the bootloader chooses. broken says that this one
// does not come up: after some tries the bootloader takes the other one.
func (b *Box) Reboot(broken bool) {
	b.t.Helper()
	slot := b.Next()
	if broken {
		slot = string('A' + 'B' - slot[0])
		b.write("boot/primary", []byte(slot+"\n"), 0o644)
	}
	b.Start(slot)
}

// start runs RAUC's service in the system of the present slot.
func (b *Box) start() {
	b.t.Helper()
	b.rauc = exec.Command("unshare", "--mount", "--propagation=private", "rauc", "--conf="+b.path("system.conf"), "--mount="+b.path("mnt"), "--override-boot-slot="+b.slot, "service")
	b.rauc.Env = append(os.Environ(), "PATH="+b.path("bin")+":"+os.Getenv("PATH"), "DBUS_SYSTEM_BUS_ADDRESS="+b.Bus, "DBUS_STARTER_BUS_TYPE=system")
	b.rauc.Stdout, b.rauc.Stderr = b.t.Output(), b.t.Output()
	b.rauc.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	b.rauc.WaitDelay = time.Second // for a bootloader that outlives it
	b.check(b.rauc.Start())
	b.t.Cleanup(b.stop)
	b.await("RAUC on its bus", func() bool {
		cmd := exec.Command("dbus-send", "--bus="+b.Bus, "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:de.pengutronix.rauc")
		out, err := cmd.Output()
		return err == nil && bytes.Contains(out, []byte("true"))
	})
}

// stop ends RAUC as a power cut does. It is idempotent.
func (b *Box) stop() {
	if b.rauc != nil {
		b.check(os.RemoveAll(b.path("boot/hang")))
		_ = b.rauc.Process.Kill()
		_ = b.rauc.Wait() // it was killed
		b.rauc = nil
		b.await("RAUC to be gone from its bus", func() bool {
			cmd := exec.Command("dbus-send", "--bus="+b.Bus, "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:de.pengutronix.rauc")
			out, err := cmd.Output()
			return err != nil || bytes.Contains(out, []byte("false"))
		})
	}
}

// Hang makes the bootloader hang from now on, and RAUC with it; AwaitHang returns
// when it does.
func (b *Box) Hang() { b.write("boot/hang", nil, 0o644) }

// AwaitHang waits for RAUC to ask the bootloader after [Box.Hang].
func (b *Box) AwaitHang() {
	b.await("RAUC to hang", func() bool {
		_, err := os.Stat(b.path("boot/hanging"))
		return err == nil
	})
}

// Kill ends RAUC in the middle of what it does.
func (b *Box) Kill() { _ = b.rauc.Process.Kill() }

func (b *Box) await(what string, done func() bool) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// bus starts a message bus for this box alone.
func (b *Box) bus(policies []string) {
	b.t.Helper()
	rules := everybody
	if policies != nil {
		rules = ""
		for i, text := range append([]string{systemBus}, policies...) {
			file := fmt.Sprintf("policy-%d.conf", i)
			b.write(file, []byte(text), 0o644)
			rules += "<include>" + b.path(file) + "</include>"
		}
	}
	b.write("bus.conf", []byte(strings.NewReplacer("@DIR@", b.Dir, "@RULES@", rules).Replace(busConf)), 0o644)
	cmd := exec.Command("dbus-daemon", "--nofork", "--config-file="+b.path("bus.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = b.t.Output()
	b.check(cmd.Start())
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	b.Bus = "unix:path=" + b.path("bus.sock")
	b.await("the bus", func() bool {
		_, err := os.Stat(b.path("bus.sock"))
		return !errors.Is(err, fs.ErrNotExist)
	})
}

const busConf = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=@DIR@/bus.sock</listen>
  @RULES@
</busconfig>
`

const everybody = `<policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="*"/>
    <allow receive_type="*"/>
    <allow send_destination="*"/>
  </policy>`

// systemBus is what a system's bus has before any service adds to it.
const systemBus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
</busconfig>
`
