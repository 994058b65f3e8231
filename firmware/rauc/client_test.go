package rauc_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillgate/firmware/rauc"
	"tillgate/firmware/rauctest"
)

func client(b *rauctest.Box) *rauc.Client { return &rauc.Client{Address: b.Bus} }

// An image is written into the slot that does not run, and starts when it is told
// to, not before.
func TestInstall(t *testing.T) {
	b := rauctest.New(t, []byte("one"))
	c, ctx := client(b), context.Background()
	if slot, err := c.Booted(ctx); err != nil || slot != "rootfs.0" {
		t.Fatalf("booted: got %q, %v", slot, err)
	}
	slot, err := c.Install(ctx, b.Bundle([]byte("two"), "tillgate-test"))
	if err != nil || slot != "rootfs.1" {
		t.Fatalf("install: got %q, %v", slot, err)
	}
	if string(b.Slot(0)) != "one" || string(b.Slot(1)) != "two" || b.Next() != "A" {
		t.Errorf("slots have %q and %q, %s starts next", b.Slot(0), b.Slot(1), b.Next())
	}
	if err := c.Activate(ctx, slot); err != nil || b.Next() != "B" {
		t.Errorf("activate: %v, %s starts next", err, b.Next())
	}
	b.Reboot(false)
	if slot, err := c.Booted(ctx); err != nil || slot != "rootfs.1" {
		t.Errorf("booted: got %q, %v", slot, err)
	}
	if err := c.Bad(ctx); err != nil || b.State("B") != "bad" {
		t.Errorf("bad: %v, %s", err, b.State("B"))
	}
	if err := c.Good(ctx); err != nil || b.State("B") != "good" {
		t.Errorf("good: %v, %s", err, b.State("B"))
	}
	slots, err := c.Slots(ctx)
	if err != nil || len(slots) != 2 || slots[0].Class != "rootfs" || slots[0].Bootname == "" {
		t.Errorf("slots: got %+v, %v", slots, err)
	}
}

// What RAUC refuses changes nothing, and its reason is told.
func TestRefused(t *testing.T) {
	b := rauctest.New(t, []byte("one"))
	c, ctx := client(b), context.Background()
	forged := b.Bundle([]byte("two"), "tillgate-test")
	text, err := os.ReadFile(forged)
	if err != nil {
		t.Fatal(err)
	}
	text[100] ^= 1
	if err := os.WriteFile(forged, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ file, want string }{
		"forged":       {forged, "signature"},
		"another box":  {b.Bundle([]byte("two"), "coffee-machine"), "ompatible"},
		"not there":    {b.Dir + "/nothing.raucb", "nothing.raucb"},
		"not a bundle": {b.Dir + "/system.conf", "undle format"},
	} {
		if slot, err := c.Install(ctx, tt.file); err == nil || !strings.Contains(err.Error(), tt.want) || slot != "" && b.Next() != "A" {
			t.Errorf("%s: got %q, %v", name, slot, err)
		}
		if b.Next() != "A" || len(b.Slot(1)) != 0 {
			t.Errorf("%s: %s starts next, the other slot has %q", name, b.Next(), b.Slot(1))
		}
	}
	if slot, err := c.Install(ctx, b.Bundle([]byte("two"), "tillgate-test")); err != nil {
		t.Errorf("the next one: got %q, %v", slot, err)
	}
}

// A configuration with which RAUC would switch by itself is found, and undone.
func TestActivatesByItself(t *testing.T) {
	b := rauctest.New(t, []byte("one"), func(conf string) string {
		return strings.Replace(conf, "activate-installed=false\n", "", 1)
	})
	slot, err := client(b).Install(context.Background(), b.Bundle([]byte("two"), "tillgate-test"))
	if err == nil || !strings.Contains(err.Error(), "activate-installed=false") || b.Next() != "A" {
		t.Errorf("got %q, %v, %s starts next", slot, err, b.Next())
	}
}

// A box with one system has no place for another.
func TestOneSlot(t *testing.T) {
	b := rauctest.New(t, []byte("one"), func(conf string) string {
		return conf[:strings.Index(conf, "[slot.rootfs.1]")]
	})
	if _, err := client(b).Install(context.Background(), b.Bundle([]byte("two"), "tillgate-test")); err == nil || !strings.Contains(err.Error(), "one system") {
		t.Errorf("got %v", err)
	}
}

// Whoever waits for an installation is not kept when RAUC dies in the middle, or
// is not there at all.
func TestGone(t *testing.T) {
	b := rauctest.New(t, []byte("one"))
	file := b.Bundle([]byte("two"), "tillgate-test")
	b.Hang()
	done := make(chan error, 1)
	go func() {
		_, err := client(b).Install(context.Background(), file)
		done <- err
	}()
	b.AwaitHang()
	b.Kill()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was installed")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a RAUC that is gone")
	}
	c := client(b)
	c.Answer = time.Second
	if _, err := c.Booted(context.Background()); err == nil {
		t.Error("a RAUC that is gone answers")
	}
	c.Address = "unix:path=" + b.Dir + "/nobody"
	if _, err := c.Booted(context.Background()); err == nil || !strings.Contains(err.Error(), "D-Bus") {
		t.Errorf("without a bus: %v", err)
	}
}

// The configuration of the image does what the updater expects of it, with RAUC's
// own part for U-Boot: only the devices are files here, and the bundles are not
// of the kind that needs dm-verity in the kernel.
func TestImageConfiguration(t *testing.T) {
	b := imageBox(t)
	env := func(order, a, bLeft string) {
		t.Helper()
		if o, l, r := b.Env("BOOT_ORDER"), b.Env("BOOT_A_LEFT"), b.Env("BOOT_B_LEFT"); o != order || l != a || r != bLeft {
			t.Errorf("U-Boot has order %q, %s tries of A, %s of B; want %q, %s, %s", o, l, r, order, a, bLeft)
		}
	}
	b.SetEnv("BOOT_ORDER", "A B")
	b.SetEnv("BOOT_A_LEFT", "2") // this start has cost one
	b.SetEnv("BOOT_B_LEFT", "0")
	c, ctx := client(b), context.Background()
	if err := c.Good(ctx); err != nil {
		t.Error(err)
	}
	env("A B", "3", "0")
	slot, err := c.Install(ctx, b.Bundle([]byte("two"), "tillgate-rpi3"))
	if err != nil || slot != "rootfs.1" || string(b.Slot(1)) != "two" {
		t.Fatalf("got %q, %v", slot, err)
	}
	env("A", "3", "0") // what starts next is what runs
	if err := c.Activate(ctx, slot); err != nil {
		t.Error(err)
	}
	env("B A", "3", "3")
	b.Start("B")
	if err := c.Activate(ctx, "rootfs.0"); err != nil { // it is left
		t.Error(err)
	}
	if err := c.Bad(ctx); err != nil {
		t.Error(err)
	}
	env("A", "3", "0")
}

// imageBox has the configuration of the image, with its own slots.
func imageBox(t *testing.T) *rauctest.Box {
	t.Helper()
	text, err := os.ReadFile("../../buildroot/board/overlay/etc/rauc/system.conf")
	if err != nil {
		t.Fatal(err)
	}
	return rauctest.New(t, []byte("one"), func(conf string) string {
		dir := strings.TrimPrefix(strings.TrimSuffix(regexp.MustCompile(`device=.*/slot.0`).FindString(conf), "/slot.0"), "device=")
		return strings.NewReplacer(
			"@BOARD@", "rpi3", "/dev/mmcblk0p2", dir+"/slot.0", "/dev/mmcblk0p3", dir+"/slot.1", "type=ext4", "type=raw",
			"bundle-formats=verity", "bundle-formats=plain", "/etc/rauc/keyring.pem", dir+"/cert.pem", "/data/rauc", dir+"/data",
		).Replace(string(text))
	})
}

// A box without a clock chip takes what was signed while the certificate was valid,
// whatever the time is where it stands. Here the certificate runs out meanwhile.
func TestImageWithoutAClock(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a certificate has run out; run without -short")
	}
	b := imageBox(t)
	until := time.Now().Add(15 * time.Second) // long enough to make a bundle on a slow machine
	b.Certify(until)
	b.SetEnv("BOOT_ORDER", "A B")
	b.SetEnv("BOOT_A_LEFT", "3")
	file := b.Bundle([]byte("two"), "tillgate-rpi3")
	for time.Now().Before(until.Add(time.Second)) {
		time.Sleep(100 * time.Millisecond)
	}
	if slot, err := client(b).Install(context.Background(), file); err != nil || slot != "rootfs.1" {
		t.Errorf("got %q, %v", slot, err)
	}
}
