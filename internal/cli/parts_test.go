package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link"
)

// echo is a terminal that says what it hears, on every cable it gets.
type echo struct{}

func (echo) Serve(ctx context.Context, c link.Conn) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, err := io.Copy(c, c)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
func (echo) Ledger() []link.Entry { return nil }
func (echo) Close() error         { return nil }

// TestPTYCableIsReplugged opens the port as serialio does, closes it, and finds
// another device under the same name.
func TestPTYCableIsReplugged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "terminal")
	ctx, cancel := context.WithCancel(t.Context())
	plugged := make(chan string, 8)
	ended := make(chan error, 1)
	go func() {
		ended <- ptyCable(ctx, name, echo{}, slog.New(slog.DiscardHandler), func(d string) { plugged <- d })
	}()
	for range 3 {
		device := <-plugged
		if target, err := os.Readlink(name); err != nil || target != device {
			t.Fatalf("%s leads to %s, %v, want %s", name, target, err, device)
		}
		a, err := link.ParseAddress("serial://" + name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("read %q, %v", b, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	<-plugged
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is left behind: %v", err)
	}
}

func TestPTYCableLeavesFilesAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ptyCable(t.Context(), name, echo{}, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), "is no link") {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(name); string(b) != "mine" {
		t.Errorf("the file is %q", b)
	}
}

func TestPipeDialKeepsWhatConnPromises(t *testing.T) {
	c, err := pipeDial(t.Context(), echo{}, slog.New(slog.DiscardHandler))(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read after the deadline gives %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write after Close gives %v, want os.ErrClosed", err)
	}
}

func TestMadePassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kiosk.password")
	first, err := madePassword(file)
	if err != nil || len(first) < 20 {
		t.Fatalf("password has %d characters, %v", len(first), err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v, want 0600", info.Mode(), err)
	}
	if second, err := madePassword(file); err != nil || second != first {
		t.Errorf("the second start has another password: %v", err)
	}
}

func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	broken := errors.New("broke off")
	if _, err := writeWhole(name, func(w io.Writer) (int64, error) { _, _ = io.WriteString(w, "half"); return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if !missing(name) {
		t.Error("half a file has the name of a whole one")
	}
	if _, err := writeWhole(name, func(w io.Writer) (int64, error) { n, err := io.WriteString(w, "all"); return int64(n), err }); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestClockOf(t *testing.T) {
	if m := clockOf("synced")(); m.Clock != payment.ClockSynced || time.Since(m.Time) > time.Minute {
		t.Errorf("got %+v", m)
	}
	if m := clockOf("unsynced")(); m.Clock != payment.ClockUnsynced {
		t.Errorf("got %+v", m)
	}
	want := payment.ClockUnsynced
	if synchronised() {
		want = payment.ClockSynced
	}
	if m := clockOf("auto")(); m.Clock != want {
		t.Errorf("got %s, the kernel says %s", m.Clock, want)
	}
}

func TestTLSOf(t *testing.T) {
	if c, err := tlsOf(config.TLS{}); c != nil || err != nil {
		t.Errorf("nothing configured gives %v, %v, want the system's own", c, err)
	}
	none := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tlsOf(config.TLS{CA: none}); err == nil || !strings.Contains(err.Error(), "has no certificate in PEM") {
		t.Errorf("got %v", err)
	}
}
