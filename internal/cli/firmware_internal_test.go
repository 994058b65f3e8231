package cli

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aead.dev/minisign"

	"tillgate/firmware"
	"tillgate/internal/payment"
)

// A request is the gateway's, whom root does not believe: it is taken once, and
// leads to nothing but a file in its own folder.
func TestTakeRequest(t *testing.T) {
	link := func(to string) func(string) error { return func(at string) error { return os.Symlink(to, at) } }
	file := func(text string) func(string) error {
		return func(at string) error { return os.WriteFile(at, []byte(text), 0o600) }
	}
	pipe := func(at string) error { return syscall.Mkfifo(at, 0o600) }
	folder := func(at string) error { return os.Mkdir(at, 0o700) }
	for name, tt := range map[string]struct {
		request, bundle func(at string) error
		want            string // of the error; "": the bundle is opened
	}{
		"good":                  {file("b.bundle\n"), file("bundle"), ""},
		"a pipe for a bundle":   {file("b.bundle"), pipe, "no plain file"},
		"a link for a bundle":   {file("b.bundle"), link("/etc/passwd"), "no bundle there"},
		"a folder for a bundle": {file("b.bundle"), folder, "no plain file"},
		"out of the folder":     {file("../other"), file("bundle"), "no bundle there"},
		"no name":               {file(""), file("bundle"), "no bundle there"},
		"far too long":          {file("b.bundle" + strings.Repeat(" ", 300) + "x"), file("bundle"), ""},
		"a pipe for a request":  {pipe, file("bundle"), "no plain file"},
		"a link for a request":  {link("/etc/passwd"), file("bundle"), "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "inbox")
			err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "..", "other"), nil, 0o600),
				tt.request(filepath.Join(dir, firmware.RequestFile)), tt.bundle(filepath.Join(dir, "b.bundle")))
			if err != nil {
				t.Fatal(err)
			}
			f, err := takeRequest(dir)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if b, err := io.ReadAll(f); string(b) != "bundle" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if _, err := takeRequest(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the same request again: %v", err)
			}
		})
	}
}

// An address that is announced twice is fetched once, another one waits for its
// turn, and what is accepted is remembered.
func TestAnnouncedTwice(t *testing.T) {
	dir := t.TempDir()
	u := newUpdates(filepath.Join(dir, "fw"), filepath.Join(dir, "keys"), filepath.Join(dir, "data"), "v1.0.0", slog.New(slog.DiscardHandler))
	const one, two = "https://updates.example.com/1", "https://updates.example.com/2"
	if r := payment.ReasonOf(u.ask(t.Context(), one)); r != payment.ReasonUnsupported {
		t.Errorf("without a key: %s", r)
	}
	pub, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(u.dir, 0o755), os.MkdirAll(u.keys, 0o755), os.WriteFile(filepath.Join(u.keys, "a.pub"), []byte(pub.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]payment.Reason{"http://updates.example.com/1": payment.ReasonInvalid, "": payment.ReasonInvalid} {
		if r := payment.ReasonOf(u.ask(t.Context(), address)); r != want {
			t.Errorf("%q: %s, want %s", address, r, want)
		}
	}
	for range 2 {
		if err := u.ask(t.Context(), one); err != nil {
			t.Error(err)
		}
	}
	if r := payment.ReasonOf(u.ask(t.Context(), two)); r != payment.ReasonBusy {
		t.Errorf("another one meanwhile: %s", r)
	}
	if len(u.asked) != 1 {
		t.Errorf("it is fetched %d times", len(u.asked))
	}
	if b, err := os.ReadFile(u.announcement()); err != nil || !strings.Contains(string(b), one) {
		t.Errorf("after a restart there is %q, %v", b, err)
	}
}

// The alert is about the newest thing that went wrong, and lasts as long as that.
func TestTroubleOfUpdates(t *testing.T) {
	u := newUpdates("", "", "", "", slog.New(slog.DiscardHandler))
	failed, good := firmware.Result{Outcome: firmware.RolledBack, Version: "v2.0.0", Text: "mute"}, firmware.Result{Outcome: firmware.Confirmed}
	if text := u.trouble(good) + u.trouble(firmware.Result{}); text != "" {
		t.Errorf("trouble without any: %s", text)
	}
	if text := u.trouble(failed); !strings.Contains(text, "v2.0.0 did not prove itself") {
		t.Errorf("taken back: %s", text)
	}
	u.unfetched = errors.New("no such host")
	for _, last := range []firmware.Result{good, failed, {}} {
		if text := u.trouble(last); !strings.Contains(text, "could not be fetched: no such host") {
			t.Errorf("not fetched after %s: %s", last.Outcome, text)
		}
	}
}
