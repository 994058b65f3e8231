// Package mosquitto runs Debian's broker for tests: a real one, and not ours.
package mosquitto

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/internal/loopback"
)

// Broker is a running Mosquitto, which anybody may use. It ends with its test.
type Broker struct {
	Address string // host:port, on loopback

	t    testing.TB
	conf string
	mu   sync.Mutex
	cmd  *exec.Cmd
}

// Installed says whether there is one to start.
func Installed() bool { return program() != "" }

func program() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Start starts a broker with further lines in its configuration, and returns when
// it takes connections. Where none is installed the test is skipped.
func Start(t testing.TB, lines ...string) *Broker {
	t.Helper()
	if !Installed() {
		t.Skip("mosquitto is not installed: apt-get install mosquitto")
	}
	address, err := loopback.Free()
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{Address: address, t: t, conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	_, port, _ := net.SplitHostPort(b.Address)
	text := append([]string{"user root", "allow_anonymous true", "set_tcp_nodelay true", "max_queued_messages 20000", "listener " + port + " 127.0.0.1"}, lines...)
	if err := os.WriteFile(b.conf, []byte(strings.Join(text, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.mu.Lock(); defer b.mu.Unlock(); b.kill() })
	b.Restart()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if c, err := net.Dial("tcp", b.Address); err == nil {
			c.Close()
			return b
		} else if time.Now().After(deadline) {
			t.Fatal("mosquitto does not listen: ", err)
		}
	}
}

// Restart kills the broker with -9, if it runs, and starts it again without
// waiting for it.
func (b *Broker) Restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
	b.cmd = exec.Command(program(), "-c", b.conf)
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		b.t.Error("start mosquitto: ", err)
	}
}

func (b *Broker) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	}
}
