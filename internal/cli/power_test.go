package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link/drivers"
)

// While the power-fail input is active nothing is sold; what a person paused
// stays paused afterwards.
func TestPowerFail(t *testing.T) {
	p := &gpiotest.Pin{N: "TEST-POWER-FAIL", Num: -1, EdgesChan: make(chan gpio.Level, 1)}
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister("TEST-POWER-FAIL") })
	dir := t.TempDir()
	port, err := freePort(21883)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`box: power
data: %s/data
runtime: %s/run
segment_size: 2MiB
power_fail: TEST-POWER-FAIL
mqtt: {destinations: [{name: none, url: "mqtt://127.0.0.1:%d", commands: false}]}
terminals:
  - {name: front, driver: ecrvn, address: "sim://ecrvn", currency: VND, max_amount: "1000"}
  - {name: back, driver: ecrvn, address: "sim://ecrvn", currency: VND, max_amount: "1000"}
`, dir, dir, port)
	c, err := config.Parse("test", []byte(text), drivers.All())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up := make(chan struct{})
	b := &box{config: c, log: slog.New(slog.DiscardHandler), ready: func(*box) { close(up) }}
	ended := make(chan error, 1)
	go func() { ended <- b.run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-up:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	await := func(what string, front, back bool) {
		t.Helper()
		for until := time.Now().Add(time.Minute); ; {
			changed := b.gateway.Changed()
			s := b.gateway.Status()
			if s.Terminals[0].Sellable == front && s.Terminals[1].Sellable == back {
				return
			}
			select {
			case <-changed:
			case <-time.After(time.Until(until)):
				t.Fatalf("%s: %+v", what, s)
			}
		}
	}
	await("at the beginning", true, true)
	b.gateway.Do(ctx, payment.Command{Verb: payment.VerbPause, Request: payment.Request{Terminal: "back"}, By: "a person", Front: "test"})
	await("after a person's pause", true, false)
	p.EdgesChan <- gpio.High
	await("without power", false, false)
	if !slices.ContainsFunc(b.gateway.Status().Alerts, func(a payment.Alert) bool { return a.Code == payment.AlertPower }) {
		t.Error("no alert without power")
	}
	p.EdgesChan <- gpio.Low
	await("with power again", true, false)
}
