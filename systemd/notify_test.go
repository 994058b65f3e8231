package systemd

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listen is systemd's end: a datagram socket, named in the environment.
func listen(t *testing.T) *net.UnixConn {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return c
}

// next is the next message; "" if none comes within d.
func next(t *testing.T, c *net.UnixConn, d time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			return ""
		}
		t.Fatal(err)
	}
	return string(b[:n])
}

const patience = 30 * time.Second // for what must come

func TestMessages(t *testing.T) {
	c := listen(t)
	for _, tt := range []struct {
		send func()
		want string
	}{
		{Ready, "READY=1"},
		{Stopping, "STOPPING=1"},
		{func() { Status("2 of 2 terminals\ncan sell") }, "STATUS=2 of 2 terminals can sell"},
		{func() { Status(strings.Repeat("ü", 150)) }, "STATUS=" + strings.Repeat("ü", 100)},
		{func() { Status("x" + strings.Repeat("ü", 150)) }, "STATUS=x" + strings.Repeat("ü", 99)},
	} {
		tt.send()
		if got := next(t, c, patience); got != tt.want {
			t.Errorf("systemd hears %q, want %q", got, tt.want)
		}
	}
}

// Nobody hears anything without a socket, and nothing breaks.
func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	Ready()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	Status("nobody hears this")
}

func TestInterval(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"30000000", "", 30 * time.Second},
		{"30000000", strconv.Itoa(os.Getpid()), 30 * time.Second},
		{"30000000", "1", 0}, // it waits for another process
		{"soon", "", 0},
		{"-5", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if tt.pid == "" {
			os.Unsetenv("WATCHDOG_PID")
		}
		if got := Interval(); got != tt.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}

// The watchdog is fed as long as nobody is stuck, hears nothing while somebody
// is, and is fed again when the work goes on.
func TestWatch(t *testing.T) {
	c := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var stuck atomic.Bool
	asked := make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, 3*time.Millisecond, func() []string {
			select {
			case asked <- struct{}{}:
			case <-ctx.Done():
			}
			if stuck.Load() {
				return []string{"front"}
			}
			return nil
		}, slog.New(slog.DiscardHandler))
	}()
	for range 3 {
		<-asked
		if got := next(t, c, patience); got != "WATCHDOG=1" {
			t.Fatalf("systemd hears %q, want WATCHDOG=1", got)
		}
	}
	stuck.Store(true)
	<-asked // after this question at the latest it is known
	for range 5 {
		<-asked
	}
	for next(t, c, time.Millisecond) != "" { // what was said before
	}
	for range 5 {
		<-asked
	}
	if got := next(t, c, time.Millisecond); got != "" {
		t.Errorf("systemd hears %q while a lane is stuck", got)
	}
	stuck.Store(false)
	go func() {
		for range asked {
		}
	}()
	if got := next(t, c, patience); got != "WATCHDOG=1" {
		t.Errorf("systemd hears %q when the work goes on, want WATCHDOG=1", got)
	}
	cancel()
	<-ended
	close(asked)
}

// A gateway that does not answer is not well.
func TestWatchWithoutAnswer(t *testing.T) {
	c := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended, release := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, 3*time.Millisecond, func() []string { <-release; return nil }, slog.New(slog.DiscardHandler))
	}()
	if got := next(t, c, 50*time.Millisecond); got != "" {
		t.Errorf("systemd hears %q though nobody answers", got)
	}
	cancel()
	close(release)
	<-ended
}

func TestNotWatched(t *testing.T) {
	Watch(t.Context(), 0, func() []string { t.Error("asked, though systemd waits for nothing"); return nil }, slog.New(slog.DiscardHandler))
}
