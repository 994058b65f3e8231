package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tillgate/firmware/rauctest"
)

// A box with a configured RAUC tells it at each start that its system is good,
// over the system's message bus; one without asks nobody.
func TestSystemIsGood(t *testing.T) {
	b := rauctest.New(t, []byte("a system"))
	program, err := exec.LookPath("tillgate")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "tillgate")); err != nil {
		t.Fatal(err)
	}
	apply := func(conf string) {
		t.Helper()
		cmd := exec.Command("tillgate", "firmware", "--dir", dir, "--keys", dir, "--base", dir, "--rauc", conf, "apply", "--inbox", dir)
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+b.Bus)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b.Forget("A")
	apply(filepath.Join(dir, "none.conf"))
	if got := b.State("A"); got != "bad" {
		t.Errorf("without RAUC: the bootloader thinks %s", got)
	}
	apply(filepath.Join(b.Dir, "system.conf"))
	if got := b.State("A"); got != "good" {
		t.Errorf("with RAUC: the bootloader thinks %s", got)
	}
}
