package firmware

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// tries is how often the bootloader of these tests starts a system of which
// nobody says that it is good.
const tries = 3

// slots plays RAUC and the bootloader of a box with two systems. A system of
// these tests is the program in it; "brick" does not come up, and the bootloader
// takes the other one. What it is told is kept at once, as by RAUC.
type slots struct {
	w       *world
	systems map[string][]byte
	left    map[string]int // tries
	booted  string
	next    string
	wrong   error // of the next installation
}

func (s *slots) other(slot string) string { return map[string]string{"A": "B", "B": "A"}[slot] }

// deaf says whether the RAUC of the system that runs does not work.
func (s *slots) deaf() error {
	if s.behaviour() == "no-rauc" {
		return errors.New("connection refused")
	}
	return nil
}

func (s *slots) Booted(context.Context) (string, error) { return s.booted, s.deaf() }

func (s *slots) Install(_ context.Context, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil || s.wrong != nil {
		return "", errors.Join(err, s.wrong)
	}
	slot := s.other(s.booted)
	if s.next == slot {
		s.w.t.Error("a system is overwritten that starts next")
	}
	s.systems[slot], s.left[slot] = b, 0
	return slot, nil
}

func (s *slots) Activate(_ context.Context, slot string) error {
	if err := s.deaf(); err != nil {
		return err
	}
	if v, _ := known(s.systems[slot]); v == "" {
		s.w.t.Errorf("slot %s is to start and has no whole system", slot)
	}
	s.next, s.left[slot] = slot, tries
	return nil
}

func (s *slots) Good(context.Context) error {
	if err := s.deaf(); err != nil || s.behaviour() == "no-good" {
		return errors.Join(err, errors.New("the bootloader cannot be written"))
	}
	s.left[s.booted] = tries
	return nil
}

func (s *slots) Bad(context.Context) error { s.left[s.booted] = 0; return nil }

// boot starts the box: the bootloader chooses, and what the gateway and the
// updater did is over.
func (s *slots) boot() {
	s.w.box.running, s.w.box.version, s.w.box.held, s.w.box.reboot = "", "", false, false
	if s.booted = s.next; s.left[s.booted] == 0 || s.behaviour() == "brick" {
		s.left[s.booted] = 0
		s.next = s.other(s.next)
		s.booted = s.next
	}
	s.left[s.booted]--
	s.w.put(filepath.Join(s.w.packaged(), Program), s.systems[s.booted], 0o755)
}

func (s *slots) behaviour() string {
	_, behaves := known(s.systems[s.booted])
	return behaves
}

// withSystems makes the box one with two systems.
func withSystems(w *world) {
	s := &slots{w: w, systems: map[string][]byte{"A": program(v1, "good")}, left: map[string]int{"A": tries}, booted: "A", next: "A"}
	w.image = s
}

// through installs a bundle and lets the box restart as often as it wants to.
func through(u *Updater, w *world, bundle []byte) (Result, error) {
	r, err := u.Install(context.Background(), bytes.NewReader(bundle))
	return w.restarts(u, r, err)
}

func (w *world) restarts(u *Updater, r Result, err error) (Result, error) {
	for n := 0; w.box.reboot; n++ {
		if n > 8 {
			w.t.Fatal("the box restarts for ever")
		}
		w.image.boot()
		w.starting = true
		next := w.updater()
		next.disk = u.disk
		if err := next.Boot(); err != nil && !errors.Is(err, errRAUC) {
			w.t.Errorf("boot: %v", err)
		}
		if !w.box.reboot {
			_ = w.box.Start(context.Background())
			w.starting = false
			r, err = next.Apply(context.Background())
		}
	}
	if s, err := ReadState(w.dir); err == nil && s.Phase == PhaseNone {
		w.box.held = false
	}
	return r, err
}

func systems(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		withSystems(w)
		story(w)
	})
}

// in checks which system runs, that it stays, and what it sells with.
func (w *world) in(slot string, v Version) {
	w.t.Helper()
	w.runs(v)
	if w.image.booted != slot || w.image.next != slot || w.image.left[slot] != tries {
		w.t.Errorf("%s runs, %s starts next (%d tries left), want %s", w.image.booted, w.image.next, w.image.left[slot], slot)
	}
}

func TestSystem(t *testing.T) {
	systems(t, func(w *world) {
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("B", v2)
		if left, _ := filepath.Glob(filepath.Join(w.dir, "versions", "*", System)); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
		if r, err := through(w.updater(), w, w.bundle(v3, "system-good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("A", v3)
		r, err := w.updater().Rollback(context.Background(), "it is slow")
		if r.Outcome != Restarting {
			t.Fatalf("%+v, %v", r, err)
		}
		if r, err = w.restarts(w.updater(), r, err); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("B", v2)
		// A program is renewed in the system that runs, and needs no restart.
		if r, err := w.install(w.bundle("v1.2.1", "good")); err != nil || r.Outcome != Confirmed || w.box.reboot {
			t.Fatalf("%+v, %v", r, err)
		}
		w.box.held = false
		w.in("B", "v1.2.1")
		if r, err := w.updater().Rollback(context.Background(), "x"); err != nil || r.Outcome != Confirmed || w.box.reboot {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("B", v2)
	})
}

// A system that does not prove itself, or does not come up, is left.
func TestSystemTakenBack(t *testing.T) {
	for _, behaves := range []string{"mute", "blind", "liar", "brick", "no-rauc", "no-good"} {
		t.Run(behaves, func(t *testing.T) {
			systems(t, func(w *world) {
				if _, err := w.install(w.bundle("v1.0.1", "good")); err != nil {
					t.Fatal(err)
				}
				w.box.held = false
				r, err := through(w.updater(), w, w.bundle(v2, "system-"+behaves))
				if err != nil || r.Outcome != RolledBack {
					t.Fatalf("%+v, %v", r, err)
				}
				w.in("A", "v1.0.1") // the program that ran, not the one of the system
				if w.image.left["B"] > 0 {
					t.Error("the bootloader still thinks well of it")
				}
				if _, err := through(w.updater(), w, w.bundle(v2, "system-good")); err == nil || !strings.Contains(err.Error(), "tried before") {
					t.Errorf("it is tried again: %v", err)
				}
			})
		})
	}
}

// What is refused changes nothing, and a payment keeps the box from restarting.
func TestSystemRefused(t *testing.T) {
	systems(t, func(w *world) {
		w.image.wrong = errors.New("signature verification failed")
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); err == nil || r.Outcome != Refused || !strings.Contains(r.Text, "signature") {
			t.Errorf("%+v, %v", r, err)
		}
		w.in("A", v1)
		w.image.wrong = nil
		w.box.open.Store(1)
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); !errors.Is(err, ErrBusy) || r.Outcome != Postponed {
			t.Errorf("%+v, %v", r, err)
		}
		w.in("A", v1)
		w.box.open.Store(0)
		w.box.behind = 1
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); !errors.Is(err, ErrBusy) || r.Outcome != Postponed {
			t.Errorf("%+v, %v", r, err)
		}
		w.in("A", v1)
		w.box.behind = 0
		if r, err := through(w.updater(), w, w.bundle("v0.9.0", "system-good")); err == nil || r.Outcome != Refused {
			t.Errorf("an older one: %+v, %v", r, err)
		}
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); err != nil || r.Outcome != Confirmed {
			t.Errorf("afterwards: %+v, %v", r, err)
		}
		w.in("B", v2)
	})
	bubble(t, func(w *world) {
		if _, err := w.install(w.bundle(v2, "system-good")); err == nil || !strings.Contains(err.Error(), "no RAUC") {
			t.Errorf("on a box with one system: %v", err)
		}
		w.runs(v1)
	})
}

// A restart that was asked for and did not come is asked for again, but not for
// ever.
func TestSystemRestartCutOff(t *testing.T) {
	systems(t, func(w *world) {
		u := w.updater()
		if r, err := u.Install(context.Background(), bytes.NewReader(w.bundle(v2, "system-good"))); err != nil || r.Outcome != Restarting {
			t.Fatalf("%+v, %v", r, err)
		}
		w.box.reboot = false
		r, err := w.updater().Apply(context.Background())
		if err != nil || r.Outcome != Restarting || !w.box.reboot {
			t.Fatalf("%+v, %v", r, err)
		}
		if r, err = w.restarts(w.updater(), r, err); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("B", v2)
	})
	systems(t, func(w *world) {
		if r, err := w.updater().Install(context.Background(), bytes.NewReader(w.bundle(v2, "system-good"))); err != nil || r.Outcome != Restarting {
			t.Fatalf("%+v, %v", r, err)
		}
		for n := 0; w.box.reboot; n++ {
			if n > MaxTries {
				t.Fatal("it is asked for for ever")
			}
			w.box.reboot = false
			if _, err := w.updater().Apply(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		w.box.held = false
		w.in("A", v1)
	})
}

// Whoever runs while a system is on trial, or is being left or replaced, sells
// nothing.
func TestOnTrial(t *testing.T) {
	for _, s := range []struct {
		phase    Phase
		from, to string
		want     bool
	}{
		{PhaseNone, "", "", false}, {PhaseSwitching, "A", "A", false}, {PhaseTrying, "A", "A", true}, {PhaseReturning, "", "", false},
		{PhaseNone, "A", "B", false}, {PhaseSwitching, "A", "B", true}, {PhaseBooting, "A", "B", true}, {PhaseTrying, "A", "B", true}, {PhaseReturning, "A", "B", true},
	} {
		st := State{Phase: s.phase, From: Place{Slot: s.from}, To: Place{Slot: s.to}}
		if got := st.OnTrial(); got != s.want {
			t.Errorf("%s from %q to %q: got %v, want %v", s.phase, s.from, s.to, got, s.want)
		}
	}
}

// The bootloader counts starts: at each boot it is told that the system is good.
func TestSystemStaysGood(t *testing.T) {
	systems(t, func(w *world) {
		w.image.left["A"] = 1
		w.apply()
		w.in("A", v1)
	})
}

// A version of a system brings keys, once it is confirmed.
func TestSystemKeys(t *testing.T) {
	systems(t, func(w *world) {
		next, nextKey := newKey(t)
		trust := func(m *Manifest) { m.Trust = []string{next} }
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good", trust)); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		if r, err := through(w.updater(), w, w.signed(nextKey, v3, "system-good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("A", v3)
	})
}

// What a new system has overwritten is not gone back to, whether it stayed or not;
// and nobody goes to another system without RAUC.
func TestSystemOverwritten(t *testing.T) {
	systems(t, func(w *world) {
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); err != nil || r.Outcome != Confirmed {
			t.Fatalf("%+v, %v", r, err)
		}
		u := w.updater()
		u.Image = nil
		if _, err := u.Rollback(context.Background(), "x"); err == nil || !strings.Contains(err.Error(), "no RAUC") {
			t.Errorf("without RAUC: %v", err)
		}
		w.in("B", v2)
		if r, err := through(w.updater(), w, w.bundle(v3, "system-mute")); err != nil || r.Outcome != RolledBack {
			t.Fatalf("%+v, %v", r, err)
		}
		w.in("B", v2)
		if r, err := w.updater().Rollback(context.Background(), "x"); err == nil || !strings.Contains(err.Error(), "no version before") || w.box.reboot {
			t.Errorf("it goes to what was overwritten: %+v, %v", r, err)
		}
		w.in("B", v2)
	})
}
