package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aead.dev/minisign"
)

// A program of these tests is a script that says its version, and in a comment
// how it behaves as a gateway: "good", "mute" (does not answer), "blind" (loses
// its terminal), "liar" (answers as another version).
func program(v Version, behaves string) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\necho '{\"version\":\"%s\"}'\n# %s\n%s\n", v, behaves, strings.Repeat("#", 4096))
}

var saysVersion = regexp.MustCompile(`"version":"([^"]*)"}'\n# ([a-z-]+)\n`)

// known reads such a program; one that is not whole has no version.
func known(b []byte) (v Version, behaves string) {
	m := saysVersion.FindSubmatch(b)
	if m == nil || !bytes.Equal(b, program(Version(m[1]), string(m[2]))) {
		return "", ""
	}
	return Version(m[1]), string(m[2])
}

// world is a box: folders on a real disk, keys, and a gateway of which only the
// behaviour is played.
type world struct {
	t     *testing.T
	dir   string
	keys  string
	key   minisign.PrivateKey
	box   *gateway
	image *slots // nil: the box has one system

	starting bool // the box has begun to start, and its gateway is still to be started
}

const (
	v1 = Version("v1.0.0") // the packaged one
	v2 = Version("v1.1.0")
	v3 = Version("v1.2.0")
)

// gateway plays the service. It reads the program that "current" leads to when
// it is started, as systemd would.
type gateway struct {
	t       *testing.T
	dir     string
	running string // what it behaves like; "": it does not run
	version Version
	held    bool
	open    atomic.Int32 // payments that are open or in doubt
	behind  int          // the same, known to the journal alone
	starts  int
	started time.Time
	reboot  bool // was asked for
}

func (g *gateway) Hold(context.Context) error {
	if g.open.Load() > 0 {
		return fmt.Errorf("hold: %w", ErrBusy)
	}
	g.held = g.running != ""
	return nil
}

func (g *gateway) Release(context.Context) error { g.held = false; return nil }

func (g *gateway) Stop(context.Context) error {
	if g.open.Load() > 0 {
		g.t.Errorf("the gateway was stopped while %d payments were open", g.open.Load())
	}
	g.running, g.held = "", false
	return nil
}

func (g *gateway) Start(context.Context) error {
	g.starts++
	g.started = time.Now()
	b, err := os.ReadFile(filepath.Join(g.dir, "current", Program))
	if err != nil {
		g.t.Errorf("there is no program to start: %v", err)
		return err
	}
	if g.version, g.running = known(b); g.version == "" {
		g.t.Errorf("a program was started that nobody has signed, of %d bytes", len(b))
		return errors.New("garbage")
	}
	// What the real one does: a version on trial takes no payment.
	s, err := ReadState(g.dir)
	g.held = err != nil || s.OnTrial()
	return nil
}

func (g *gateway) Reboot(context.Context) error { g.reboot = true; return nil }

func (g *gateway) Settled(_ context.Context, p string) error {
	if g.running != "" {
		g.t.Error("the journal was read while the gateway ran")
	}
	if _, err := os.Stat(p); err != nil {
		return err
	}
	if int(g.open.Load())+g.behind > 0 {
		return fmt.Errorf("journal: %w", ErrBusy)
	}
	return nil
}

func (g *gateway) Health(context.Context) (Health, error) {
	h := Health{Version: g.version, Terminals: map[string]bool{"front": true}, Destinations: map[string]bool{"local": true, "uplink": false}}
	switch g.running {
	case "", "mute":
		return h, errors.New("nobody answers")
	case "blind":
		h.Terminals["front"] = false
	case "liar":
		h.Version = v1
	case "deaf":
		h.Destinations["local"] = false
	case "forgetful":
		h.Terminals, h.Destinations = nil, nil
	case "flaps": // well for as long as it takes, but never without a break
		h.Terminals["front"] = time.Since(g.started)%(9*time.Second) > 2*time.Second
	case "late", "too-late": // a terminal that was there at first is back after 4 or 6 minutes
		h.Terminals["front"] = time.Since(g.started) > map[string]time.Duration{"late": 4 * time.Minute, "too-late": 6 * time.Minute}[g.running]
	case "better":
		h.Terminals["new"], h.Destinations["uplink"] = true, true
	}
	return h, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := folder(t)
	w := &world{t: t, dir: filepath.Join(dir, "firmware"), keys: filepath.Join(dir, "keys")}
	packaged := filepath.Join(dir, "packaged")
	for _, d := range []string{w.dir, w.keys, packaged} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.put(filepath.Join(packaged, Program), program(v1, "good"), 0o755)
	if err := os.Symlink(packaged, filepath.Join(w.dir, "current")); err != nil {
		t.Fatal(err)
	}
	w.key = w.trust("vendor")
	w.box = &gateway{t: t, dir: w.dir}
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.box.held = false // it has run for a while
	return w
}

// folder is one in memory, if there is such a place: a thousand boxes are made
// here, and each flushes its disk some thirty times.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tillgate-firmware-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	probe := filepath.Join(dir, "probe")
	if err := os.WriteFile(probe, []byte("#!/bin/sh\n"), 0o755); err != nil || exec.Command(probe).Run() != nil {
		return t.TempDir()
	}
	return dir
}

func (w *world) put(path string, b []byte, mode fs.FileMode) {
	w.t.Helper()
	if err := os.WriteFile(path, b, mode); err != nil {
		w.t.Fatal(err)
	}
}

// trust makes a key that the owner of the box trusts.
func (w *world) trust(name string) minisign.PrivateKey {
	w.t.Helper()
	pub, key := newKey(w.t)
	w.put(filepath.Join(w.keys, name+".pub"), []byte(pub), 0o644)
	return key
}

func newKey(t *testing.T) (public string, key minisign.PrivateKey) {
	t.Helper()
	pub, key, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pub.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return string(text), key
}

func (w *world) packaged() string { return filepath.Join(filepath.Dir(w.dir), "packaged") }

// updater is a new process: it remembers nothing.
func (w *world) updater() *Updater {
	u := &Updater{
		Dir: w.dir, Keys: w.keys, Machine: "arm64", Box: w.box, Log: slog.New(slog.DiscardHandler),
		Packaged: Place{Version: v1, Target: w.packaged(), Journal: 1},
	}
	if w.image != nil { // the program of the system that runs
		u.Image = w.image
		u.Packaged.Version, _ = known(w.image.systems[w.image.booted])
	}
	return u
}

// bundle signs a program.
func (w *world) bundle(v Version, behaves string, edit ...func(*Manifest)) []byte {
	w.t.Helper()
	return w.signed(w.key, v, behaves, edit...)
}

func (w *world) signed(key minisign.PrivateKey, v Version, behaves string, edit ...func(*Manifest)) []byte {
	w.t.Helper()
	file := filepath.Join(filepath.Dir(w.dir), "program")
	w.put(file, program(v, strings.TrimPrefix(behaves, "system-")), 0o755)
	m := Manifest{Version: v, Machine: "arm64", Method: MethodBinary, Journal: 1}
	if strings.HasPrefix(behaves, "system-") {
		m.Method = MethodRAUC
	}
	for _, e := range edit {
		e(&m)
	}
	var b bytes.Buffer
	if err := Make(&b, m, file, key); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) install(b []byte) (Result, error) {
	return w.updater().Install(context.Background(), bytes.NewReader(b))
}

// runs checks which version runs, that it sells, and that nothing is going on.
func (w *world) runs(v Version) {
	w.t.Helper()
	s, err := ReadState(w.dir)
	if err != nil || s.Phase != PhaseNone {
		w.t.Errorf("the updater is %q (%v)", s.Phase, err)
	}
	if w.box.running == "" || w.box.version != v || w.box.held {
		w.t.Errorf("%s runs (%q, held: %v), want %s", w.box.version, w.box.running, w.box.held, v)
	}
	if s.Confirmed.Version != v && (s.Confirmed.Version != "" || v != v1) {
		w.t.Errorf("%s is confirmed, %s runs", s.Confirmed.Version, v)
	}
}

// apply is what systemd starts again when the updater was cut off.
func (w *world) apply() Result {
	w.t.Helper()
	r, err := w.updater().Apply(context.Background())
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return r
}
