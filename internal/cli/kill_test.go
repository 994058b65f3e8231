package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
	"tillgate/link"
)

// TestKilledAtRandom kills the gateway with SIGKILL at random moments while
// customers pay at a terminal that lives on, starts it again each time, and at
// the end compares the journal and its events with the bank's ledger:
//
//   - the bank charged each payment at most once, and nothing the journal does
//     not have,
//   - a payment is approved if and only if the bank charged it,
//   - each payment has exactly one final event, and events have no gap.
//
// TILLGATE_KILLS is how often it is killed; TILLGATE_SEED repeats a run's choices.
func TestKilledAtRandom(t *testing.T) {
	usual := uint64(8)
	if testing.Short() { // for the race detector
		usual = 2
	}
	kills := number(t, "TILLGATE_KILLS", usual)
	seed := number(t, "TILLGATE_SEED", rand.Uint64())
	t.Logf("TILLGATE_SEED=%d", seed)
	t.Setenv("GORACE", raceExit)
	h := newHouse(t, rand.New(rand.NewPCG(seed, 0)))
	for i := range kills {
		box := h.start(t)
		if i == 0 {
			h.first(t)
		}
		h.sell(t)
		if err := box.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = box.Wait() // it was killed
		h.customers(t)
	}
	box := h.start(t)
	h.compare(t)
	if err := box.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := box.Wait(); err != nil {
		t.Errorf("the gateway ends with %v", err)
	}
}

// number reads an environment variable.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// house is a terminal that outlives its gateways.
type house struct {
	dir, socket, conf string
	random            *rand.Rand
	log               *os.File
	paying            chan error // how the last customer's command ends; nil: it has
	asked             int
}

func newHouse(t *testing.T, random *rand.Rand) *house {
	dir := t.TempDir()
	h := &house{dir: dir, socket: filepath.Join(dir, "s"), conf: filepath.Join(dir, "box.yaml"), random: random}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	text := fmt.Sprintf(`box: house
data: %[1]s/data
runtime: %[1]s/run
socket: %[1]s/s
segment_size: 1MiB
log: {level: warn}
mqtt: {broker: {address: %[2]q}}
terminals:
  - name: front
    driver: ecrvn
    address: serial://%[1]s/terminal
    currency: VND
    max_amount: 5000000
    longest: 10s
    timeout: 10s
    profile: {silent_when_busy: true}
`, dir, address)
	if err := os.WriteFile(h.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if h.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	terminal := exec.Command("tillgate", "sim", "ecrvn", "--pty", "--link", filepath.Join(dir, "terminal"), "--ledger", h.ledger(), "--pace", "30ms")
	terminal.Stderr = h.log
	if err := terminal.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = terminal.Process.Signal(os.Interrupt)
		if err := terminal.Wait(); err != nil {
			t.Errorf("the simulator ends with %v", err)
		}
		h.log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(h.log.Name())
			t.Logf("%s", b[max(0, len(b)-4000):])
		}
	})
	return h
}

func (h *house) ledger() string { return filepath.Join(h.dir, "bank.json") }

// start begins a gateway and waits until it sells: everything that the one
// before has left is settled then.
func (h *house) start(t *testing.T) *exec.Cmd {
	t.Helper()
	box := exec.Command("tillgate", "run", h.conf)
	box.Stderr = h.log
	box.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	var found any
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c, err := control.Dial(h.socket)
		if err != nil {
			found = err
			continue
		}
		s, err := c.Status(t.Context())
		c.Close()
		if err == nil && s.Sellable {
			return box
		}
		found = fmt.Sprint(s, err)
	}
	_ = box.Process.Kill()
	_ = box.Wait()
	t.Fatalf("the gateway does not sell: %v", found)
	return nil
}

// first serves one customer to the end: a terminal that keeps nothing cannot
// prove later that a sale was not made, which is another story.
func (h *house) first(t *testing.T) {
	out, err := exec.Command("tillgate", "pay", "999", "--id", "first", "--socket", h.socket).CombinedOutput()
	if err != nil {
		t.Fatalf("the first customer: %v\n%s", err, out)
	}
}

// sell sends customers one after the other and leaves at a random moment.
func (h *house) sell(t *testing.T) {
	for range 1 + h.random.IntN(3) {
		h.asked++
		pay := exec.Command("tillgate", "pay", strconv.Itoa(1000+h.asked), "--id", fmt.Sprint("p", h.asked), "--socket", h.socket)
		if err := pay.Start(); err != nil {
			t.Fatal(err)
		}
		h.paying = make(chan error, 1)
		go func(ended chan<- error) { ended <- pay.Wait() }(h.paying)
		select {
		case <-h.paying:
			h.paying = nil
		case <-time.After(time.Duration(h.random.Int64N(int64(150 * time.Millisecond)))):
			return
		}
	}
}

// customers waits until nobody asks for a payment any more: a command that is
// on its way must not meet the next gateway.
func (h *house) customers(t *testing.T) {
	if h.paying == nil {
		return
	}
	select {
	case <-h.paying:
		h.paying = nil
	case <-time.After(patience):
		t.Fatal("the customer's command does not end")
	}
}

func (h *house) compare(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := control.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	finals, next := map[payment.ID]int{}, uint64(1)
	for e, err := range c.Events(ctx, 1, false) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != next {
			t.Errorf("event %d where %d was to come", e.Seq, next)
		}
		next = e.Seq + 1
		if e.Type == payment.EventFinal {
			var r payment.Record
			if err := json.Unmarshal(e.Data, &r); err != nil {
				t.Fatal(err)
			}
			finals[r.ID]++
		}
	}
	charged := h.charges(t)
	approved, lookedUp := 0, 0
	for r, err := range c.History(ctx, control.Query{Limit: control.MaxLimit}) {
		if err != nil {
			t.Fatal(err)
		}
		n := charged[r.Amount.Minor]
		delete(charged, r.Amount.Minor)
		paid := r.State == payment.StateFinal && r.Outcome.Result.Paid()
		if n > 1 || paid != (n == 1) || r.State != payment.StateFinal {
			t.Errorf("payment %s is %s %s, the bank charged it %d times", r.ID, r.State, r.Outcome.Result, n)
		}
		if finals[r.ID] != 1 {
			t.Errorf("payment %s has %d final events", r.ID, finals[r.ID])
		}
		if paid {
			approved++
		}
		if r.Outcome.Source == payment.SourceLookup {
			lookedUp++
		}
	}
	for amount, n := range charged {
		t.Errorf("the bank charged %d VND %d times, and the journal has no such payment", amount, n)
	}
	if approved == 0 {
		t.Error("no payment was approved: nothing was tested")
	}
	t.Logf("%d payments asked for, %d approved, %d found out by a lookup", h.asked, approved, lookedUp)
}

// charges counts what the bank took, by amount: each payment has its own.
func (h *house) charges(t *testing.T) map[int64]int {
	b, err := os.ReadFile(h.ledger())
	if err != nil {
		t.Fatal(err)
	}
	var bank struct{ Entries []link.Entry }
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&bank); err != nil {
		t.Fatal(err)
	}
	n := map[int64]int{}
	for _, e := range bank.Entries {
		if e.Charged && !e.Reversed {
			n[e.Amount.Minor]++
		}
	}
	return n
}
