package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillgate/internal/config"
	"tillgate/link"
	"tillgate/link/drivers"
	"tillgate/link/linktest"
)

const recoveryYAML = `box: kiosk-1
terminals:
  - name: front
    driver: ecrvn
    address: serial:///dev/serial/by-id/none
    currency: VND
    max_amount: "1000"
    recovery: {steps: [drain, usb-reset], usb_port: "9-9"}
  - {name: back, driver: ecrvn, address: "usb:1209:0001", currency: VND, max_amount: "1000"}
`

// helper runs the command as systemd would.
func helper(t *testing.T, line string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tillgate.yaml")
	if err := os.WriteFile(file, []byte(recoveryYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := &app{Streams: Streams{In: strings.NewReader(line), Out: &out, Err: &out}, ctx: t.Context(), drivers: drivers.All(), table: &Table{Config: file}}
	_ = recoverStepCmd{}.Run(a) // its answer says the same
	return out.String()
}

// The helper does what root wrote down, and nothing else.
func TestHelperRefuses(t *testing.T) {
	for line, want := range map[string]string{
		`{"terminal":"front","step":"usb-reset"}`: "USB port 9-9: file does not exist: no device is plugged in there",
		`{"terminal":"front","step":"hub-power"}`: `the configuration has no step \"hub-power\"`,
		`{"terminal":"front","step":"drain"}`:     `step \"drain\" is not one of the helper's`,
		`{"terminal":"back","step":"usb-reset"}`:  `the configuration has no step \"usb-reset\"`,
		`{"terminal":"side","step":"usb-reset"}`:  `there is no terminal \"side\"`,
		`{"terminal":"front"`:                     "read what is wanted",
	} {
		got := helper(t, line+"\n")
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	if got := helper(t, strings.Repeat("x", maxRecoverLine+1)); !strings.Contains(got, "read what is wanted") {
		t.Errorf("a line without an end: %s", got)
	}
}

// What the helper says comes back through the socket.
func TestAskHelper(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "helper.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for _, answer := range []string{"{}\n", `{"error":"no such device"}` + "\n", ""} {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 100)
			n, _ := c.Read(b)
			if string(b[:n]) != `{"terminal":"front","step":"usb-reset"}`+"\n" {
				answer = `{"error":"asked for ` + strings.TrimSpace(string(b[:n])) + `"}`
			}
			c.Write([]byte(answer))
			c.Close()
		}
	}()
	front := config.Terminal{Name: "front"}
	for _, want := range []string{"", "no such device", "tillgate-recover gave no answer"} {
		err := askHelper(t.Context(), socket, front, config.StepUSBReset)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDrain(t *testing.T) {
	theirs, port := linktest.NewPTY(t)
	a, err := link.ParseAddress(port)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- drain(t.Context(), a) }()
	if _, err := theirs.Write([]byte("half an ans")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("drain of a line that becomes quiet gave %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := drain(gone, a); !errors.Is(err, context.Canceled) {
		t.Errorf("drain at the end of the process gave %v", err)
	}
}

// Everything that is configured has its rung, in that order.
func TestLadderOfAConfiguration(t *testing.T) {
	a, err := link.ParseAddress("uart:///dev/ttyAMA0?power=GPIO27&reset=GPIO22")
	if err != nil {
		t.Fatal(err)
	}
	var c config.Terminal
	c.Recovery.Steps = config.RecoverySteps()
	l := ladder(c, a, "none")
	if len(l.Rungs) != len(c.Recovery.Steps) {
		t.Fatalf("%d rungs for %d steps", len(l.Rungs), len(c.Recovery.Steps))
	}
	for i, r := range l.Rungs {
		if r.Name != c.Recovery.Steps[i] || (r.Do == nil) != strings.HasPrefix(r.Name, config.StepRestart) || r.Deep != (r.Name == config.StepRestart) {
			t.Errorf("rung %d is %+v for %s", i, r, c.Recovery.Steps[i])
		}
	}
}
