package broker

import (
	"bufio"
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Supervisor keeps one broker child running. Fill in the fields, then Run.
type Supervisor struct {
	Box  string // required
	Host string // "" is 127.0.0.1
	Port int    // 0 takes a free one and keeps it over restarts

	// Users besides the gateway's own, usually one [KioskUser].
	Users []User

	// Dir is where the store's directory is made: memory, like
	// $RUNTIME_DIRECTORY. "" takes that, else /dev/shm, else the temporary
	// directory. The store itself is removed when Run ends.
	Dir string

	Command []string // of the child; nil is this binary with the argument "broker"
	Env     []string // added to the environment of the child
	Log     *slog.Logger

	CanaryEvery time.Duration // 0 is 5 s
	BackoffMax  time.Duration // longest pause between restarts; 0 is 10 s

	once, booted sync.Once
	boot         chan struct{} // closed at the first ready line

	mu       sync.Mutex
	port     int
	pid      int
	restarts int
	wipes    int
	password string
	canary   string // password of the canary's user
}

const (
	backoffMin   = 20 * time.Millisecond
	healthyAfter = 30 * time.Second // then the backoff starts again
	canaryMisses = 2                // in a row: the child is ended and its store wiped
)

func (s *Supervisor) init() {
	s.once.Do(func() {
		s.boot = make(chan struct{})
		s.password, s.canary = crand.Text(), crand.Text()
		s.port = s.Port
		if s.Log == nil {
			s.Log = slog.New(slog.DiscardHandler)
		}
		if s.CanaryEvery == 0 {
			s.CanaryEvery = 5 * time.Second
		}
		if s.BackoffMax == 0 {
			s.BackoffMax = 10 * time.Second
		}
	})
}

// Wait returns the broker's URL once clients can connect, or ctx's error.
func (s *Supervisor) Wait(ctx context.Context) (string, error) {
	s.init()
	select {
	case <-s.boot:
		return s.Addr(), nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for the broker: %w", ctx.Err())
	}
}

// Addr is the broker's URL, "tcp://127.0.0.1:1883", or "" before it is known.
// It stays the same over restarts.
func (s *Supervisor) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port == 0 {
		return ""
	}
	return "tcp://" + s.hostPort()
}

func (s *Supervisor) hostPort() string {
	host := s.Host
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(s.port))
}

// Gateway is the user the gateway connects as; the password is random and
// lives as long as the Supervisor.
func (s *Supervisor) Gateway() (user, password string) {
	s.init()
	return "gateway", s.password
}

// Health tells how the child fares.
type Health struct {
	PID      int `json:"pid"` // 0: not running
	Restarts int `json:"restarts"`
	Wipes    int `json:"wipes"` // restarts for a failed canary, with an empty store
}

func (s *Supervisor) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Health{s.pid, s.restarts, s.wipes}
}

var errCanary = errors.New("canary failed")

// Run starts the child and starts it again whenever it ends, until ctx does.
// It returns an error only for what no restart mends.
func (s *Supervisor) Run(ctx context.Context) error {
	s.init()
	if s.Box == "" {
		return errors.New("broker: box name is required")
	}
	command := s.Command
	if command == nil {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("broker: own binary: %w", err)
		}
		command = []string{exe, "broker"}
	}
	dir, err := s.makeStore()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	conf := s.config(dir)
	if err := conf.check(); err != nil {
		return err
	}
	// The death signal follows the thread that started the child, so this
	// goroutine keeps its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	for pause := backoffMin; ; {
		began := time.Now()
		conf.Port = s.currentPort()
		err := s.child(ctx, command, conf)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errCanary) {
			s.count(func() { s.wipes++ })
			if err := os.RemoveAll(filepath.Join(dir, "jetstream")); err != nil {
				return fmt.Errorf("broker: wipe the store: %w", err)
			}
		}
		if time.Since(began) >= healthyAfter {
			pause = backoffMin
		}
		s.count(func() { s.restarts++ })
		s.Log.Warn("embedded broker ended", "err", err, "retry_in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, s.BackoffMax)
	}
}

func (s *Supervisor) count(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *Supervisor) currentPort() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

func (s *Supervisor) config(dir string) Config {
	users := append([]User{GatewayUser(s.Box, s.password), canaryUser(s.canary)}, s.Users...)
	return Config{Host: s.Host, StoreDir: dir, Users: users}
}

func (s *Supervisor) makeStore() (string, error) {
	base := s.Dir
	if base == "" {
		base, _, _ = strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	}
	if base == "" {
		if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
			base = "/dev/shm"
		}
	}
	dir, err := os.MkdirTemp(base, "tillgate-broker-")
	if err != nil {
		return "", fmt.Errorf("broker: store in memory: %w", err)
	}
	return dir, nil
}

// child runs one child to its end. It ends it when ctx does or the canary dies.
func (s *Supervisor) child(ctx context.Context, command []string, conf Config) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.SysProcAttr = deathSignal()
	said := &tail{}
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start of the broker: %w", err)
	}
	s.count(func() { s.pid = cmd.Process.Pid })
	defer s.count(func() { s.pid = 0 })

	exited := make(chan struct{})
	watch, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.attend(watch, stdin, stdout, conf); err != nil {
			cancel(err)
		}
	})
	wg.Go(func() { // ends the child: politely, then not
		<-watch.Done()
		_ = stdin.Close()
		polite := time.Duration(0)
		if ctx.Err() != nil {
			polite = stopWithin
		}
		select {
		case <-exited:
		case <-time.After(polite):
			_ = cmd.Process.Kill()
		}
	})
	_ = cmd.Wait() // the state says it all
	close(exited)
	cancel(errEnded)
	wg.Wait()
	return fmt.Errorf("%w; %s: %s", context.Cause(watch), cmd.ProcessState, said)
}

var errEnded = errors.New("the child ended")

// stopWithin is how long the child may take to end when asked.
const stopWithin = 2 * time.Second

// attend configures the child, waits until it is ready, and then asks the
// canary.
func (s *Supervisor) attend(ctx context.Context, stdin io.Writer, stdout io.Reader, conf Config) error {
	if err := json.NewEncoder(stdin).Encode(conf); err != nil {
		return fmt.Errorf("configuration of the broker: %w", err)
	}
	lines := make(chan []byte, 1)
	go func() {
		b, _ := bufio.NewReader(io.LimitReader(stdout, 256)).ReadSlice('\n')
		lines <- bytes.Clone(b)
	}()
	var r ready
	select {
	case b := <-lines:
		if err := json.Unmarshal(b, &r); err != nil || r.Port <= 0 {
			return errors.New("the broker did not say where it listens")
		}
	case <-time.After(startWithin):
		return fmt.Errorf("the broker was not ready within %v", startWithin)
	case <-ctx.Done():
		return nil
	}
	s.mu.Lock()
	s.port = r.Port
	s.mu.Unlock()
	s.booted.Do(func() { close(s.boot) })
	return s.askCanary(ctx)
}

func (s *Supervisor) askCanary(ctx context.Context) error {
	tick := time.NewTicker(s.CanaryEvery)
	defer tick.Stop()
	for misses := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := canary(ctx, strings.TrimPrefix(s.Addr(), "tcp://"), s.canary)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			misses = 0
		default:
			if misses++; misses >= canaryMisses {
				return fmt.Errorf("%w: %w", errCanary, err)
			}
		}
	}
}

// deathSignal ends the child with its parent, however that ends.
func deathSignal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// tail keeps the last bytes of what a child says on stderr.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
