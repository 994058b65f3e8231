package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
	"tillgate/link/linktest"
)

// kills is how many payments the real binary is killed in. KILLS changes it
// (make crash takes 1000).
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("KILLS"))
	if os.Getenv("KILLS") != "" && err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		n = 25
	}
	return n
}

// TestKilled kills the real binary with -9 at random moments of payments
// through a pty and a real broker, starts it again, and compares what a
// controller heard with the bank's ledger. The terminal and the broker live on.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real binary many times; run without -short")
	}
	mosquitto, err := exec.LookPath("mosquitto")
	if err != nil {
		if mosquitto = "/usr/sbin/mosquitto"; !exists(mosquitto) {
			t.Skip("mosquitto is not installed: apt-get install mosquitto")
		}
	}
	k := newKiosk(t, mosquitto)
	ctl := newController(t, k.broker, k.box)
	k.start()
	ctl.pay(k, "warmup", 1000)

	n, seed := kills(t), uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", n, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for i := range n {
		id := payment.ID(fmt.Sprintf("K%04d", i))
		ctl.send(id, 1000+int64(i))
		time.Sleep(time.Duration(random.IntN(160)) * time.Millisecond)
		if !ctl.over(id) {
			killed++
		}
		k.kill()
		k.start()
		ctl.pay(k, id, 1000+int64(i))
		ctl.sent = i + 1
	}
	t.Logf("%d of %d were killed before their final event was heard", killed, n)
	ctl.audit(t, k.sim.Ledger(), n)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// kiosk is the machine: a broker, a terminal on a pty, and the binary.
type kiosk struct {
	t      *testing.T
	box    string
	binary string
	config string
	broker string
	sim    link.Simulator
	cmd    *exec.Cmd
	log    *os.File
}

func newKiosk(t *testing.T, mosquitto string) *kiosk {
	dir := t.TempDir()
	k := &kiosk{t: t, box: "kiosk-1", binary: filepath.Join(dir, "tillgate"), config: filepath.Join(dir, "tillgate.yaml")}
	build := exec.Command("go", "build", "-o", k.binary, "tillgate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	k.broker = startMosquitto(t, mosquitto, dir)
	port := k.terminal()
	yaml := fmt.Sprintf(`box: %s
data: %s
runtime: %s
socket: %s
log: {level: debug}
allow_simulation: true
mqtt:
  destinations:
    - {name: local, url: "tcp://%s", commands: true}
terminals:
  - name: front
    driver: ecrvn
    address: %s
    currency: VND
    max_amount: "5000000"
    longest: 1s
    timeout: 1s
    profile: {silent_when_busy: true, query_timeout: 1s}
`, k.box, filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "run", "s"), k.broker, port)
	if err := os.WriteFile(k.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	k.log = log
	t.Cleanup(func() {
		k.kill()
		log.Close()
		if t.Failed() {
			if b, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("log of the gateway, its end:\n%s", b[max(0, len(b)-20_000):])
			}
		}
	})
	return k
}

// terminal puts the simulated terminal on a pty whose two ends it holds open,
// as a cable that stays plugged in.
func (k *kiosk) terminal() string {
	sim, err := ecrvn.Driver().Simulate(link.SimulatorConfig{Pace: 15 * time.Millisecond})
	if err != nil {
		k.t.Fatal(err)
	}
	k.sim = sim
	master, port := linktest.NewPTY(k.t)
	slave, err := os.OpenFile(port, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); _ = sim.Serve(ctx, master) }()
	k.t.Cleanup(func() {
		cancel()
		sim.Close()
		master.Close()
		slave.Close()
		<-served
	})
	return port
}

func (k *kiosk) start() {
	k.t.Helper()
	k.cmd = exec.Command(k.binary, "run", k.config)
	k.cmd.Stdout, k.cmd.Stderr = k.log, k.log
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kiosk) kill() {
	if k.cmd == nil {
		return
	}
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
	k.cmd = nil
}

// tell logs what the journal and the bank know, for a payment that is stuck.
func (k *kiosk) tell(id payment.ID) {
	ledger := k.sim.Ledger()
	for _, e := range ledger[max(0, len(ledger)-4):] {
		k.t.Logf("bank: %+v", e)
	}
	for _, ask := range [][]string{{"journal", "show", "--json", string(id)}, {"status", "--json"}} {
		out, err := exec.Command(k.binary, append([]string{"--config", k.config}, ask...)...).CombinedOutput()
		k.t.Logf("%s: %v\n%s", ask[0], err, out)
	}
	stacks := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(g, "ecrvn") {
			k.t.Logf("the terminal's own goroutine:\n%s", g)
		}
	}
	_ = k.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
	_ = k.cmd.Wait()
	k.cmd = nil
}

func startMosquitto(t *testing.T, binary, dir string) (address string) {
	address = freePort(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return address
}

// audit compares what the controller heard with what the bank did.
func (c *controller) audit(t *testing.T, ledger []link.Entry, n int) {
	t.Helper()
	charges := map[string]int{}
	for _, e := range ledger {
		if e.Charged && !e.Reversed {
			charges[e.Order]++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost, doubled, phantom := 0, 0, 0
	for i := range n {
		id := payment.ID(fmt.Sprintf("K%04d", i))
		finals := c.finals[id]
		if len(finals) != 1 {
			t.Errorf("%s has %d different final events, want 1", id, len(finals))
			continue
		}
		var rec payment.Record
		for _, data := range finals {
			if err := json.Unmarshal(data, &rec); err != nil {
				t.Fatal(err)
			}
		}
		charged, paid := charges[string(id)], rec.Outcome.Result == payment.Approved
		switch {
		case charged > 1:
			doubled++
			t.Errorf("%s: charged %d times", id, charged)
		case charged == 1 && !paid:
			lost++
			t.Errorf("%s: charged, and said to be %s", id, rec.Outcome.Result)
		case charged == 0 && paid:
			phantom++
			t.Errorf("%s: said to be paid, and not charged", id)
		}
	}
	if gap := c.gap(); gap != "" {
		t.Error(gap)
	}
	t.Logf("%d payments: %d lost, %d doubled, %d phantom", n, lost, doubled, phantom)
}
