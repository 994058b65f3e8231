package rauc_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tillgate/firmware/rauctest"
)

// On the bus of the image only root may talk to RAUC, whose own policy lets
// everybody: somebody who gets hold of the gateway's user must not choose systems.
func TestOnlyRoot(t *testing.T) {
	own, err := os.ReadFile("/usr/share/dbus-1/system.d/de.pengutronix.rauc.conf")
	if err != nil {
		t.Skipf("NOT RUN: RAUC's policy is not here: %v", err)
	}
	image, err := os.ReadFile("../../buildroot/board/overlay/etc/dbus-1/system.d/tillgate-rauc.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		policies []string
		denied   bool
	}{"RAUC's own policy": {[]string{string(own)}, false}, "the image's as well": {[]string{string(own), string(image)}, true}} {
		t.Run(name, func(t *testing.T) {
			b := rauctest.NewOn(t, tt.policies)
			if _, err := client(b).Booted(context.Background()); err != nil {
				t.Errorf("root: %v", err)
			}
			ask := exec.Command("dbus-send", "--bus="+b.Bus, "--print-reply", "--dest=de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer.GetSlotStatus")
			ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			for dir := b.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			out, err := ask.CombinedOutput()
			if denied := err != nil && strings.Contains(string(out), "AccessDenied"); denied != tt.denied || !denied && err != nil {
				t.Errorf("nobody: denied %v, want %v: %v %s", denied, tt.denied, err, out)
			}
		})
	}
}
