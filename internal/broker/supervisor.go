package broker

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
