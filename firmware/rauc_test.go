package firmware

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/firmware/rauc"
	"tillgate/firmware/rauctest"
)

// real is a box whose two systems the real RAUC keeps. Only its bootloader and
// its gateway are played.
type real struct {
	*world
	rauc *rauctest.Box
}

func newReal(t *testing.T) *real {
	t.Helper()
	b := rauctest.New(t, program(v1, "good"))
	return &real{newWorld(t), b}
}

func (r *real) updater() *Updater {
	u := r.world.updater()
	u.Image = &rauc.Client{Address: r.rauc.Bus}
	u.Packaged.Version, _ = known(r.rauc.Running())
	u.GateWithin, u.Steady, u.Pace = 2*time.Second, 20*time.Millisecond, 5*time.Millisecond
	return u
}

// install brings a system to the box, and lets the box restart as often as it
// wants to.
func (r *real) install(v Version, behaves, compatible string) (Result, error) {
	r.t.Helper()
	file := r.rauc.Bundle(program(v, behaves), compatible)
	var b bytes.Buffer
	if err := Make(&b, Manifest{Version: v, Machine: "arm64", Method: MethodRAUC, Journal: 1}, file, r.key); err != nil {
		r.t.Fatal(err)
	}
	result, err := r.updater().Install(context.Background(), &b)
	for n := 0; r.box.reboot; n++ {
		if n > 5 {
			r.t.Fatal("the box restarts for ever")
		}
		r.box.running, r.box.version, r.box.held, r.box.reboot = "", "", false, false
		r.rauc.Reboot(behaves == "brick")
		r.put(filepath.Join(r.packaged(), Program), r.rauc.Running(), 0o755)
		if err := r.updater().Boot(); err != nil {
			r.t.Errorf("boot: %v", err)
		}
		if !r.box.reboot {
			_ = r.box.Start(context.Background())
			result, err = r.updater().Apply(context.Background())
		}
	}
	if s, err := ReadState(r.dir); err == nil && s.Phase == PhaseNone {
		r.box.held = false
	}
	return result, err
}

// in checks which system runs, stays, and what the bootloader thinks of it.
func (r *real) in(bootname string, v Version) {
	r.t.Helper()
	r.runs(v)
	if got, _ := known(r.rauc.Running()); got != v || r.rauc.Next() != bootname || r.rauc.State(bootname) != "good" {
		r.t.Errorf("%s runs, %s starts next (%s), want %s in %s", got, r.rauc.Next(), r.rauc.State(bootname), v, bootname)
	}
}

// The whole way with the real RAUC: forwards twice, back by itself from a system
// that is mute and from one that does not come up, and what RAUC refuses.
func TestRAUC(t *testing.T) {
	r := newReal(t)
	if got, err := r.install(v2, "good", "tillgate-test"); err != nil || got.Outcome != Confirmed {
		t.Fatalf("%+v, %v", got, err)
	}
	r.in("B", v2)
	if got, err := r.install(v3, "mute", "tillgate-test"); err != nil || got.Outcome != RolledBack {
		t.Fatalf("%+v, %v", got, err)
	}
	r.in("B", v2)
	if r.rauc.State("A") != "bad" {
		t.Error("the bootloader still thinks well of the system that was left")
	}
	if got, err := r.install("v1.2.1", "brick", "tillgate-test"); err != nil || got.Outcome != RolledBack || !strings.Contains(got.Text, "bootloader") {
		t.Fatalf("%+v, %v", got, err)
	}
	r.in("B", v2)
	if got, err := r.install("v1.2.2", "good", "coffee-machine"); err == nil || got.Outcome != Refused || !strings.Contains(got.Text, "ompatible") {
		t.Errorf("of another box: %+v, %v", got, err)
	}
	r.in("B", v2)
	if got, err := r.install("v1.2.3", "good", "tillgate-test"); err != nil || got.Outcome != Confirmed {
		t.Fatalf("%+v, %v", got, err)
	}
	r.in("A", "v1.2.3")
}
