package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"tillgate/internal/config"
	"tillgate/link"
	"tillgate/serialio"
)

// check looks whether the steps of a terminal's ladder could be taken, so
// that nobody finds out in the night. It takes none.
func (r recoverer) check(say func(finding), t config.Terminal, a link.Address) {
	steps := slices.DeleteFunc(slices.Clone(t.Recovery.Steps), func(s string) bool {
		return s == config.StepDrain || s == config.StepRestartApp || s == config.StepRestart // need nothing
	})
	if len(steps) == 0 {
		return
	}
	f := finding{Check: "recovery of " + t.Name, Level: good, Tried: "look for what " + strings.Join(steps, ", ") + " would need", Found: "all is there"}
	var errs []error
	for _, s := range steps {
		switch s {
		case config.StepReset:
			errs = append(errs, lineThere(a.ResetLine()))
		case config.StepRelay:
			errs = append(errs, lineThere(a.PowerLine()))
		default:
			errs = append(errs, helperThere(r.helper), r.portThere(t, a, s))
		}
	}
	if err := errors.Join(errs...); err != nil {
		lines := strings.Split(err.Error(), "\n")
		slices.Sort(lines)
		f.Level, f.Found = warning, strings.Join(slices.Compact(lines), "; ")
		f.Next = "a step that cannot be taken fails when it is wanted: see recovery in docs/hardware.md"
	}
	say(f)
}

func lineThere(name string) error {
	l, err := serialio.OpenLine(name)
	if err == nil {
		l.Close()
	}
	return err
}

func helperThere(socket string) error {
	if _, err := os.Stat(socket); err != nil {
		return fmt.Errorf("the helper's socket %s is not there (systemctl enable --now tillgate-recover.socket; without systemd the gateway has to run as root)", socket)
	}
	return nil
}

// portThere says whether the helper would find the device, also when it is gone,
// whether it is the terminal's own, and whether its hub can switch it.
func (r recoverer) portThere(t config.Terminal, a link.Address, step string) error {
	if step == config.StepHubPower && t.Recovery.USBPort == "" && a.USBPort() == "" {
		return errors.New("hub-power finds a device that is gone only if recovery.usb_port names its socket")
	}
	port, err := r.socketOf(t, a)
	if err != nil {
		return err
	}
	if err := r.alone(t, port); err != nil {
		return err
	}
	if step == config.StepHubPower {
		return r.usb.CanPower(port)
	}
	return nil
}
