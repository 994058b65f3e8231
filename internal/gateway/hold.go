package gateway

import (
	"context"
	"errors"
	"time"

	"tillgate/internal/payment"
)

// Hold makes every terminal take no new payment, and returns when none is
// running. It refuses, and holds nothing, if a payment is open: running, in
// doubt, owed to a customer, or waiting for its goods. A hold ends by
// [Gateway.Release], and by itself after lease; 0 is for ever.
//
// The update of the box holds, so that no payment is cut off by it.
func (g *Gateway) Hold(ctx context.Context, lease time.Duration) error {
	// While one terminal is busy the others go on selling: who holds asks again.
	if err := g.settled(); err != nil {
		return err
	}
	g.setHeld(true)
	err := g.emptyHanded(ctx)
	if err != nil {
		g.setHeld(false)
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lease != nil {
		g.lease.Stop()
		g.lease = nil
	}
	if lease > 0 {
		g.lease = time.AfterFunc(lease, g.Release)
	}
	return nil
}

// Release ends a hold.
func (g *Gateway) Release() { g.setHeld(false) }

func (g *Gateway) setHeld(held bool) {
	g.board.update(func(s *state) { s.held = held })
}

// emptyHanded waits for the commands that were on their way before the hold: a
// lane has its device in hand from before it looks whether it may sell until
// the outcome is written down.
func (g *Gateway) emptyHanded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for name, device := range g.devices {
		select {
		case device <- struct{}{}:
			<-device
		case <-ctx.Done():
			return payment.Refuse(payment.ReasonBusy, "device %s is being used: a payment is running, or being looked up", name)
		}
	}
	return g.settled()
}

// settled refuses if the journal has a payment that is open.
func (g *Gateway) settled() error {
	open, err := g.journal.Open()
	if err != nil {
		return errors.Join(payment.Refuse(payment.ReasonJournal, "the journal does not tell what is open"), err)
	}
	if len(open) > 0 {
		return payment.Refuse(payment.ReasonUnsettled, "%d payments are open or in doubt, the oldest is %s", len(open), open[0].ID)
	}
	return nil
}

// update announces a new version of the box. Nothing waits for it: it is
// fetched, verified, and installed when nobody is paying.
func (g *Gateway) update(ctx context.Context, c payment.Command) (payment.Reply, error) {
	if g.opt.Update == nil {
		return payment.Reply{}, payment.Refuse(payment.ReasonUnsupported, "this box takes no updates over MQTT")
	}
	if err := g.opt.Update(ctx, c.Bundle); err != nil {
		return payment.Reply{}, err
	}
	g.log.Info("update announced", "bundle", c.Bundle, "by", c.Client, "front", c.Front)
	return payment.Reply{Status: payment.ReplyAccepted, Text: "it will be fetched, verified, and installed when nobody is paying; event firmware.final tells the end"}, nil
}
