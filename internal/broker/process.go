package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startWithin is how long the server may take until it accepts clients.
const startWithin = 10 * time.Second

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
