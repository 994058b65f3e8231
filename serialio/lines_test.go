package serialio

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// pin is a line that remembers what it was made.
type pin struct {
	gpiotest.Pin
	mu   sync.Mutex
	seen []gpio.Level
}

func (p *pin) Out(l gpio.Level) error {
	p.mu.Lock()
	p.seen = append(p.seen, l)
	p.mu.Unlock()
	return p.Pin.Out(l)
}

func newPin(t *testing.T, name string) *pin {
	t.Helper()
	p := &pin{Pin: gpiotest.Pin{N: name, Num: -1}}
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gpioreg.Unregister(name); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestLinesOfAPort(t *testing.T) {
	enable, reset := newPin(t, "TEST-ENABLE"), newPin(t, "TEST-RESET")
	_, name := newPTY(t)
	p := open(t, Options{Path: name, Lines: Lines{Enable: "!TEST-ENABLE", Reset: "TEST-RESET"}, Wake: "reset-on,1ms,reset-off"})
	if want := []gpio.Level{gpio.High, gpio.Low}; !slices.Equal(reset.seen, want) {
		t.Errorf("reset was %v, want %v", reset.seen, want)
	}
	if enable.Read() != gpio.Low {
		t.Error("an open port's transceiver is not enabled")
	}
	p.Close()
	if enable.Read() != gpio.High {
		t.Error("a closed port's transceiver is enabled")
	}

	// What fails leaves the lines at rest and the port free.
	_, err := Open(Options{Path: name, Lines: Lines{Enable: "TEST-ENABLE", Reset: "TEST-NONE"}})
	if err == nil || !strings.Contains(err.Error(), "GPIO line TEST-NONE: there is no such line; there are ") {
		t.Errorf("open gave %v", err)
	}
	if enable.Read() != gpio.Low {
		t.Error("a port that could not be opened has its transceiver enabled")
	}
	open(t, Options{Path: name})
}

func TestPulse(t *testing.T) {
	p := newPin(t, "TEST-POWER")
	if err := Pulse("!TEST-POWER", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if want := []gpio.Level{gpio.Low, gpio.High}; !slices.Equal(p.seen, want) {
		t.Errorf("power was %v, want %v", p.seen, want)
	}
	for _, d := range []time.Duration{0, -1, MaxPulse + 1} {
		if err := Pulse("TEST-POWER", d); err == nil {
			t.Errorf("a pulse of %v was made", d)
		}
	}
}

func TestWake(t *testing.T) {
	steps, err := ParseWake("dtr-off,rts-on,200ms,reset-on")
	want := []Step{{Line: "dtr"}, {Line: "rts", On: true}, {Wait: 200 * time.Millisecond}, {Line: "reset", On: true}}
	if err != nil || !slices.Equal(steps, want) {
		t.Errorf("got %+v, %v, want %+v", steps, err, want)
	}
	for _, bad := range []string{"dtr", "dtr-up", "cts-on", "-5ms", "0s", "3s,3s", strings.Repeat("dtr-on,", 16) + "dtr-on", ","} {
		if steps, err := ParseWake(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, steps)
		}
	}
	// A pty has no such lines, and says so.
	_, name := newPTY(t)
	if _, err := Open(Options{Path: name, Wake: "dtr-off"}); err == nil || !strings.Contains(err.Error(), "set DTR") {
		t.Errorf("open gave %v", err)
	}
}

func TestRS485IsRefusedByAPTY(t *testing.T) {
	_, name := newPTY(t)
	_, err := Open(Options{Path: name, RS485: RS485{On: true}})
	if err == nil || !strings.Contains(err.Error(), "driver cannot do it") {
		t.Errorf("open gave %v", err)
	}
	for _, o := range []Options{
		{Path: name, RS485: RS485{On: true}, Flow: FlowRTSCTS},
		{Path: name, RS485: RS485{On: true, AfterDelay: 101}},
		{Path: name, Wake: "reset-on"},
	} {
		if p, err := Open(o); err == nil {
			p.Close()
			t.Errorf("%+v was opened", o)
		}
	}
	open(t, Options{Path: name}) // and it is free
}

func ExampleParseWake() {
	steps, _ := ParseWake("dtr-off,200ms,dtr-on")
	for _, s := range steps {
		fmt.Println(s.Line, s.On, s.Wait)
	}
	// Output:
	// dtr false 0s
	//  false 200ms
	// dtr true 0s
}
