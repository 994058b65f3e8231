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
	"sync"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/mosquitto"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

// kills is in how many payments of the first driver the real binary is killed.
// KILLS changes it (make crash takes 1000).
func kills(t *testing.T) int {
	text := os.Getenv("KILLS")
	if text == "" {
		return 25
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("KILLS=%s is no number from 1 on", text)
	}
	return n
}

// TestKilled kills the real binary with -9 at random moments of payments
// through a real line and a real broker, starts it again, and compares what a
// controller heard with the bank's ledger. The terminal and the broker live on.
// With every other driver it is killed a sixth as often.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real binary many times; run without -short")
	}
	binary := filepath.Join(t.TempDir(), "tillgate")
	if out, err := exec.Command("go", "build", "-o", binary, "tillgate").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for i, on := range subjects() {
		if on.profile == "" {
			continue
		}
		n := kills(t)
		if i > 0 {
			n = max(n/6, 1)
		}
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			killAndCompare(t, newKiosk(t, on, binary), n)
		})
	}
}

func killAndCompare(t *testing.T, k *kiosk, n int) {
	ctl := newController(t, k.broker, k.box, k.on.currency)
	k.start()
	ctl.pay(k, "warmup", 1000)

	seed := uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", n, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for i := range n {
		id := killedIn(i)
		ctl.send(id, priceOf(i))
		time.Sleep(time.Duration(random.IntN(160)) * time.Millisecond)
		if !ctl.over(id) {
			killed++
		}
		k.kill()
		k.start()
		ctl.pay(k, id, priceOf(i))
		ctl.sent = i + 1
	}
	t.Logf("%d of %d were killed before their final event was heard", killed, n)
	ctl.audit(t, k.sim.Ledger(), n)
}

// killedIn is the i-th payment in which the binary is killed.
func killedIn(i int) payment.ID { return payment.ID(fmt.Sprintf("K%04d", i)) }

// priceOf is its amount, and no other's: not every terminal keeps an id of ours.
func priceOf(i int) int64 { return 1001 + int64(i) }

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// kiosk is the machine: a broker, a terminal on a pty, and the binary.
type kiosk struct {
	t      *testing.T
	on     subject
	box    string
	binary string
	config string
	broker string
	sim    link.Simulator
	cmd    *exec.Cmd
	log    *os.File
}

func newKiosk(t *testing.T, on subject, binary string) *kiosk {
	dir := t.TempDir()
	k := &kiosk{t: t, on: on, box: "kiosk-1", binary: binary, config: filepath.Join(dir, "tillgate.yaml")}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(k.on.key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.broker = mosquitto.Start(t).Address
	address := k.terminal()
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
    driver: %s
    address: %s
    currency: %s
    max_amount: "50000"
    longest: 1s
    timeout: 1s
    profile: %s
`, k.box, filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "run", "s"), k.broker, on.driver.Name, address, on.currency, strings.ReplaceAll(on.profile, "$KEY", key))
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

// terminal simulates one that lives on, and returns its address.
func (k *kiosk) terminal() (address string) {
	c := link.SimulatorConfig{Pace: 15 * time.Millisecond}
	if k.on.key != "" {
		c.Script = []string{"approve+key:" + k.on.key}
	}
	sim, err := k.on.driver.Simulate(c)
	if err != nil {
		k.t.Fatal(err)
	}
	k.sim = sim
	ctx, cancel := context.WithCancel(context.Background())
	k.t.Cleanup(func() { cancel(); sim.Close() })
	if strings.HasPrefix(k.on.address, "tcp://") {
		return k.network(ctx)
	}
	return k.cable(ctx)
}

// cable is a pty whose two ends it holds open, as a cable that stays plugged in.
func (k *kiosk) cable(ctx context.Context) (address string) {
	master, port := linktest.NewPTY(k.t)
	slave, err := os.OpenFile(port, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = k.sim.Serve(ctx, master) }()
	k.t.Cleanup(func() {
		master.Close()
		slave.Close()
		<-served
	})
	return port
}

// network is a port of this machine on which the terminal takes connections.
func (k *kiosk) network(ctx context.Context) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { c.Close() })
			serving.Go(func() { defer stop(); defer c.Close(); _ = k.sim.Serve(ctx, c) })
		}
	})
	k.t.Cleanup(func() { l.Close(); serving.Wait() })
	return "tcp://" + l.Addr().String()
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
		if strings.Contains(g, "tillgate/link/"+k.on.driver.Name) {
			k.t.Logf("a goroutine of the terminal:\n%s", g)
		}
	}
	_ = k.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
	_ = k.cmd.Wait()
	k.cmd = nil
}

// audit compares what the controller heard with what the bank did.
func (c *controller) audit(t *testing.T, ledger []link.Entry, n int) {
	t.Helper()
	charges := map[int64]int{}
	for _, e := range ledger {
		if e.Charged && !e.Reversed {
			charges[e.Amount.Minor]++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost, doubled, phantom := 0, 0, 0
	for i := range n {
		id := killedIn(i)
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
		charged, paid := charges[priceOf(i)], rec.Outcome.Result == payment.Approved
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
