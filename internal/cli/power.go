package cli

import (
	"context"

	"tillgate/internal/payment"
	"tillgate/serialio"
)

// watchPower keeps the alert that stops selling raised while the power-fail input
// is active, so that no payment is begun that the battery may not see the end of.
// Running ones go on. It is not a pause, which would outlast the cut itself, and
// writes nothing to a disk that is about to lose its power.
func (b *box) watchPower(ctx context.Context) error {
	line, err := serialio.OpenLine(b.config.PowerFail)
	if err != nil {
		return err
	}
	defer line.Close()
	return line.Watch(ctx, func(active bool) {
		b.log.Warn("power-fail input", "line", b.config.PowerFail, "active", active)
		if active {
			b.gateway.Raise(payment.AlertPower, "the power has failed: the box runs on its battery and sells nothing")
		} else {
			b.gateway.Clear(payment.AlertPower)
		}
	})
}

// checkPower looks whether the power-fail input is there; without it the gateway
// does not run.
func checkPower(say func(finding), line string) {
	if line == "" {
		return
	}
	f := finding{Check: "power-fail input", Level: good, Tried: "look for the GPIO line " + line, Found: "it is there"}
	if err := lineThere(line); err != nil {
		f.Level, f.Found = bad, err.Error()
		f.Next = "name the line as the kernel does, like GPIO4 or gpiochip0:4, in power_fail"
	}
	say(f)
}
