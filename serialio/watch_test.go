package serialio

import (
	"context"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

func TestWatch(t *testing.T) {
	p := &gpiotest.Pin{N: "TEST-INPUT", Num: -1, EdgesChan: make(chan gpio.Level)}
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister("TEST-INPUT") })
	l, err := OpenLine("!TEST-INPUT")
	if err != nil {
		t.Fatal(err)
	}
	p.Lock()
	p.L = gpio.High
	p.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan bool)
	ended := make(chan error, 1)
	go func() { ended <- l.Watch(ctx, func(active bool) { heard <- active }) }()
	if <-heard {
		t.Error("a line at rest is active")
	}
	for _, c := range []struct {
		level gpio.Level
		want  bool
	}{{gpio.Low, true}, {gpio.High, false}} {
		p.EdgesChan <- c.level
		if got := <-heard; got != c.want {
			t.Errorf("at %v it is active: %v", c.level, got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
