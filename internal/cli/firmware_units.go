package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

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

// takeRequest opens the bundle that is asked for. The folder is another user's: no
// link leads out of it, and nothing but a file is opened.
func takeRequest(dir string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if _, err := root.Lstat(firmware.RequestFile); err != nil {
		return nil, err
	}
	name, err := requested(root)
	if err = errors.Join(err, root.Remove(firmware.RequestFile)); err != nil {
		return nil, err
	}
	f, err := openFile(root, name)
	if err != nil {
		return nil, fmt.Errorf("%.80q is no bundle there: %v", name, err)
	}
	return f, root.Remove(name) // it may be large, and is read through f
}

// requested is the name of the bundle that is asked for.
func requested(root *os.Root) (name string, err error) {
	f, err := openFile(root, firmware.RequestFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(text)), err
}

// openFile opens a plain file, and waits for nobody at the other end of a pipe.
func openFile(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is no plain file"), err, f.Close())
	}
	return f, nil
}
