package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
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

// ladder makes a terminal's ladder of what is configured.
func ladder(t config.Terminal, a link.Address, helper string) gateway.Ladder {
	l := gateway.Ladder{After: t.Recovery.After.Std(), Every: t.Recovery.Every.Std(), PerDay: t.Recovery.PerDay}
	for _, name := range t.Recovery.Steps {
		r := gateway.Rung{Name: name}
		switch name {
		case config.StepDrain:
			r.Do = func(ctx context.Context) error { return drain(ctx, a) }
		case config.StepRelay:
			r.Do = func(context.Context) error { return serialio.Pulse(a.PowerLine(), t.Recovery.PowerOff.Std()) }
		case config.StepReset:
			r.Do = func(context.Context) error { return serialio.Pulse(a.ResetLine(), 200*time.Millisecond) }
		case config.StepRebind, config.StepUSBReset, config.StepHubPower:
			r.Do = func(ctx context.Context) error { return askHelper(ctx, helper, t, name) }
		case config.StepRestartApp: // the terminal is asked
		case config.StepRestart:
			r.Deep = true
		}
		l.Rungs = append(l.Rungs, r)
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

// recoverStep is one line of JSON to the helper, recoverResult one back. The
// helper is told a terminal and a step, and nothing that it could be made to do
// elsewhere: which device that is, and whether the step is wanted there, it
// reads in the configuration, which only root can write.
type recoverStep struct {
	Terminal string `json:"terminal"`
	Step     string `json:"step"`
}

type recoverResult struct {
	Error string `json:"error,omitempty"`
}

const maxRecoverLine = 4096 // bytes

// askHelper has a step done by the helper unit. Without one, as in a box that
// was started by hand, it is done here, which only root may.
func askHelper(ctx context.Context, socket string, t config.Terminal, step string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if errors.Is(err, fs.ErrNotExist) {
		return doStep(ctx, t, step)
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
	var r recoverResult
	if err := json.NewDecoder(io.LimitReader(c, maxRecoverLine)).Decode(&r); err != nil {
		return fmt.Errorf("tillgate-recover gave no answer (%w): journalctl -u 'tillgate-recover@*'", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// doStep does one of the steps that need root.
func doStep(ctx context.Context, t config.Terminal, step string) error {
	var m usbreset.Machine
	port := t.Recovery.USBPort
	if port == "" {
		a, err := link.ParseAddress(t.Address)
		if err != nil {
			return err
		}
		if port, err = usbPortOf(m, a); err != nil {
			return err
		}
	}
	switch step {
	case config.StepRebind:
		return m.Rebind(ctx, port)
	case config.StepUSBReset:
		return m.Reset(ctx, port)
	case config.StepHubPower:
		return m.PowerCycle(ctx, port)
	}
	return fmt.Errorf("step %q is not one of the helper's", step)
}

func usbPortOf(m usbreset.Machine, a link.Address) (string, error) {
	if path := a.SerialPath(); path != "" {
		tty, err := serialio.Resolve(path)
		if err != nil {
			return "", fmt.Errorf("%w; name its port as recovery.usb_port", err)
		}
		return m.PortOf(tty)
	}
	if port := a.USBPort(); port != "" {
		return port, nil
	}
	vendor, product := a.USB()
	return m.Find(vendor, product, a.USBSerial())
}

type recoverStepCmd struct{}

func (recoverStepCmd) Help() string {
	return `Started as root by systemd (tillgate-recover.socket) for one step of recovery:
a line of JSON comes in, does what the configuration allows for that terminal,
and a line goes out.`
}

// Run is the whole life of the helper.
func (recoverStepCmd) Run(a *app) error {
	ctx, cancel := context.WithTimeout(a.ctx, time.Minute)
	defer cancel()
	err := a.recoverOne(ctx)
	var r recoverResult
	if err != nil {
		r.Error = err.Error()
	}
	return errors.Join(err, asJSON(a.Out, r))
}

func (a *app) recoverOne(ctx context.Context) error {
	line, err := bufio.NewReader(io.LimitReader(a.In, maxRecoverLine)).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read what is wanted: %w", err)
	}
	var want recoverStep
	if err := json.Unmarshal(line, &want); err != nil {
		return fmt.Errorf("read what is wanted: %w", err)
	}
	text, err := os.ReadFile(a.table.Config)
	if err != nil {
		return err
	}
	c, err := config.Parse(a.table.Config, text, a.drivers) // no secrets are needed here
	if err != nil {
		return err
	}
	for _, t := range c.Terminals {
		if t.Name != want.Terminal {
			continue
		}
		if !slices.Contains(t.Recovery.Steps, want.Step) {
			return fmt.Errorf("terminal %s: the configuration has no step %q", t.Name, want.Step)
		}
		return doStep(ctx, t, want.Step)
	}
	return fmt.Errorf("there is no terminal %q in %s", want.Terminal, a.table.Config)
}
