package cli_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The real program tells a real notify socket that it is ready, how it stands,
// that its lanes work, and that it ends.
func TestNotifiesSystemd(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "box.yaml")
	text := "box: notify\ndata: " + dir + "/data\nruntime: " + dir + "/run\nmqtt: {destinations: [{name: nobody, url: \"mqtt://127.0.0.1:1\"}]}\n" +
		"terminals:\n  - {name: front, driver: ecrvn, address: \"sim://ecrvn\", currency: VND, max_amount: 5000000}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	cmd := exec.Command("tillgate", "run", conf)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=300000")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()

	heard := map[string]int{}
	hear := func(want string, times int) {
		t.Helper()
		b := make([]byte, 4096)
		deadline := time.Now().Add(60 * time.Second)
		for heard[want] < times {
			if err := c.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(b)
			if err != nil {
				_ = cmd.Process.Kill()
				<-ended
				t.Fatalf("waiting for %q, heard %v: %v\n%s", want, heard, err, log.String())
			}
			heard[string(b[:n])]++
		}
	}
	hear("READY=1", 1)
	hear("STATUS=1 of 1 terminals can sell", 1)
	before := heard["WATCHDOG=1"]
	hear("WATCHDOG=1", before+5)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1", 1)
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, log.String())
	}
	if heard["READY=1"] != 1 {
		t.Errorf("it was ready %d times", heard["READY=1"])
	}
}
