package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tillgate/firmware"
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
