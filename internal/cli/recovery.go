package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/gateway"
	"tillgate/internal/usbreset"
	"tillgate/link"
	"tillgate/serialio"
)

// helperSocket is where systemd starts the helper for the steps that need root:
// tillgate-recover.socket.
const helperSocket = "/run/tillgate-recover.sock"

// recoverer does the steps of recovery of a box's terminals.
type recoverer struct {
	terminals []config.Terminal
	helper    string           // socket
	usb       usbreset.Machine // where the helper works, and the gateway without one
}

// ladder makes a terminal's ladder of what is configured.
func (r recoverer) ladder(t config.Terminal, a link.Address) gateway.Ladder {
	l := gateway.Ladder{After: t.Recovery.After.Std(), Every: t.Recovery.Every.Std(), PerDay: t.Recovery.PerDay}
	for _, name := range t.Recovery.Steps {
		rung := gateway.Rung{Name: name}
		switch name {
		case config.StepDrain:
			rung.Do = func(ctx context.Context) error { return drain(ctx, a) }
		case config.StepRelay:
			rung.Do = func(context.Context) error { return serialio.Pulse(a.PowerLine(), t.Recovery.PowerOff.Std()) }
		case config.StepReset:
			rung.Do = func(context.Context) error { return serialio.Pulse(a.ResetLine(), 200*time.Millisecond) }
		case config.StepRebind, config.StepUSBReset, config.StepHubPower:
			rung.Do = func(ctx context.Context) error { return r.ask(ctx, t, name) }
		case config.StepRestartApp: // the terminal is asked
		case config.StepRestart:
			rung.Deep = true
		}
		l.Rungs = append(l.Rungs, rung)
	}
	return l
}

// Bounds of draining a line.
const (
	drainQuiet = time.Second
	drainLimit = 10 * time.Second
	drainMost  = 1 << 20 // bytes
)

// drain opens the line and throws away what it says until it is quiet: half an
// answer, a terminal that repeats itself. The driver's opening then begins anew.
func drain(ctx context.Context, a link.Address) error {
	c, err := a.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 4096)
	for end, n := time.Now().Add(drainLimit), 0; time.Now().Before(end) && n < drainMost && ctx.Err() == nil; {
		if err := c.SetReadDeadline(time.Now().Add(drainQuiet)); err != nil {
			return err
		}
		k, err := c.Read(b)
		n += k
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("the line is not quiet after %v", drainLimit)
}

// ask has a step done by the helper unit. Without one, as in a box that
// was started by hand, it is done here, which only root may.
func (r recoverer) ask(ctx context.Context, t config.Terminal, step string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", r.helper)
	if errors.Is(err, fs.ErrNotExist) {
		return r.do(ctx, t, step)
	}
	if err != nil {
		return fmt.Errorf("ask tillgate-recover for %s: %w", step, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	b, err := json.Marshal(recoverStep{t.Name, step})
	if err != nil {
		return err
	}
	if _, err := c.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("ask tillgate-recover for %s: %w", step, err)
	}
	var result recoverResult
	if err := json.NewDecoder(io.LimitReader(c, maxRecoverLine)).Decode(&result); err != nil {
		return fmt.Errorf("tillgate-recover gave no answer (%w): journalctl -u 'tillgate-recover@*'", err)
	}
	if result.Error != "" {
		return errors.New(result.Error)
	}
	return nil
}
