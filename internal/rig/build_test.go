package rig

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

const root = "../.." // of the module

func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", cmd, err, out)
	}
	return string(out)
}

// plain builds without C.
func (m machine) plain(t *testing.T, out, what string, test bool) {
	t.Helper()
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	args = append(args, "-trimpath", "-ldflags", "-s -w", "-o", out, what)
	command(t, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + m.goarch, "GOARM=" + m.goarm}, "go", args...)
}

// libusb builds with USB.
func (m machine) libusb(t *testing.T, out, what string, test bool) {
	t.Helper()
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	args = append(args, "-trimpath", "-tags", "libusb", "-ldflags", "-s -w", "-o", out, what)
	command(t, []string{"CGO_ENABLED=1", "GOARCH=" + m.goarch, "GOARM=" + m.goarm}, "go", args...)
}

// libraries adds what a binary that is not static needs.
func (c *cpio) libraries(t *testing.T, binary string) {
	t.Helper()
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Section(".interp") == nil {
		return
	}
	for _, path := range regexp.MustCompile(`/\S+`).FindAllString(command(t, nil, "ldd", binary), -1) {
		if path != binary+":" && !c.dirs[path] {
			c.file(t, path, path)
			c.dirs[path] = true
		}
	}
}

// initramfs builds everything for a machine and puts it into a file.
func (m machine) initramfs(t *testing.T, k kernel, plan string) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var c cpio
	c.add("plan", 0o644, []byte(plan))
	m.plain(t, at("init"), "./internal/rig/guest", false)
	m.plain(t, at("scenes.test"), "./internal/rig/scenes", true)
	m.libusb(t, at("tillgate"), ".", false)
	m.libusb(t, at("usbhid.test"), "./usbhid", true)
	c.file(t, "init", at("init"))
	for _, name := range []string{"tillgate", "usbhid.test", "scenes.test"} {
		c.file(t, "bin/"+name, at(name))
		c.libraries(t, at(name))
	}
	var order []byte
	for _, file := range k.order(t, m.modules...) {
		c.file(t, "m/"+filepath.Base(file), file)
		order = append(order, filepath.Base(file)+"\n"...)
	}
	c.add("modules", 0o644, order)
	if err := os.WriteFile(at("initramfs"), c.bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return at("initramfs")
}
