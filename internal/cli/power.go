package cli

import (
	"context"
	"slices"

	"tillgate/internal/payment"
	"tillgate/serialio"
)

// powerFail is who paused, in the journal and in status.
const powerFail = "power-fail input"

// watchPower stops selling while the power-fail input is active, so that no
// payment is begun that the battery may not see the end of. Running ones go on.
func (b *box) watchPower(ctx context.Context) error {
	line, err := serialio.OpenLine(b.config.PowerFail)
	if err != nil {
		return err
	}
	defer line.Close()
	var paused []string
	return line.Watch(ctx, func(active bool) {
		b.log.Warn("power-fail input", "line", b.config.PowerFail, "active", active)
		if active {
			b.gateway.Raise(payment.AlertPower, "the power has failed: the box runs on its battery and sells nothing")
			paused = b.pauseAll(ctx)
			return
		}
		b.gateway.Clear(payment.AlertPower)
		for _, name := range paused {
			b.gateway.Do(ctx, payment.Command{Verb: payment.VerbResume, Request: payment.Request{Terminal: name}, By: powerFail, Front: "gpio"})
		}
		paused = nil
	})
}

// pauseAll pauses the terminals that nobody else has paused, and names them.
func (b *box) pauseAll(ctx context.Context) (paused []string) {
	for _, t := range b.gateway.Status().Terminals {
		if slices.Contains(t.Reasons, payment.ReasonPaused) {
			continue
		}
		b.gateway.Do(ctx, payment.Command{Verb: payment.VerbPause, Request: payment.Request{Terminal: t.Name}, By: powerFail, Reason: "the power has failed", Front: "gpio"})
		paused = append(paused, t.Name)
	}
	return paused
}
