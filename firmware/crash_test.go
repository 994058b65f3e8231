package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// cut is how the updater ends at a step.
type cut struct{ change, path string }

// knife ends an updater before its nth change, and can play what a power cut
// does to changes that were not flushed.
type knife struct {
	n      int // counts down; 0 never cuts
	undo   func()
	counts int
}

func (k *knife) before(change, path string) {
	k.counts++
	k.n--
	if k.n == 0 {
		panic(cut{change, path})
	}
	switch change {
	case "create", "write":
		k.undo = func() { // what was written may be there in part, or not at all
			if b, err := os.ReadFile(path); err == nil {
				_ = os.WriteFile(path, b[:len(b)/2], 0o644)
			}
		}
	case "rename":
		k.undo = unrename(path)
	case "flush folder", "link", "make folder", "remove":
		k.undo = nil
	}
}

// unrename remembers what had the name before, and puts it back.
func unrename(path string) func() {
	from := path + ".new"
	if filepath.Base(filepath.Dir(path)) == "versions" {
		from = filepath.Join(filepath.Dir(path), "new")
	}
	target, linkErr := os.Readlink(path)
	text, textErr := os.ReadFile(path)
	return func() {
		_ = os.Rename(path, from)
		switch {
		case linkErr == nil:
			_ = os.Symlink(target, path)
		case textErr == nil:
			_ = os.WriteFile(path, text, 0o644)
		}
	}
}

// cutOff runs f with an updater that ends before its nth change, and says
// whether it did.
func cutOff(w *world, k *knife, f func(u *Updater)) (where cut, was bool) {
	defer func() {
		if r := recover(); r != nil {
			c, ok := r.(cut)
			if !ok {
				panic(r)
			}
			where, was = c, true
		}
	}()
	u := w.updater()
	u.disk.before = k.before
	f(u)
	return cut{}, false
}

// story is one update that is cut off at every step.
type story struct {
	name  string
	setup func(w *world)
	do    func(u *Updater, w *world)
	ends  []Version // one of these runs in the end
}

func stories() []story {
	installs := func(v Version, behaves string) func(*Updater, *world) {
		return func(u *Updater, w *world) {
			_, _ = u.Install(context.Background(), bytes.NewReader(w.bundle(v, behaves)))
		}
	}
	has := func(w *world) {
		if r, err := w.install(w.bundle(v2, "good")); err != nil || r.Outcome != Confirmed {
			w.t.Fatalf("%+v, %v", r, err)
		}
	}
	system := func(v Version, behaves string) func(*Updater, *world) {
		return func(u *Updater, w *world) { _, _ = through(u, w, w.bundle(v, "system-"+behaves)) }
	}
	hasSystem := func(w *world) {
		withSystems(w)
		if r, err := through(w.updater(), w, w.bundle(v2, "system-good")); err != nil || r.Outcome != Confirmed {
			w.t.Fatalf("%+v, %v", r, err)
		}
	}
	return []story{
		{"forwards", func(*world) {}, installs(v2, "good"), []Version{v1, v2}},
		{"forwards again", has, installs(v3, "good"), []Version{v2, v3}},
		{"back by itself", func(*world) {}, installs(v2, "blind"), []Version{v1}},
		{"back by itself to an update", has, installs(v3, "mute"), []Version{v2}},
		{"back by hand", has, func(u *Updater, _ *world) { _, _ = u.Rollback(context.Background(), "by hand") }, []Version{v1, v2}},

		{"system", withSystems, system(v2, "good"), []Version{v1, v2}},
		{"system back by itself", withSystems, system(v2, "mute"), []Version{v1}},
		{"system without RAUC", withSystems, system(v2, "no-rauc"), []Version{v1}},
		{"system does not come up", withSystems, system(v2, "brick"), []Version{v1}},
		{"system back by hand", hasSystem, func(u *Updater, w *world) {
			r, err := u.Rollback(context.Background(), "by hand")
			_, _ = w.restarts(u, r, err)
		}, []Version{v1, v2}},
	}
}

// TestCrashMatrix ends the updater before each of its changes to the disk, in
// both directions, in three ways:
//
//   - killed: systemd starts it again,
//   - power: the box boots with everything that was written,
//   - lost: the box boots without what was not flushed,
//
// and then once more before each change of what follows. In the end one of the
// right versions runs, complete and confirmed, the gateway was never stopped
// with a payment open (the played gateway watches), and an update can be made.
func TestCrashMatrix(t *testing.T) {
	all := os.Getenv("CRASH") == "all"
	for _, s := range stories() {
		for _, way := range []string{"killed", "power", "lost"} {
			t.Run(s.name+"/"+way, func(t *testing.T) {
				cuts, each := 0, 1
				if testing.Short() {
					each = 4
				}
				for n := 1; ; n += each {
					ended := false
					synctest.Test(t, func(t *testing.T) { ended = oneCut(t, s, way, n, 0) })
					if ended {
						break
					}
					cuts++
					// The recovery is cut off as well, with CRASH=all before each of
					// its changes, else at another one each time.
					first, step := 1+n%16, 16
					if all {
						first, step = 1, 1
					}
					for m := first; m <= 16 && !t.Failed(); m += step {
						synctest.Test(t, func(t *testing.T) { oneCut(t, s, way, n, m) })
					}
					if t.Failed() {
						return
					}
				}
				if cuts < 10/each {
					t.Errorf("only %d steps were cut off: the matrix does not see them", cuts)
				}
				t.Logf("%d steps", cuts)
			})
		}
	}
}

// oneCut cuts a story off before change n, the recovery before change m (0:
// not), and says whether the story was over before n.
func oneCut(t *testing.T, s story, way string, n, m int) (over bool) {
	w := newWorld(t)
	s.setup(w)
	k := &knife{n: n}
	at, was := cutOff(w, k, func(u *Updater) { s.do(u, w) })
	what := fmt.Sprintf("%s, %s before %s of %s (change %d), then %d", s.name, way, at.change, filepath.Base(at.path), n, m)
	if was {
		lose(w, k, way)
		if err := complete(w); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if m > 0 {
			k = &knife{n: m}
			if at, again := cutOff(w, k, func(u *Updater) { recoverBy(w, u, way) }); again {
				lose(w, k, way)
				if err := complete(w); err != nil {
					t.Errorf("%s: %s: %v", what, at.change, err)
				}
			}
		}
		recoverBy(w, w.updater(), way)
	}
	right := false
	for _, v := range s.ends {
		right = right || w.box.version == v
	}
	if !right {
		t.Errorf("%s: %s runs", what, w.box.version)
	}
	w.runs(w.box.version)
	if i := w.image; i != nil && (i.next != i.booted || i.left[i.booted] != tries) {
		t.Errorf("%s: %s runs and %s starts next (tries left: %v)", what, i.booted, i.next, i.left)
	}
	if r, err := w.install(w.bundle("v1.3.0", "good")); w.box.version != "v1.3.0" {
		t.Errorf("%s: afterwards no update can be made: %+v, %v", what, r, err)
	}
	if t.Failed() {
		t.Logf("%s", what)
	}
	return !was
}

// recoverBy is what the box does after an updater was cut off.
func recoverBy(w *world, u *Updater, way string) {
	if w.image != nil && (way != "killed" || w.box.reboot) {
		w.box.reboot = true // by the power, or it was asked for
		if _, err := w.restarts(u, Result{}, nil); err != nil {
			w.t.Errorf("after a restart: %v", err)
		}
		return
	}
	if w.starting { // its unit starts it, however the one before has ended
		_ = w.box.Start(context.Background())
		w.starting = false
	}
	if way != "killed" {
		b := *u // the unit of the boot is a process of its own, before the gateway
		if err := b.Boot(); err != nil {
			w.t.Errorf("boot: %v", err)
		}
		_ = w.box.Start(context.Background())
	}
	r, err := u.Apply(context.Background())
	if err == nil {
		_, err = w.restarts(u, r, err)
	}
	if err != nil {
		w.t.Errorf("apply: %v", err)
	}
	// The real gateway sells as soon as no version is on trial.
	if s, err := ReadState(w.dir); err == nil && s.Phase == PhaseNone {
		w.box.held = false
	}
}

// lose plays what happens to the box when the updater is cut off.
func lose(w *world, k *knife, way string) {
	if way == "killed" {
		return
	}
	w.box.running, w.box.version, w.box.held, w.box.reboot = "", "", false, false
	if way == "lost" && k.undo != nil {
		k.undo()
	}
}

// complete says what is wrong if "current" does not lead to a whole program.
func complete(w *world) error {
	b, err := os.ReadFile(filepath.Join(w.dir, "current", Program))
	if err != nil {
		return err
	}
	if v, _ := known(b); v == "" {
		return errors.New("the program is not whole")
	}
	return nil
}

// The matrix can fail: with a link that is not made in one step, or a program
// that is not flushed before it gets its name, it finds the moment.
func TestMatrixFindsFaults(t *testing.T) {
	for name, fault := range map[string]func(change, path string){
		"link removed first": func(change, path string) {
			if change == "link" {
				_ = os.Remove(strings.TrimSuffix(path, ".new"))
			}
		},
		"program written in place": func(change, path string) {
			if change == "write" && filepath.Base(path) == stateFile+".new" {
				target := filepath.Join(filepath.Dir(path), "current", Program)
				b, _ := os.ReadFile(target)
				_ = os.Chmod(target, 0o755)
				_ = os.WriteFile(target, b[:len(b)/2], 0o755)
			}
		},
	} {
		found := false
		for n := 1; !found && n < 60; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.box.t = nil // it would complain as well
				k := &knife{n: n}
				func() {
					defer func() { _ = recover() }()
					u := w.updater()
					u.disk.before = func(change, path string) {
						fault(change, path)
						k.before(change, path)
					}
					_, _ = u.Install(context.Background(), bytes.NewReader(w.bundle(v2, "good")))
				}()
				found = complete(w) != nil
			})
		}
		if !found {
			t.Errorf("%s: the matrix does not find it", name)
		}
	}
}
