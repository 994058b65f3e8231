package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"tillgate/internal/config"
	"tillgate/link"
	"tillgate/serialio"
)

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
		return recoverer{terminals: c.Terminals}.do(ctx, t, want.Step)
	}
	return fmt.Errorf("there is no terminal %q in %s", want.Terminal, a.table.Config)
}

// do does one of the steps that need root.
func (r recoverer) do(ctx context.Context, t config.Terminal, step string) error {
	a, err := link.ParseAddress(t.Address)
	if err != nil {
		return err
	}
	port, err := r.socketOf(t, a)
	if err != nil {
		return err
	}
	if err := r.alone(t, port); err != nil {
		return err
	}
	switch step {
	case config.StepRebind:
		return r.usb.Rebind(ctx, port)
	case config.StepUSBReset:
		return r.usb.Reset(ctx, port)
	case config.StepHubPower:
		return r.usb.PowerCycle(ctx, port)
	}
	return fmt.Errorf("step %q is not one of the helper's", step)
}

// socketOf is the USB port that a terminal is plugged into: the configured one, or
// where it is now.
func (r recoverer) socketOf(t config.Terminal, a link.Address) (string, error) {
	if t.Recovery.USBPort != "" {
		return t.Recovery.USBPort, nil
	}
	if path := a.SerialPath(); path != "" {
		tty, err := serialio.Resolve(path)
		if err != nil {
			return "", fmt.Errorf("%w; name its port as recovery.usb_port", err)
		}
		return r.usb.PortOf(tty)
	}
	if port := a.USBPort(); port != "" {
		return port, nil
	}
	vendor, product := a.USB()
	return r.usb.Find(vendor, product, a.USBSerial())
}

// alone refuses a USB device that another terminal is behind as well, as there may
// be one at each port of a converter: the gateway leaves alone what may be at the
// bank, and looks at the terminals of one device only.
func (r recoverer) alone(t config.Terminal, port string) error {
	for _, other := range r.terminals {
		a, err := link.ParseAddress(other.Address)
		if other.Name == t.Name || other.DeviceKey() == t.DeviceKey() || err != nil {
			continue
		}
		if at, err := r.socketOf(other, a); err == nil && at == port {
			return fmt.Errorf("terminal %s is behind USB port %s too, and may be paying: give both the same device, or take this step out", other.Name, port)
		}
	}
	return nil
}
