package rig

import (
	"bytes"
	"fmt"
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
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s%s", cmd, err, out, &complaints)
	}
	return string(out)
}

// initramfs builds everything for a machine and puts it into a file. All is
// built with the options of the release binary, so that one compilation of a
// package serves them all.
func (m machine) initramfs(t *testing.T, k kernel, plans [][]string) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var c cpio
	for i, plan := range plans {
		c.add(fmt.Sprintf("plan.%d", i), 0o644, []byte(strings.Join(plan, "\n")+"\n"))
	}
	command(t, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + m.goarch, "GOARM=" + m.goarm},
		"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", at("init"), "./internal/rig/guest")
	command(t, nil, ".ci/static", m.name, at("tillgate"))
	command(t, nil, ".ci/static", m.name, at("scenes.test"), "./internal/rig/scenes")
	command(t, nil, ".ci/static", m.name, at("usbhid.test"), "./usbhid")
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
