package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"tillgate/internal/config"
	"tillgate/internal/usbreset"
	"tillgate/link"
	"tillgate/serialio"
)

// checkRecovery looks whether the steps of a terminal's ladder could be taken, so
// that nobody finds out in the night. It takes none.
func checkRecovery(say func(finding), t config.Terminal, a link.Address, m usbreset.Machine, helper string) {
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
			errs = append(errs, helperThere(helper), portThere(m, t, a, s))
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
// and whether its hub can switch it.
func portThere(m usbreset.Machine, t config.Terminal, a link.Address, step string) error {
	port := t.Recovery.USBPort
	if port == "" {
		if step == config.StepHubPower && a.USBPort() == "" {
			return errors.New("hub-power finds a device that is gone only if recovery.usb_port names its socket")
		}
		var err error
		if port, err = usbPortOf(m, a); err != nil {
			return err
		}
	}
	if step == config.StepHubPower {
		return m.CanPower(port)
	}
	return nil
}
