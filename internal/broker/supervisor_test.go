package broker

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/loopback"
)

// childEnv makes the test binary a broker child.
const childEnv = "TILLGATE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "broker":
		os.Exit(Main(os.Stdin, os.Stdout, os.Stderr))
	case "parent":
		os.Exit(parentMain())
	case "deaf":
		os.Exit(deafMain())
	}
	os.Exit(m.Run())
}

// supervise runs a Supervisor for one test and returns it when it is ready.
func supervise(t *testing.T, s *Supervisor, kind string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Box, s.Command, s.Env = "kiosk-7", []string{exe}, []string{childEnv + "=" + kind}
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.Dir, "tillgate-broker-*")); len(left) > 0 {
			t.Errorf("store is still there: %v", left)
		}
	})
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if _, err := s.Wait(wait); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition with a deadline.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *Supervisor) sings(ctx context.Context) bool {
	return canary(ctx, strings.TrimPrefix(s.Addr(), "tcp://"), s.canary) == nil
}

func TestChildServes(t *testing.T) {
	s := &Supervisor{}
	supervise(t, s, "broker")
	if err := canary(t.Context(), strings.TrimPrefix(s.Addr(), "tcp://"), s.canary); err != nil {
		t.Fatal(err)
	}
	if err := canary(t.Context(), strings.TrimPrefix(s.Addr(), "tcp://"), "wrong"); err == nil {
		t.Error("a wrong password was accepted")
	}
	t.Logf("child resident: %s", resident(s.Health().PID))
}

// Clients that knock while the child is still making its streams do not end it:
// the server makes what they need, and the child gives it its limits.
func TestClientsDuringStart(t *testing.T) {
	for range 8 {
		free, err := loopback.Free()
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := net.SplitHostPort(free)
		port, _ := strconv.Atoi(text)
		s := &Supervisor{Port: port}
		s.init()
		knocking, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for knocking.Err() == nil {
					_ = canary(knocking, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), s.canary)
				}
			})
		}
		supervise(t, s, "broker")
		stop()
		clients.Wait()
		if n := s.Health().Restarts; n != 0 {
			t.Errorf("the child ended %d times", n)
		}
	}
}

func resident(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "VmRSS:") {
			return strings.TrimSpace(strings.TrimPrefix(line, "VmRSS:"))
		}
	}
	return "unknown"
}

func TestChildKilledComesBackOnTheSamePort(t *testing.T) {
	s := &Supervisor{}
	supervise(t, s, "broker")
	addr := s.Addr()
	for n := 1; n <= 3; n++ {
		pid := s.Health().PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, "restart", func() bool { return s.Health().Restarts >= n && s.sings(t.Context()) })
	}
	if s.Addr() != addr {
		t.Errorf("address is %s, was %s", s.Addr(), addr)
	}
	if h := s.Health(); h.Wipes != 0 {
		t.Errorf("%d wipes, want none", h.Wipes)
	}
}

// A stopped child accepts connections in the kernel and answers nothing: only
// the canary finds that.
func TestCanaryEndsAndWipesAFrozenChild(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two canaries of 3 s")
	}
	s := &Supervisor{CanaryEvery: 50 * time.Millisecond}
	supervise(t, s, "broker")
	store, _ := filepath.Glob(filepath.Join(s.Dir, "tillgate-broker-*"))
	mark := filepath.Join(store[0], "jetstream", "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.Health().PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "wipe", func() bool { return s.Health().Wipes == 1 && s.sings(t.Context()) })
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Error("the store was not wiped")
	}
}

// deafMain is a child that says it is ready and serves nobody.
func deafMain() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	defer l.Close()
	fmt.Printf("{\"port\":%d}\n", l.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestDeafChildIsEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two canaries of 3 s")
	}
	s := &Supervisor{CanaryEvery: 50 * time.Millisecond}
	supervise(t, s, "deaf")
	until(t, "wipe", func() bool { return s.Health().Wipes >= 1 })
}

// parentMain supervises a broker, says its pid and waits to be killed.
func parentMain() int {
	exe, err := os.Executable()
	if err != nil {
		return 1
	}
	s := &Supervisor{Box: "kiosk-7", Command: []string{exe}, Env: []string{childEnv + "=broker"}, Dir: os.Getenv("TILLGATE_TEST_DIR")}
	go func() { _ = s.Run(context.Background()) }()
	if _, err := s.Wait(context.Background()); err != nil {
		return 1
	}
	fmt.Println(s.Health().PID)
	select {}
}

func TestChildDiesWithItsParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=parent", "TILLGATE_TEST_DIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	until(t, "end of the orphan", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(b), ") Z ")
	})
}

func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("one life", func(t *testing.T) {
		s := &Supervisor{}
		supervise(t, s, "broker")
	})
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}
