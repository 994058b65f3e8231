package firmware

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// manifest reads and verifies the manifest of an installed version. A key that
// was revoked since still counts here: it was trusted when root put it there.
func (u *Updater) manifest(p Place) (Manifest, error) {
	b, err := u.installed(p)
	if err != nil {
		return Manifest{}, err
	}
	return b.Manifest, nil
}

func (u *Updater) installed(p Place) (*Bundle, error) {
	dir := filepath.Join(u.Dir, p.papers())
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	signature, err := os.ReadFile(filepath.Join(dir, "manifest.json.minisig"))
	if err != nil {
		return nil, err
	}
	var r rotation
	if err := readJSON(filepath.Join(u.Dir, keysFile), &r); err != nil {
		return nil, err
	}
	keys, err := loadKeys(u.Keys, rotation{Trusted: r.Trusted})
	if err != nil {
		return nil, err
	}
	b := &Bundle{raw: raw, signature: signature}
	if b.KeyID, err = keys.Verify(raw, signature); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Version, err)
	}
	b.Manifest, err = parseManifest(raw)
	return b, err
}

// verify reads an installed version once more: disks decay.
func (u *Updater) verify(p Place) error {
	if filepath.IsAbs(p.Target) {
		return nil // the package manager's
	}
	b, err := u.installed(p)
	if err != nil {
		return err
	}
	f, err := os.Open(u.program(p))
	if err != nil {
		return err
	}
	defer f.Close()
	b.body = f
	return b.Copy(nowhere{})
}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// AdoptPackaged makes the packaged program the one that runs, if it is newer
// than what is confirmed or nothing is: a package was installed. The caller
// starts the gateway anew.
func (u *Updater) AdoptPackaged() error {
	unlock, err := u.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := u.load()
	if err != nil {
		return err
	}
	now, linkErr := u.current()
	older := s.Confirmed.Version.Compare(u.Packaged.Version) <= 0
	if linkErr == nil && now != u.Packaged.Target && !older {
		return nil // an update that is newer than the package stays
	}
	if s.Phase != PhaseNone {
		return errors.New("an update is on trial: wait for it, or `tillgate firmware confirm` or `rollback`")
	}
	if err := u.point(u.Packaged); err != nil {
		return err
	}
	if s.Confirmed != u.Packaged {
		s.Confirmed, s.Previous = u.Packaged, Place{}
		return u.end(s, Confirmed, u.Packaged.Version, "installed as a package")
	}
	return nil
}
