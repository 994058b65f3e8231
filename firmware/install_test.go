package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func bubble(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { story(newWorld(t)) })
}

func TestInstall(t *testing.T) {
	bubble(t, func(w *world) {
		if r, err := w.install(w.bundle(v2, "good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.runs(v2)
		if r, err := w.install(w.bundle(v3, "good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.runs(v3)
		if _, err := os.Stat(filepath.Join(w.dir, "versions", string(v2), Program)); err != nil {
			t.Errorf("the version before is not kept: %v", err)
		}
	})
}

// The gateway, which is another user, can start what a person with a strict umask
// has installed.
func TestInstallWithAnyUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	bubble(t, func(w *world) {
		if r, err := w.install(w.bundle(v2, "good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		for name, want := range map[string]os.FileMode{"versions": 0o755, "versions/v1.1.0": 0o755, "versions/v1.1.0/tillgate": 0o755, "versions/v1.1.0/manifest.json": 0o644, "state.json": 0o644} {
			info, err := os.Stat(filepath.Join(w.dir, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v, want %v", name, info.Mode().Perm(), err, want)
			}
		}
	})
}

func TestTakenBack(t *testing.T) {
	for _, behaves := range []string{"mute", "blind", "liar"} {
		t.Run(behaves, func(t *testing.T) {
			bubble(t, func(w *world) {
				r, err := w.install(w.bundle(v2, behaves))
				if err != nil || r.Outcome != RolledBack {
					t.Fatalf("%+v, %v", r, err)
				}
				w.runs(v1)
				if _, err := w.install(w.bundle(v2, "good")); err == nil || !strings.Contains(err.Error(), "tried before") {
					t.Errorf("the version that failed is tried again: %v", err)
				}
				w.runs(v1)
				if r, err := w.install(w.bundle(v3, "good")); err != nil || r.Outcome != Confirmed {
					t.Errorf("the next one: %+v, %v", r, err)
				}
				w.runs(v3)
			})
		})
	}
}

// What is refused changes nothing, not even a gateway that sells.
func TestRefused(t *testing.T) {
	other := func(w *world) []byte {
		_, key := newKey(t)
		return w.signed(key, v2, "good")
	}
	for name, tt := range map[string]struct {
		bundle func(w *world) []byte
		want   string
	}{
		"unknown key":     {other, "not signed by a trusted key"},
		"changed program": {func(w *world) []byte { b := w.bundle(v2, "good"); b[len(b)-1] ^= 1; return b }, "checksum"},
		"changed manifest": {func(w *world) []byte {
			return bytes.Replace(w.bundle(v2, "good"), []byte(`"arm64"`), []byte(`"armv7"`), 1)
		}, "not signed"},
		"cut off":         {func(w *world) []byte { b := w.bundle(v2, "good"); return b[:len(b)-100] }, "ends after"},
		"something after": {func(w *world) []byte { return append(w.bundle(v2, "good"), 'x') }, "goes on after"},
		"no bundle":       {func(*world) []byte { return []byte("#!/bin/sh\n") }, "no Tillgate bundle"},
		"empty":           {func(*world) []byte { return nil }, "no Tillgate bundle"},
		"other machine": {func(w *world) []byte {
			return w.bundle(v2, "good", func(m *Manifest) { m.Machine = "amd64" })
		}, "is for amd64, this box is arm64"},
		"the same":                      {func(w *world) []byte { return w.bundle(v1, "good") }, "runs already"},
		"older":                         {func(w *world) []byte { return w.bundle("v0.9.0", "good") }, "older than v1.0.0"},
		"release candidate of the same": {func(w *world) []byte { return w.bundle("v1.0.0-rc.9", "good") }, "older"},
		"rollback of another version": {func(w *world) []byte {
			return w.bundle("v0.9.0", "good", func(m *Manifest) { m.Replaces = []Version{v2} })
		}, "older"},
		"journal too new": {func(w *world) []byte {
			return w.bundle(v2, "good", func(m *Manifest) { m.Journal = 3 })
		}, "could not take them back"},
		"lies about its version": {func(w *world) []byte {
			file := filepath.Join(t.TempDir(), "p")
			w.put(file, program(v3, "good"), 0o755)
			var b bytes.Buffer
			if err := Make(&b, Manifest{Version: v2, Machine: "arm64", Method: MethodBinary, Journal: 1}, file, w.key); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}, "calls itself"},
		"does not run here": {func(w *world) []byte {
			file := filepath.Join(t.TempDir(), "p")
			w.put(file, []byte("\x7fELF of another world"), 0o755)
			var b bytes.Buffer
			if err := Make(&b, Manifest{Version: v2, Machine: "arm64", Method: MethodBinary, Journal: 1}, file, w.key); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}, "start the new program"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				starts := w.box.starts
				r, err := w.install(tt.bundle(w))
				if err == nil || !strings.Contains(err.Error(), tt.want) || r.Outcome != Refused {
					t.Errorf("%+v, %v, want %q", r, err, tt.want)
				}
				w.runs(v1)
				if w.box.starts != starts {
					t.Error("the gateway was stopped for it")
				}
				if left, _ := filepath.Glob(filepath.Join(w.dir, "versions", "*")); len(left) > 0 {
					t.Errorf("it left %v", left)
				}
			})
		})
	}
}

// A signed rollback may replace exactly the version it names.
func TestSignedRollback(t *testing.T) {
	bubble(t, func(w *world) {
		if _, err := w.install(w.bundle(v3, "good")); err != nil {
			t.Fatal(err)
		}
		back := w.bundle(v2, "good", func(m *Manifest) { m.Replaces = []Version{v3} })
		if r, err := w.install(back); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.runs(v2)
	})
}

// Nothing is switched while a payment is open or in doubt, whoever knows of it.
func TestNeverDuringAPayment(t *testing.T) {
	bubble(t, func(w *world) {
		w.box.open.Store(1)
		r, err := w.install(w.bundle(v2, "good"))
		if !errors.Is(err, ErrBusy) || r.Outcome != Postponed {
			t.Errorf("%+v, %v", r, err)
		}
		w.runs(v1)
		if left, _ := filepath.Glob(filepath.Join(w.dir, "versions", "*")); len(left) > 0 {
			t.Errorf("of an update that was postponed there is %v", left)
		}

		w.box.open.Store(0)
		w.box.behind = 1 // the gateway says nothing of it, the journal does
		r, err = w.install(w.bundle(v2, "good"))
		if !errors.Is(err, ErrBusy) || r.Outcome != Postponed {
			t.Errorf("%+v, %v", r, err)
		}
		w.runs(v1)

		w.box.behind = 0
		w.box.open.Store(1)
		go func() { // it is waited for
			time.Sleep(5 * time.Minute)
			if s, err := ReadState(w.dir); err != nil || s.Phase != PhaseStaging || s.To.Version != v2 || s.OnTrial() {
				t.Errorf("while it waits: %+v, %v", s, err)
			}
			w.box.open.Store(0)
		}()
		if r, err := w.install(w.bundle(v2, "good")); err != nil || r.Outcome != Confirmed {
			t.Errorf("%+v, %v", r, err)
		}
		w.runs(v2)
	})
}

func TestRollback(t *testing.T) {
	bubble(t, func(w *world) {
		if _, err := w.updater().Rollback(context.Background(), "why not"); err == nil {
			t.Error("there is nothing to go back to, and it does")
		}
		if _, err := w.install(w.bundle(v2, "good")); err != nil {
			t.Fatal(err)
		}
		if r, err := w.updater().Rollback(context.Background(), "it is slow"); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.runs(v1)
		if r, err := w.updater().Rollback(context.Background(), "it was not"); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.runs(v2)
		// A version that decayed on the disk is not gone back to.
		if _, err := w.install(w.bundle(v3, "good")); err != nil {
			t.Fatal(err)
		}
		w.put(filepath.Join(w.dir, "versions", string(v2), Program), program(v2, "blind"), 0o755)
		if _, err := w.updater().Rollback(context.Background(), "x"); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("a damaged version is gone back to: %v", err)
		}
		w.runs(v3)
	})
}

// A version that never proves itself, since the box goes down with it, is taken
// back after MaxTries starts.
func TestBootLoop(t *testing.T) {
	bubble(t, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { time.Sleep(time.Minute); cancel() }()
		if _, err := w.updater().Install(ctx, bytes.NewReader(w.bundle(v2, "mute"))); !errors.Is(err, context.Canceled) {
			t.Fatalf("judging ends with %v", err)
		}
		boots := 0
		for ; w.box.version != v1; boots++ {
			if boots > MaxTries {
				t.Fatal("it is started for ever")
			}
			w.box.running = ""
			if err := w.updater().Boot(); err != nil {
				t.Fatal(err)
			}
			_ = w.box.Start(context.Background())
		}
		w.apply()
		w.box.held = false
		w.runs(v1)
		if boots != MaxTries {
			t.Errorf("taken back after %d boots, want %d", boots, MaxTries)
		}
	})
}

// A confirmed version brings keys and revokes keys; one that fails does not.
func TestKeyRotation(t *testing.T) {
	bubble(t, func(w *world) {
		next, nextKey := newKey(t)
		if r, err := w.install(w.bundle(v2, "mute", func(m *Manifest) { m.Trust = []string{next} })); err != nil || r.Outcome != RolledBack {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := w.install(w.signed(nextKey, v3, "good")); !errors.Is(err, ErrUnsigned) {
			t.Fatalf("the key of a version that failed counts: %v", err)
		}
		rotate := func(m *Manifest) {
			m.Trust, m.Revoke = []string{next}, []string{fmt.Sprintf("%016x", w.key.ID())}
		}
		if r, err := w.install(w.bundle("v1.1.1", "good", rotate)); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := w.install(w.bundle("v1.1.2", "good")); !errors.Is(err, ErrUnsigned) {
			t.Errorf("the revoked key counts: %v", err)
		}
		if r, err := w.install(w.signed(nextKey, v3, "good")); err != nil || r.Outcome != Confirmed {
			t.Errorf("the new key: %+v, %v", r, err)
		}
		w.runs(v3)
		if r, err := w.updater().Rollback(context.Background(), "x"); err != nil || r.Version != "v1.1.1" {
			t.Errorf("to a version of the revoked key: %+v, %v", r, err)
		}
	})
}

// Keys change with the version that brings them and not before, wherever the power
// fails: a version that is judged twice and fails the second time changes none.
func TestKeyRotationCutOff(t *testing.T) {
	next, _ := newKey(t)
	for n := 1; ; n++ {
		ended := false
		bubble(t, func(w *world) {
			rotate := func(m *Manifest) {
				m.Trust, m.Revoke = []string{next}, []string{fmt.Sprintf("%016X", w.key.ID())}
			}
			at, was := cutOff(w, &knife{n: n}, func(u *Updater) {
				_, _ = u.Install(context.Background(), bytes.NewReader(w.bundle(v2, "good", rotate)))
			})
			ended = !was
			fails := n%2 == 0
			if fails && w.box.version == v2 {
				w.box.running = "blind"
			}
			if r, err := w.updater().Apply(context.Background()); err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			s, err := ReadState(w.dir)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := w.updater().TrustedKeys()
			if err != nil || len(keys) != 1 {
				t.Fatalf("%v, %v", keys.IDs(), err)
			}
			if rotated := !keys.has(fmt.Sprintf("%016X", w.key.ID())); rotated != (s.Confirmed.Version == v2) {
				t.Errorf("before %s of %s (change %d): %s is confirmed, the keys have changed: %v", at.change, filepath.Base(at.path), n, s.Confirmed.Version, rotated)
			}
		})
		if ended || t.Failed() {
			return
		}
	}
}

// An update that was cut off while it was copied, or while it waited for a payment,
// is not forgotten: its end is told.
func TestCutWhileStaging(t *testing.T) {
	for n := 1; ; n++ {
		before := false
		bubble(t, func(w *world) {
			_, was := cutOff(w, &knife{n: n}, func(u *Updater) {
				_, _ = u.Install(context.Background(), bytes.NewReader(w.bundle(v2, "good")))
			})
			s, err := ReadState(w.dir)
			if err != nil || !was {
				t.Fatalf("%+v, %v", s, err)
			}
			before = s.Phase == PhaseNone || s.Phase == PhaseStaging
			if s.Phase != PhaseStaging {
				return
			}
			if r := w.apply(); r.Outcome != Cut || r.Version != v2 {
				t.Errorf("cut off before change %d: %+v", n, r)
			}
			w.box.held = false // a hold has a lease
			w.runs(v1)
		})
		if !before || t.Failed() {
			return
		}
	}
}

// The last key cannot be revoked: the box could never be updated again.
func TestLastKeyStays(t *testing.T) {
	bubble(t, func(w *world) {
		r, err := w.install(w.bundle(v2, "good", func(m *Manifest) { m.Revoke = []string{fmt.Sprintf("%016X", w.key.ID())} }))
		if err != nil || r.Outcome != RolledBack || !strings.Contains(r.Text, "no key") {
			t.Errorf("%+v, %v", r, err)
		}
		w.runs(v1)
		if r, err := w.install(w.bundle(v3, "good")); err != nil || r.Outcome != Confirmed {
			t.Errorf("the next one: %+v, %v", r, err)
		}
	})
}

// A package that is newer than the last update is what runs from then on; an
// older one is not.
func TestPackage(t *testing.T) {
	bubble(t, func(w *world) {
		if err := os.Remove(filepath.Join(w.dir, "current")); err != nil { // a new box
			t.Fatal(err)
		}
		if err := w.updater().AdoptPackaged(); err != nil {
			t.Fatal(err)
		}
		w.runs(v1)
		if _, err := w.install(w.bundle(v2, "good")); err != nil {
			t.Fatal(err)
		}
		if err := w.updater().AdoptPackaged(); err != nil {
			t.Fatal(err)
		}
		w.runs(v2)
		u := w.updater()
		u.Packaged.Version = v3
		w.put(filepath.Join(u.Packaged.Target, Program), program(v3, "good"), 0o755)
		if err := u.AdoptPackaged(); err != nil {
			t.Fatal(err)
		}
		_ = w.box.Stop(context.Background())
		_ = w.box.Start(context.Background())
		w.runs(v3)
	})
}

func TestVersionOrder(t *testing.T) {
	order := []Version{"development", "v0.0.0-20261122073324-cccb9fdb6cc1", "v0.0.0-20261122073325-0000000000aa", "v0.9.9", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-rc.2", "v1.0.0-rc.10", "v1.0.0", "v1.0.1", "v1.10.0", "v2.0.0"}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s compared with %s is %d", a, b, got)
			}
		}
	}
	if Version("v1.0.0+a").Compare("v1.0.0+b") != 0 {
		t.Error("what follows a plus sign counts")
	}
	for _, v := range []Version{"", "1.0.0", "v1.0", "v1.0.0/../x", "v1.0.0 ", "v01.0.0", "v1.0.0-", "v1.0.9999999999", Version("v1.0.0-" + strings.Repeat("a", 80))} {
		if v.Check() == nil {
			t.Errorf("%q is taken for a version", v)
		}
	}
}
