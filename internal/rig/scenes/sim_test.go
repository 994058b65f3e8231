package scenes

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/usbip"
	"tillgate/link"
)

// simulate runs `tillgate sim` and returns the lines for the configuration that
// it printed, and what it has said to its user so far.
func simulate(t *testing.T, as *syscall.Credential, args ...string) (lines string, said *syncBuffer) {
	t.Helper()
	var out syncBuffer
	said = &syncBuffer{}
	cmd := exec.Command("tillgate", append([]string{"sim"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("%v ended with %v: %s", cmd, err, said)
		}
	})
	await(t, "lines for the configuration", func() bool {
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("%v ended at once with %v: %s", cmd, err, said)
		default:
		}
		return strings.Contains(out.String(), "max_amount")
	})
	return out.String(), said
}

// What docs/hardware.md tells anybody with a laptop to do.
func TestSimulatorCommand(t *testing.T) {
	inMachine(t)
	dir := t.TempDir()
	ledger := filepath.Join(dir, "bank.json")
	lines, _ := simulate(t, nil, "qfpay", "--usbip", "--attach", "--usb-as", "bulk", "--usb-id", "1209:0031", "--pace", "100ms", "--ledger", ledger)
	b := startWith(t, lines)
	if charged := b.paySimulated(t, "attached", "12.34", ledger); charged != 1 {
		t.Errorf("the bank of the terminal that was attached charged %d times, want once", charged)
	}
}

var ordinary = &syscall.Credential{Uid: nobody, Gid: nobody}

// An ordinary user cannot plug it in, is told what to do, and can serve it for
// root to do so.
func TestSimulatorCommandOfAnOrdinaryUser(t *testing.T) {
	inMachine(t)
	cmd := exec.Command("tillgate", "sim", "qfpay", "--usbip", "--attach", "--usb-as", "bulk")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ordinary}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "only root may: run it with sudo, or serve it over TCP and let root attach it with usbip") {
		t.Errorf("an ordinary user's --attach gave %v: %s", err, out)
	}
	if n := strings.Count(strings.TrimSpace(string(out)), "\n"); n > 0 {
		t.Errorf("that took more than a line: %s", out)
	}

	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(dir, "bank.json")
	address := freeAddress(t)
	lines, said := simulate(t, ordinary, "qfpay", "--usbip", "--listen", address, "--usb-as", "bulk", "--usb-id", "1209:0032", "--pace", "100ms", "--ledger", ledger)
	_, port, _ := net.SplitHostPort(address)
	await(t, "the command to attach it", func() bool {
		return strings.Contains(said.String(), "sudo usbip --tcp-port "+port+" attach --remote 127.0.0.1 --busid "+usbip.BusID)
	})
	attachFrom(t, address)
	b := startWith(t, lines)
	if charged := b.paySimulated(t, "served", "12.34", ledger); charged != 1 {
		t.Errorf("the bank of the terminal that was served charged %d times, want once", charged)
	}
}

// paySimulated takes one payment from the terminal of `tillgate sim` and counts
// what its bank charged.
func (b *box) paySimulated(t *testing.T, id, amount, ledger string) (charged int) {
	t.Helper()
	x := &terminal{name: "simulated"}
	b.sellable(t, x)
	if code, out := b.pay(t, x, id, amount); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	file, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	var bank struct{ Entries []link.Entry }
	if err := json.Unmarshal(file, &bank); err != nil {
		t.Fatal(err)
	}
	for _, e := range bank.Entries {
		if e.Charged && !e.Reversed {
			charged++
		}
	}
	return charged
}

// attachFrom is `usbip attach`: it asks for the device and hands the connection
// to the kernel (usbip_protocol.rst, OP_REQ_IMPORT).
func attachFrom(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // the kernel keeps its own reference
	c.SetDeadline(time.Now().Add(patience))
	ask := make([]byte, 8+32)
	binary.BigEndian.PutUint16(ask, 0x0111)
	binary.BigEndian.PutUint16(ask[2:], 0x8003)
	copy(ask[8:], usbip.BusID)
	if _, err := c.Write(ask); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 8+312)
	if _, err := io.ReadFull(c, answer); err != nil || binary.BigEndian.Uint32(answer[4:]) != 0 {
		t.Fatalf("import: % x, %v", answer[:8], err)
	}
	c.SetDeadline(time.Time{})
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const controller, high = "/sys/devices/platform/vhci_hcd.0", 3
	await(t, "a free port of the virtual controller", func() bool {
		status, err := os.ReadFile(filepath.Join(controller, "status"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			w := strings.Fields(line)
			if len(w) < 3 || w[0] != "hs" || w[2] != "004" {
				continue
			}
			port, err := strconv.Atoi(w[1])
			if err == nil && os.WriteFile(filepath.Join(controller, "attach"), fmt.Appendf(nil, "%d %d %d %d", port, f.Fd(), 1<<16|2, high), 0) == nil {
				return true
			}
		}
		return false
	})
}
