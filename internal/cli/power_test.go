package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link/drivers"
)

// powerBox is a box with two simulated terminals and a power-fail input; each
// start goes on with the same journal.
type powerBox struct {
	t      *testing.T
	config config.Config
	*box
	stop func()
}

func newPowerBox(t *testing.T, line string) *powerBox {
	t.Helper()
	dir := t.TempDir()
	port, err := freePort(21883)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`box: power
data: %s/data
runtime: %s/run
segment_size: 2MiB
power_fail: %s
mqtt: {destinations: [{name: none, url: "mqtt://127.0.0.1:%d", commands: false}]}
terminals:
  - {name: front, driver: ecrvn, address: "sim://ecrvn", currency: VND, max_amount: "1000"}
  - {name: back, driver: ecrvn, address: "sim://ecrvn", currency: VND, max_amount: "1000"}
`, dir, dir, line, port)
	c, err := config.Parse("test", []byte(text), drivers.All())
	if err != nil {
		t.Fatal(err)
	}
	return &powerBox{t: t, config: c}
}

func (p *powerBox) start() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	up := make(chan struct{})
	p.box = &box{config: p.config, log: slog.New(slog.DiscardHandler), ready: func(*box) { close(up) }}
	ended := make(chan error, 1)
	go func() { ended <- p.box.run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(p.stop)
	select {
	case <-up:
	case err := <-ended:
		ended <- nil
		p.t.Fatal(err)
	}
}

// await waits until front and back sell, or do not, with or without power.
func (p *powerBox) await(what string, power, front, back bool) payment.Status {
	p.t.Helper()
	for until := time.Now().Add(time.Minute); ; {
		changed := p.gateway.Changed()
		s := p.gateway.Status()
		alert := slices.ContainsFunc(s.Alerts, func(a payment.Alert) bool { return a.Code == payment.AlertPower })
		if alert != power && s.Terminals[0].Sellable == front && s.Terminals[1].Sellable == back {
			return s
		}
		select {
		case <-changed:
		case <-time.After(time.Until(until)):
			p.t.Fatalf("%s: %+v", what, s)
		}
	}
}

// While the power-fail input is active nothing is sold; what a person paused
// stays paused afterwards. A box that the battery did not carry through sells
// again when its power is back.
func TestPowerFail(t *testing.T) {
	p := &gpiotest.Pin{N: "TEST-POWER-FAIL", Num: -1, EdgesChan: make(chan gpio.Level, 1)}
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister("TEST-POWER-FAIL") })
	b := newPowerBox(t, "TEST-POWER-FAIL")
	b.start()
	b.await("at the beginning", true, true, true)
	b.gateway.Do(t.Context(), payment.Command{Verb: payment.VerbPause, Request: payment.Request{Terminal: "back"}, By: "a person", Front: "test"})
	b.await("after a person's pause", true, true, false)
	p.EdgesChan <- gpio.High
	s := b.await("without power", false, false, false)
	if !slices.Contains(s.Reasons, payment.ReasonPower) {
		t.Errorf("without power: %+v", s)
	}
	r := b.gateway.Do(t.Context(), payment.Command{Verb: payment.VerbPurchase, Front: "test", Request: payment.Request{
		ID: "A1", Terminal: "front", Operation: payment.Purchase, Amount: payment.Money{Minor: 1000, Currency: "VND"},
	}})
	if r.Status != payment.ReplyRefused || r.Reason != payment.ReasonPower {
		t.Errorf("without power a sale is %+v", r)
	}
	p.EdgesChan <- gpio.Low
	b.await("with power again", true, true, false)

	p.EdgesChan <- gpio.High
	b.await("without power again", false, false, false)
	b.stop()
	p.Lock()
	p.L = gpio.Low
	p.Unlock()
	b.start()
	b.await("after the box was off", true, true, false)
	b.stop()
	p.Lock()
	p.L = gpio.High
	p.Unlock()
	b.start()
	b.await("started on the battery", false, false, false)
}

// A power-fail input that is not there is said before the gateway is started.
func TestDoctorOfThePowerFailInput(t *testing.T) {
	p := &gpiotest.Pin{N: "TEST-POWER-THERE", Num: -1}
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister("TEST-POWER-THERE") })
	for line, want := range map[string]string{"": "", "!TEST-POWER-THERE": "ok it is there", "TEST-POWER-NONE": "bad GPIO line TEST-POWER-NONE: there is no such line"} {
		got := ""
		checkPower(func(f finding) { got = string(f.Level) + " " + f.Found }, line)
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
