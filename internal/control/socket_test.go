package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillgate/internal/control"
)

func TestSocketMode(t *testing.T) {
	c := start(t, newBox())
	info, err := os.Stat(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o660 {
		t.Errorf("mode is %04o, want 0660", got)
	}
}

func TestSocketOfACrashIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close() // the file stays, as after kill -9
	if _, err := control.Dial(path); !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), "left from one that ended") {
		t.Errorf("dialling a stale socket gives %v", err)
	}
	s, err := control.Listen(control.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Error(err)
	}
}

func TestSocketInUseIsLeftAlone(t *testing.T) {
	b := newBox()
	c := start(t, b)
	if _, err := control.Listen(control.Options{Path: c.Path()}); err == nil || !strings.Contains(err.Error(), "another gateway answers") {
		t.Errorf("a second gateway on the same socket: %v", err)
	}
	if _, err := c.Status(within(t)); err != nil {
		t.Errorf("the first gateway does not answer any more: %v", err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen(control.Options{Path: path}); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

func TestDialTellsWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.sock")
	_, err := control.Dial(path)
	if !errors.Is(err, control.ErrNotRunning) {
		t.Fatalf("got %v, want ErrNotRunning", err)
	}
	for _, want := range []string{path, "tillgate run", "tillgate demo"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestPeerIsKnownOnUnixSocketsOnly(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if uid, err := control.PeerOf(a); err == nil {
		t.Errorf("a pipe has the peer uid %d", uid)
	}
}
