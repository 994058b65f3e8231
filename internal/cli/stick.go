package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"tillgate/firmware"
)

// fwStickCmd is run by systemd when a USB stick is plugged in.
type fwStickCmd struct {
	Device string `arg:"" help:"Block device of the stick's file system."`
	Inbox  string `help:"Folder where the update is asked for." default:"/var/lib/tillgate-firmware/stick" placeholder:"DIR"`
}

func (c *fwStickCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("RUNTIME_DIRECTORY"), os.TempDir()), "stick-")
	if err != nil {
		return fmt.Errorf("make a place to mount the stick: %w", err)
	}
	v, err := u.FromStick(c.Device, dir, c.Inbox)
	err = errors.Join(err, os.Remove(dir))
	if errors.Is(err, firmware.ErrNothingNew) {
		fmt.Fprintf(a.Out, "%s: %v\n", c.Device, err)
		return nil
	}
	if err == nil {
		fmt.Fprintf(a.Out, "%s: %s is asked for; the stick can be pulled\n", c.Device, v)
	}
	return err
}
