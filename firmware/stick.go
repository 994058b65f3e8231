package firmware

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What is looked at on a stick. Anybody can plug one in.
const (
	maxStick   = 2 << 40 // bytes of the device
	maxEntries = 4096    // of its topmost folder; bundles lie nowhere else
)

// stickFlags: nothing on a stick is run, followed, a device or another user's.
const stickFlags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NOSYMFOLLOW

// RequestFile, in a folder where updates are asked for, names a bundle in the
// same folder.
const RequestFile = "request"

// ErrNothingNew: the stick is in order and has nothing for this box.
var ErrNothingNew = errors.New("there is no bundle on it that this box would take")

// FromStick mounts the file system on device below dir, read-only, copies the
// newest bundle that this box would take into inbox, and asks there for the
// update. The mount is gone when it returns; the caller should have a mount
// namespace of its own. Nothing is installed by it: whoever does verifies again.
func (u *Updater) FromStick(device, dir, inbox string) (v Version, err error) {
	u.defaults()
	if err := plausible(device); err != nil {
		return "", fmt.Errorf("look at the stick %s: %w", device, err)
	}
	if err := u.mountStick(device, dir); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)) }()
	u.disk.step("mounted", dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("look at the stick: %w", err)
	}
	defer root.Close()
	name, m, err := u.newest(root)
	if err != nil {
		return "", fmt.Errorf("look at the stick: %w", err)
	}
	if err := u.askFor(root, name, inbox); err != nil {
		return "", fmt.Errorf("copy %s from the stick: %w", m.Version, err)
	}
	return m.Version, nil
}

// plausible refuses what is no block device of a stick's size.
func plausible(device string) error {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) != fs.ModeDevice {
		return errors.New("it is no block device")
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && (size <= 0 || size > maxStick) {
		err = fmt.Errorf("it has %d bytes, from 1 to %d are taken", size, int64(maxStick))
	}
	return err
}

// mountStick takes only what sticks have: a file system with a journal may want
// to be repaired, and has been the way into more than one kernel.
func (u *Updater) mountStick(device, dir string) error {
	kinds, tried := u.sticks, []error(nil)
	if kinds == nil {
		kinds = []string{"vfat", "exfat"}
	}
	for _, kind := range kinds {
		err := unix.Mount(device, dir, kind, stickFlags, "")
		if err == nil {
			return nil
		}
		tried = append(tried, fmt.Errorf("as %s: %w", kind, err))
	}
	return fmt.Errorf("mount the stick %s: %w", device, errors.Join(tried...))
}

// newest finds the newest bundle that a trusted key has signed for this box.
func (u *Updater) newest(root *os.Root) (best string, of Manifest, err error) {
	keys, err := u.TrustedKeys()
	if err != nil {
		return "", of, err
	}
	s, err := u.load()
	if err != nil {
		return "", of, err
	}
	top, err := root.Open(".")
	if err != nil {
		return "", of, err
	}
	defer top.Close()
	entries, err := top.ReadDir(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", of, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), ".bundle") {
			continue
		}
		m, err := headIn(root, e.Name(), keys)
		if err == nil {
			err = u.admit(s, m)
		}
		if err != nil {
			u.Log.Info("bundle on the stick not taken", "file", e.Name(), "why", err)
			continue
		}
		if best == "" || m.Version.Compare(of.Version) > 0 {
			best, of = e.Name(), m
		}
	}
	if best == "" {
		return "", of, ErrNothingNew
	}
	return best, of, nil
}

func headIn(root *os.Root, name string, keys Keys) (Manifest, error) {
	f, err := root.Open(name)
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	b, err := Open(f, keys)
	if err != nil {
		return Manifest{}, err
	}
	return b.Manifest, nil
}

// askFor copies a bundle and asks for it. The stick may be pulled afterwards.
func (u *Updater) askFor(root *os.Root, name, inbox string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > MaxBundle {
		return fmt.Errorf("it has %d bytes, at most %d are taken", info.Size(), MaxBundle)
	}
	if err := space(u.Dir, info.Size()); err != nil {
		return err
	}
	if err := u.disk.folder(inbox); err != nil {
		return err
	}
	const file = "stick.bundle"
	err = u.disk.fill(filepath.Join(inbox, file), 0o600, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(f, MaxBundle))
		return err
	})
	if err != nil {
		return err
	}
	return u.disk.write(filepath.Join(inbox, RequestFile), []byte(file+"\n"), 0o600)
}
