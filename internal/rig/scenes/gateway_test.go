package scenes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/loopback"
	"tillgate/internal/payment"
)

// box is the release binary, running.
type box struct {
	t         *testing.T
	dir       string
	terminals []*terminal
	cmd       *exec.Cmd
	client    *control.Client
	log       syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The profile of the simulated terminals. longest is short, so that "certainly
// over" comes soon.
var profiles = map[string]string{
	"ecrvn": "    currency: VND\n    max_amount: \"5000000\"\n    profile: {silent_when_busy: true, query_timeout: 5s, idle_gap: 3s}\n",
	"qfpay": "    currency: HKD\n    max_amount: \"50000\"\n    profile: {key_file: %s, query_timeout: 5s}\n",
}

func start(t *testing.T, terminals ...*terminal) *box {
	t.Helper()
	key := filepath.Join(t.TempDir(), "pos.key")
	if err := os.WriteFile(key, []byte(posKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := "terminals:\n"
	for _, x := range terminals {
		profile := profiles[x.driver]
		if strings.Contains(profile, "%s") {
			profile = fmt.Sprintf(profile, key)
		}
		c += fmt.Sprintf("  - name: %s\n    driver: %s\n    address: %q\n    longest: 8s\n    timeout: 5s\n%s%s", x.name, x.driver, x.address, profile, x.extra)
	}
	b := startWith(t, c)
	b.terminals = terminals
	return b
}

// startWith runs a gateway whose configuration has these lines about terminals.
func startWith(t *testing.T, lines string) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir()}
	c := fmt.Sprintf("box: rig\ndata: %s/data\nruntime: %s/run\nsegment_size: 2MiB\nallow_simulation: true\nmqtt: {broker: {address: %q}}\nlog: {level: debug}\n", b.dir, b.dir, freeAddress(t)) + lines
	file := filepath.Join(b.dir, "tillgate.yaml")
	if err := os.WriteFile(file, []byte(c), 0o644); err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.Command("tillgate", "run", file)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.cmd.Wait() }()
	t.Cleanup(func() {
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the gateway ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("the gateway does not end")
			_ = b.cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			log := b.log.String()
			t.Logf("the gateway's log ends with:\n%s", log[max(0, len(log)-16<<10):])
		}
	})
	socket := filepath.Join(b.dir, "run/tillgate.sock")
	await(t, "the gateway's socket", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the gateway ended at its start: %v\n%s", err, &b.log)
		default:
		}
		c, err := control.Dial(socket)
		b.client = c
		return err == nil
	})
	t.Cleanup(func() { b.client.Close() })
	return b
}

// freeAddress is for the embedded broker: several gateways run at a time.
func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := loopback.Free()
	if err != nil {
		t.Fatal(err)
	}
	return free
}

func (b *box) status(t *testing.T, name string) payment.TerminalStatus {
	t.Helper()
	s, err := b.client.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range s.Terminals {
		if x.Name == name {
			return x
		}
	}
	t.Fatalf("there is no terminal %s", name)
	return payment.TerminalStatus{}
}

func (b *box) sellable(t *testing.T, x *terminal) {
	t.Helper()
	var s payment.TerminalStatus
	defer func() {
		if !s.Sellable {
			t.Logf("it is %+v", s)
		}
	}()
	await(t, x.name+" sells", func() bool { s = b.status(t, x.name); return s.Sellable })
}

// pay takes one payment by the command line and returns its exit status.
func (b *box) pay(t *testing.T, x *terminal, id string, amount string) (int, string) {
	t.Helper()
	cmd := exec.Command("tillgate", "pay", amount, "--terminal", x.name, "--id", id, "--json")
	cmd.Env = append(os.Environ(), "TILLGATE_SOCKET="+filepath.Join(b.dir, "run/tillgate.sock"))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// begin starts a payment; accepted means that it is in the journal.
func (b *box) begin(t *testing.T, x *terminal, id string) payment.Reply {
	t.Helper()
	amount := payment.Money{Minor: 50000, Currency: "VND"}
	if x.driver == "qfpay" {
		amount = payment.Money{Minor: 1234, Currency: "HKD"}
	}
	r, err := b.client.Do(context.Background(), payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{
		ID: payment.ID(id), Terminal: x.name, Operation: payment.Purchase, Amount: amount,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// final waits for a payment's outcome.
func (b *box) final(t *testing.T, id string) (r payment.Record) {
	t.Helper()
	await(t, "the outcome of "+id, func() bool {
		r = b.record(t, id)
		return !r.Open()
	})
	return r
}

func (b *box) isOver(t *testing.T, id string) bool {
	t.Helper()
	r := b.record(t, id)
	return !r.Open()
}

func (b *box) record(t *testing.T, id string) payment.Record {
	t.Helper()
	e, err := b.client.Entry(context.Background(), payment.ID(id))
	if err != nil {
		t.Fatal(err)
	}
	return e.Payment
}
