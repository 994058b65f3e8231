// Guest is process 1 of the rig's machine: it mounts what Linux needs, loads
// modules in the order of /modules, runs what /plan.N says, one command a line,
// prints how each ended, and powers the machine off.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	fmt.Println("rig: the machine is up")
	if err := prepare(); err != nil {
		fmt.Println("rig: prepare:", err)
	} else {
		follow()
	}
	fmt.Println("rig: end")
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // boards that cannot power off: the other side ends the machine
}

func prepare() error {
	for _, m := range []struct{ at, kind string }{
		{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}, {"/dev/pts", "devpts"}, {"/tmp", "tmpfs"}, {"/run", "tmpfs"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("none", m.at, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return modules()
}

// loopback brings lo up; the kernel gives it its addresses.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

func modules() error {
	list, err := os.ReadFile("/modules")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open("/m/" + name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	if err := unix.Mount("none", "/sys/kernel/config", "configfs", 0, ""); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount configfs: %w", err)
	}
	return nil
}

func follow() {
	// The kernel gives its process 1 the words that it does not know itself.
	plan, err := os.ReadFile("/plan." + os.Getenv("rig_plan"))
	if err != nil {
		fmt.Println("rig:", err)
		return
	}
	for line := range strings.Lines(string(plan)) {
		args := strings.Fields(line)
		var env []string
		for len(args) > 1 && strings.Contains(args[0], "=") { // NAME=value in front of the command
			env, args = append(env, args[0]), args[1:]
		}
		begun := time.Now()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = []string{"HOME=/tmp", "PATH=/bin", "TMPDIR=/tmp", "TILLGATE_RIG=1"}
		cmd.Env = append(cmd.Env, env...)
		cmd.Dir = "/tmp"
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		status := "passed"
		if err := cmd.Run(); err != nil {
			status = "FAILED: " + err.Error()
			kernelLog()
		}
		fmt.Printf("rig: %s: %s after %.1fs\n", args[0], status, time.Since(begun).Seconds())
	}
}

// kernelLog prints the end of what the kernel has to say.
func kernelLog() {
	const readAll, most = 3, 128 << 10
	b := make([]byte, most)
	n, err := unix.Klogctl(readAll, b) // the newest, if there is more
	if err != nil {
		fmt.Println("rig: the kernel's log:", err)
		return
	}
	fmt.Println("rig: the kernel's log ends with:")
	for line := range strings.Lines(string(b[:n])) {
		if !strings.Contains(line, "vhci_hcd: unlink->seqnum") && !strings.Contains(line, "vhci_hcd: urb->status") {
			fmt.Print(line)
		}
	}
}
