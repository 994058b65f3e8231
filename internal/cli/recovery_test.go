package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"tillgate/internal/config"
	"tillgate/internal/usbreset"
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
		err := recoverer{helper: socket}.ask(t.Context(), front, config.StepUSBReset)
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

// line is a GPIO line that writes down what it is made to be, and for how long.
type line struct {
	gpiotest.Pin
	levels []gpio.Level
	times  []time.Time
}

func (l *line) Out(level gpio.Level) error {
	l.levels, l.times = append(l.levels, level), append(l.times, time.Now())
	return l.Pin.Out(level)
}

func newLine(t *testing.T, name string) *line {
	t.Helper()
	l := &line{Pin: gpiotest.Pin{N: name, Num: -1}}
	if err := gpioreg.Register(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister(name) })
	return l
}

// The relay cuts for as long as is configured, the reset is a short pulse; a line
// that is not there is an error of the step.
func TestLinesOfTheLadder(t *testing.T) {
	relay, reset := newLine(t, "TEST-RELAY"), newLine(t, "TEST-RESET")
	a, err := link.ParseAddress("uart:///dev/ttyAMA0?power=!TEST-RELAY&reset=TEST-RESET")
	if err != nil {
		t.Fatal(err)
	}
	var c config.Terminal
	c.Recovery = config.Recovery{Steps: []string{config.StepRelay, config.StepReset}, PowerOff: config.Duration(300 * time.Millisecond)}
	for _, r := range (recoverer{helper: "none"}).ladder(c, a).Rungs {
		if err := r.Do(t.Context()); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	for _, x := range []struct {
		line   *line
		active gpio.Level
		least  time.Duration
	}{{relay, gpio.Low, 300 * time.Millisecond}, {reset, gpio.High, 200 * time.Millisecond}} {
		if want := []gpio.Level{x.active, !x.active}; !slices.Equal(x.line.levels, want) {
			t.Errorf("%s was made %v, want %v", x.line.N, x.line.levels, want)
			continue
		}
		if d := x.line.times[1].Sub(x.line.times[0]); d < x.least {
			t.Errorf("%s was active for %v, want %v", x.line.N, d, x.least)
		}
	}
	gone, err := link.ParseAddress("uart:///dev/ttyAMA0?power=TEST-NONE&reset=TEST-NONE")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range (recoverer{helper: "none"}).ladder(c, gone).Rungs {
		if err := r.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "GPIO line TEST-NONE: there is no such line") {
			t.Errorf("%s: got %v", r.Name, err)
		}
	}
}

// Doctor tells beforehand which steps could not be taken.
func TestDoctorOfALadder(t *testing.T) {
	newLine(t, "TEST-RELAY-2")
	root, socket := t.TempDir(), filepath.Join(t.TempDir(), "helper")
	for _, dir := range []string{"sys/bus/usb/devices/1-1.4", "sys/bus/usb/devices/1-1:1.0/1-1-port4"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{"1-1.4/idVendor": "079b", "1-1.4/idProduct": "0028", "1-1:1.0/1-1-port4/disable": "0"} {
		if err := os.WriteFile(filepath.Join(root, "sys/bus/usb/devices", file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var others []config.Terminal
	look := func(address, usbPort string, steps ...string) (said string) {
		t.Helper()
		a, err := link.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		c := config.Terminal{Name: "front", Address: address, Recovery: config.Recovery{Steps: steps, USBPort: usbPort}}
		r := recoverer{terminals: append(others, c), helper: socket, usb: usbreset.Machine{Root: root}}
		r.check(func(f finding) { said += string(f.Level) + " " + f.Found }, c, a)
		return said
	}
	device := []string{config.StepRebind, config.StepUSBReset}
	if got := look("usb:079b:0028", "", device...); !strings.HasPrefix(got, "warning the helper's socket") || strings.Count(got, "helper's socket") != 1 {
		t.Errorf("without a helper: %s", got)
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address, port string
		steps         []string
		want          string
	}{
		{"usb:079b:0028", "", device, "ok all is there"},
		{"usb:079b:0029", "", device, "warning USB device 079b:0029: 0 of them are there"},
		{"usb:079b:0028", "", []string{config.StepHubPower}, "warning hub-power finds a device that is gone only if recovery.usb_port"},
		{"usb:?port=1-1.4", "", []string{config.StepHubPower}, "ok all is there"},
		{"usb:079b:0028", "1-1.4", []string{config.StepHubPower}, "ok all is there"},
		{"usb:079b:0028", "1-1.3", []string{config.StepHubPower}, "warning power of 1-1.3: this kernel cannot switch that port"},
		{"/dev/ttyAMA0?power=TEST-RELAY-2", "", []string{config.StepRelay}, "ok all is there"},
		{"/dev/ttyAMA0?power=TEST-RELAY-3", "", []string{config.StepRelay}, "warning GPIO line TEST-RELAY-3: there is no such line"},
		{"/dev/ttyAMA0?reset=TEST-RELAY-3", "", []string{config.StepReset}, "warning GPIO line TEST-RELAY-3: there is no such line"},
		{"tcp://127.0.0.1:1", "", []string{config.StepDrain, config.StepRestartApp, config.StepRestart}, ""},
	} {
		if got := look(c.address, c.port, c.steps...); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s, %v: got %q, want %q", c.address, c.steps, got, c.want)
		}
	}

	// Two at the ports of one converter: what is done to it is done to both.
	others = []config.Terminal{{Name: "back", Address: "serial:///dev/ttyUSB1", Recovery: config.Recovery{USBPort: "1-1.4"}}}
	if got := look("usb:079b:0028", "", device...); !strings.HasPrefix(got, "warning terminal back is behind USB port 1-1.4 too") {
		t.Errorf("beside another terminal: %s", got)
	}
	r := recoverer{terminals: others, usb: usbreset.Machine{Root: root, Off: time.Millisecond}}
	front := config.Terminal{Name: "front", Address: "usb:079b:0028"}
	if err := r.do(t.Context(), front, config.StepUSBReset); err == nil || !strings.Contains(err.Error(), "give both the same device") {
		t.Errorf("a step that another terminal would feel gave %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "sys/bus/usb/devices/1-1.4/authorized"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	others[0].Device, front.Device = "kiosk", "kiosk"
	if err := r.do(t.Context(), front, config.StepUSBReset); err != nil {
		t.Errorf("a step on one device gave %v", err)
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
	l := recoverer{helper: "none"}.ladder(c, a)
	if len(l.Rungs) != len(c.Recovery.Steps) {
		t.Fatalf("%d rungs for %d steps", len(l.Rungs), len(c.Recovery.Steps))
	}
	for i, r := range l.Rungs {
		if r.Name != c.Recovery.Steps[i] || (r.Do == nil) != strings.HasPrefix(r.Name, config.StepRestart) || r.Deep != (r.Name == config.StepRestart) {
			t.Errorf("rung %d is %+v for %s", i, r, c.Recovery.Steps[i])
		}
	}
}
