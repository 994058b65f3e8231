package firmware

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStick puts bundles on a real file system on a loop device, and has it
// mounted in a mount namespace of its own: this test runs itself there. It is
// vfat, or ext2 where the kernel has no vfat, which is said.
func TestStick(t *testing.T) {
	for _, tool := range []string{"mkfs.vfat", "mkfs.ext2", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT RUN: sticks are not tested: %s is not installed (Debian packages dosfstools, mount)", tool)
		}
	}
	if alone(t) {
		stick(t)
	}
}

// alone runs a test once more, as root in a mount namespace of its own, and says
// whether this is there.
func alone(t *testing.T) (there bool) {
	t.Helper()
	if os.Getenv("TILLGATE_ALONE") == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: mounting takes root")
	}
	self := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	self.Env = append(os.Environ(), "TILLGATE_ALONE="+t.Name())
	self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := self.CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("NOT RUN")) {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

func stick(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	image, mnt, inbox := filepath.Join(dir, "stick.img"), filepath.Join(dir, "mnt"), filepath.Join(w.dir, "stick")
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	w.put(image, nil, 0o644)
	if err := errors.Join(os.Truncate(image, 16<<20), os.Mkdir(mnt, 0o755)); err != nil {
		t.Fatal(err)
	}
	kind := "vfat"
	if known, err := os.ReadFile("/proc/filesystems"); err != nil || !bytes.Contains(known, []byte("\tvfat\n")) && exec.Command("modprobe", "vfat").Run() != nil {
		kind = "ext4" // which mounts ext2 as well
		t.Log("this kernel has no vfat: tried with ext2 in its place")
		run("mkfs.ext2", "-q", image)
	} else {
		run("mkfs.vfat", image)
	}
	device := run("losetup", "--find", "--show", image)
	defer run("losetup", "--detach", device)
	put := func(files map[string][]byte) {
		t.Helper()
		run("mount", "-t", kind, device, mnt)
		for name, b := range files {
			w.put(filepath.Join(mnt, name), b, 0o755)
		}
		run("umount", mnt)
	}
	look := func() (Version, error) {
		u := w.updater()
		u.sticks = []string{kind}
		u.disk.before = func(change, _ string) {
			if change != "mounted" {
				return
			}
			table, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(string(table)) {
				if !strings.Contains(line, " "+mnt+" ") {
					continue
				}
				for _, option := range []string{"ro", "nosuid", "nodev", "noexec", "nosymfollow"} {
					if !strings.Contains(","+strings.Fields(line)[5]+",", ","+option+",") {
						t.Errorf("mounted without %s: %s", option, line)
					}
				}
			}
		}
		return u.FromStick(device, mnt, inbox)
	}

	if _, err := look(); !errors.Is(err, ErrNothingNew) {
		t.Errorf("an empty stick: %v", err)
	}
	_, foreign := newKey(t)
	put(map[string][]byte{"holiday.jpg": bulk(1000), "a.bundle": bulk(1000), "foreign.bundle": w.signed(foreign, "v9.0.0", "good"), "old.bundle": w.bundle("v0.9.0", "good")})
	if _, err := look(); !errors.Is(err, ErrNothingNew) {
		t.Errorf("a stick with nothing for this box: %v", err)
	}
	if _, err := os.Stat(filepath.Join(inbox, RequestFile)); err == nil {
		t.Error("something was asked for all the same")
	}
	want := w.bundle(v3, "good")
	put(map[string][]byte{"v2.bundle": w.bundle(v2, "good"), "v3.bundle": want})
	if v, err := look(); err != nil || v != v3 {
		t.Fatalf("got %s, %v", v, err)
	}
	if got, err := os.ReadFile(filepath.Join(inbox, "stick.bundle")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes were copied, want %d (%v)", len(got), len(want), err)
	}
	if table, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(table, []byte(mnt)) {
		t.Errorf("it is still mounted (%v)", err)
	}
	f, err := os.Open(filepath.Join(inbox, "stick.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u := w.updater()
	u.Steady, u.Pace = 1, 1
	if r, err := u.Install(context.Background(), f); err != nil || r.Outcome != Confirmed {
		t.Fatalf("%+v, %v", r, err)
	}
	w.box.held = false
	w.runs(v3)

	// A stick that stays in, and what is no stick.
	if _, err := look(); !errors.Is(err, ErrNothingNew) {
		t.Errorf("the same stick again: %v", err)
	}
	run("dd", "if=/dev/zero", "of="+image, "bs=1M", "count=2", "conv=notrunc", "status=none")
	if _, err := look(); err == nil || !strings.Contains(err.Error(), "as "+kind) {
		t.Errorf("a stick without a file system: %v", err)
	}
	if _, err := w.updater().FromStick(image, mnt, inbox); err == nil || !strings.Contains(err.Error(), "no block device") {
		t.Errorf("a file: %v", err)
	}
	if _, err := w.updater().FromStick("/dev/null", mnt, inbox); err == nil || !strings.Contains(err.Error(), "no block device") {
		t.Errorf("a character device: %v", err)
	}
}
