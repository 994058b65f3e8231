package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tillgate/firmware"
)

// fwBootCmd, fwPackagedCmd and fwApplyCmd are run as root by systemd and by the
// package.
type fwBootCmd struct{}

func (fwBootCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	return u.Boot()
}

type fwPackagedCmd struct{}

func (fwPackagedCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	return u.AdoptPackaged()
}

type fwApplyCmd struct {
	Inbox []string `help:"Folders where an update is asked for." default:"/var/lib/tillgate/firmware,/var/lib/tillgate-firmware/stick" placeholder:"DIR"`
}

// Run goes on with what was cut off, then installs what is asked for. A request
// is taken away before its bundle is looked at: one that breaks the updater
// does so once.
func (c *fwApplyCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	if r, err := u.Apply(a.ctx); err != nil || r.Outcome == firmware.Restarting {
		return err
	}
	for _, dir := range c.Inbox {
		bundle, err := takeRequest(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the request for an update: %w", err)
		}
		r, err := u.Install(a.ctx, bundle)
		bundle.Close()
		fmt.Fprintf(a.Err, "%s %s %s\n", r.Version, r.Outcome, r.Text)
		if err != nil && r.Outcome == "" {
			return err
		}
	}
	return nil
}

// takeRequest opens the bundle that is asked for. The folder is another
// user's: no link leads out of it, and nothing but a file is opened.
func takeRequest(dir string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(firmware.RequestFile)
	if err != nil {
		return nil, err
	}
	text := make([]byte, min(info.Size(), 256))
	err = errors.New("it is no plain file")
	if info.Mode().IsRegular() {
		text, err = root.ReadFile(firmware.RequestFile)
	}
	if rerr := root.Remove(firmware.RequestFile); err != nil || rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	name := strings.TrimSpace(string(text[:min(len(text), 256)]))
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%.80q is no bundle there", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return f, root.Remove(name) // it may be large, and is read through f
}
