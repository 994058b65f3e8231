package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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

// stick finds the newest bundle on a mounted stick that a trusted key has
// signed for this machine.
func (a *app) stick(dirs []string) (string, error) {
	if len(dirs) == 0 {
		for _, pattern := range []string{"/media/*", "/media/*/*", "/run/media/*/*", "/mnt", "/mnt/*"} {
			found, _ := filepath.Glob(pattern) // the patterns are good
			dirs = append(dirs, found...)
		}
	}
	keys, err := (&firmware.Updater{Dir: a.table.Firmware.Dir, Keys: a.table.Firmware.Keys}).TrustedKeys()
	if err != nil {
		return "", err
	}
	own, err := machine()
	if err != nil {
		return "", err
	}
	best, version, seen := "", firmware.Version(""), 0
	for _, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*.bundle"))
		for _, file := range files {
			seen++
			m, err := headOf(file, keys)
			if err != nil {
				fmt.Fprintf(a.Err, "%s: %v\n", file, err)
				continue
			}
			if m.Fits(own) && (best == "" || m.Version.Compare(version) > 0) {
				best, version = file, m.Version
			}
		}
	}
	if best == "" {
		return "", fmt.Errorf("look for a bundle on a USB stick: %d *.bundle found in %s, none is signed by a trusted key and for %s; mount the stick, or name the file", seen, strings.Join(dirs, ", "), own)
	}
	return best, nil
}

func headOf(file string, keys firmware.Keys) (firmware.Manifest, error) {
	f, err := openFile(os.OpenFile, file)
	if err != nil {
		return firmware.Manifest{}, err
	}
	defer f.Close()
	b, err := firmware.Open(f, keys)
	if err != nil {
		return firmware.Manifest{}, err
	}
	return b.Manifest, nil
}
