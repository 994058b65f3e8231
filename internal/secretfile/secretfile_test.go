package secretfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, content    string
		mode             os.FileMode
		line             string
		secret, readable string // in the error; "" is none
	}{
		{"group", "hunter2\r\n", 0o640, "hunter2", "", ""},
		{"blanks", " hunter2 ", 0o400, " hunter2 ", "", ""},
		{"largest", strings.Repeat("h", Max-1) + "\n", 0o600, strings.Repeat("h", Max-1), "", ""},
		{"large", strings.Repeat("h", Max) + "\n", 0o600, "", "larger than 4096 bytes", ""},
		{"world", "hunter2", 0o644, "", "can be read by others (mode 0644); run: chmod 0640 " + dir, ""},
		{"writers", "hunter2", 0o660, "", "run: chmod 0640 ", ""},
		{"empty", "\n", 0o600, "", "is empty", ""},
		{"lines", "hunter2\nhunter2\n", 0o600, "", "more than one line", ""},
		{"zero", "hunter2\x00", 0o600, "", "more than one line", ""},
		{"folder", "", os.ModeDir | 0o700, "", "is not a file", "is not a file"},
		{"pipe", "", os.ModeNamedPipe | 0o600, "", "is not a file", "is not a file"},
		{"missing", "", 0, "", "there is no such file", "there is no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, c.name)
			var err error
			switch {
			case c.mode.IsDir():
				err = os.Mkdir(file, c.mode.Perm())
			case c.mode&os.ModeNamedPipe != 0:
				err = syscall.Mkfifo(file, uint32(c.mode.Perm()))
			case c.mode != 0:
				if err = os.WriteFile(file, []byte(c.content), 0o600); err == nil {
					err = os.Chmod(file, c.mode)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			line, err := Read(file)
			if line != c.line || !says(err, c.secret) {
				t.Errorf("got %q, %v, want %q, %q", line, err, c.line, c.secret)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
			if err := Check(file, false); !says(err, c.readable) {
				t.Errorf("got %v, want %q", err, c.readable)
			}
		})
	}
}

func says(err error, want string) bool {
	return (err == nil) == (want == "") && (err == nil || strings.Contains(err.Error(), want))
}
