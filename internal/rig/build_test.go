package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	args = append(args, "-ldflags", "-s -w", "-o", out, what)
	command(t, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + m.goarch, "GOARM=" + m.goarm}, "go", args...)
}

// libusb builds the tests of a package with USB, static like the release binary.
func (m machine) libusb(t *testing.T, out, what string) {
	t.Helper()
	prefix := strings.TrimSpace(command(t, nil, ".ci/libusb", m.name))
	env := []string{
		"CGO_ENABLED=1", "GOOS=linux", "GOARCH=" + m.goarch, "GOARM=" + m.goarm, "CC=" + m.cc,
		"PKG_CONFIG_LIBDIR=" + prefix + "/lib/pkgconfig", "PKG_CONFIG_PATH=",
	}
	if m.goarm == "6" {
		env = append(env, "CGO_CFLAGS=-O2 -march=armv6 -marm") // as .ci/static has it
	}
	command(t, env, "go", "test", "-c", "-tags", "libusb,static,netgo,osusergo", "-ldflags", "-s -w -linkmode external -extldflags -static", "-o", out, what)
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
	command(t, nil, ".ci/static", m.name, at("tillgate"))
	m.libusb(t, at("usbhid.test"), "./usbhid")
	c.file(t, "init", at("init"))
	for _, name := range []string{"tillgate", "usbhid.test", "scenes.test"} {
		c.file(t, "bin/"+name, at(name))
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
