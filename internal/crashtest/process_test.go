package crashtest

import (
	"context"
	"encoding/json"
	"errors"
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

	"tillgate/internal/control"
	"tillgate/internal/loopback"
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
// controller heard, and what the journal has, with the bank's ledger. The terminal
// and the broker live on. With every other driver it is killed a sixth as often;
// and so is one whose own broker dies with it, asked over the control socket.
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
			k := newKiosk(t, on, binary, mosquitto.Start(t).Address)
			ctl := newController(t, k.broker, k.box, on.currency)
			killAndCompare(t, k, ctl, n)
			ctl.audit(t, k.sim.Ledger(), n)
		})
	}
	t.Run("embedded broker", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t, onECRVN(), binary, "")
		killAndCompare(t, k, newClerk(k), max(kills(t)/6, 1))
	})
}

// customer is who asks for payments: a controller, or a clerk.
type customer interface {
	send(id payment.ID, minor int64)          // asks once, if a gateway can be heard
	over(id payment.ID) bool                  // it heard how the payment ended
	pay(k *kiosk, id payment.ID, minor int64) // asks with the same id until it is over
}

func killAndCompare(t *testing.T, k *kiosk, ctl customer, n int) {
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
	}
	t.Logf("%d of %d were killed before their final event was heard", killed, n)
	k.compare()
	if err := errors.Join(k.cmd.Process.Signal(os.Interrupt), k.cmd.Wait()); err != nil {
		t.Errorf("the gateway ends with %v", err)
	}
	k.cmd = nil
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
	socket string
	broker string // "": its own
	sim    link.Simulator
	cmd    *exec.Cmd
	log    *os.File
}

func newKiosk(t *testing.T, on subject, binary, broker string) *kiosk {
	dir := t.TempDir()
	k := &kiosk{t: t, on: on, box: "kiosk-1", binary: binary, config: filepath.Join(dir, "tillgate.yaml"), socket: filepath.Join(dir, "s"), broker: broker}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(k.on.key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mqtt := fmt.Sprintf("destinations: [{name: local, url: \"tcp://%s\", commands: true}]", broker)
	if broker == "" {
		free, err := loopback.Free()
		if err != nil {
			t.Fatal(err)
		}
		mqtt = fmt.Sprintf("broker: {address: %q}", free)
	}
	address := k.terminal()
	yaml := fmt.Sprintf(`box: %s
data: %s
runtime: %s
socket: %s
log: {level: debug}
allow_simulation: true
mqtt: {%s}
terminals:
  - name: front
    driver: %s
    address: %s
    currency: %s
    max_amount: "50000"
    longest: 1s
    timeout: 1s
    profile: %s
`, k.box, filepath.Join(dir, "data"), filepath.Join(dir, "run"), k.socket, mqtt, on.driver.Name, address, on.currency, strings.ReplaceAll(on.profile, "$KEY", key))
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

// compare holds the journal, as the gateway tells it, against the bank: a payment is
// approved if and only if it was charged once, nothing was charged that the journal
// does not have, each has one final event, and events have no gap.
func (k *kiosk) compare() {
	t := k.t
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := control.Dial(k.socket)
	for ; err != nil; c, err = control.Dial(k.socket) { // it was just started
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	defer c.Close()
	finals, next := map[string]int{}, uint64(1)
	for e, err := range c.Events(ctx, 1, false) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != next {
			t.Errorf("event %d where %d was to come", e.Seq, next)
		}
		if next = e.Seq + 1; e.Type == payment.EventFinal {
			finals[e.Subject]++
		}
	}
	charged, asked, lookedUp := charges(k.sim.Ledger()), 0, 0
	for r, err := range c.History(ctx, control.Query{Limit: control.MaxLimit}) {
		if err != nil {
			t.Fatal(err)
		}
		n := charged[r.Amount.Minor]
		delete(charged, r.Amount.Minor)
		if paid := r.Outcome.Result.Paid(); n > 1 || paid != (n == 1) || r.State != payment.StateFinal || finals["payment/"+string(r.ID)] != 1 {
			t.Errorf("payment %s is %s %s with %d final events, the bank charged it %d times", r.ID, r.State, r.Outcome.Result, finals["payment/"+string(r.ID)], n)
		}
		if asked++; r.Outcome.Source == payment.SourceLookup {
			lookedUp++
		}
	}
	for minor, n := range charged {
		t.Errorf("the bank charged %d minor units %d times, and the journal has no such payment", minor, n)
	}
	t.Logf("%d payments in the journal, %d found out by a lookup", asked, lookedUp)
}

// charges counts what the bank took, by amount: each payment has its own.
func charges(ledger []link.Entry) map[int64]int {
	n := map[int64]int{}
	for _, e := range ledger {
		if e.Charged && !e.Reversed {
			n[e.Amount.Minor]++
		}
	}
	return n
}

// audit compares what the controller heard with what the bank did.
func (c *controller) audit(t *testing.T, ledger []link.Entry, n int) {
	t.Helper()
	took := charges(ledger)
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
		charged, paid := took[priceOf(i)], rec.Outcome.Result == payment.Approved
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
