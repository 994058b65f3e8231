package firmware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Install installs a bundle, and returns when the new version is confirmed or
// the old one runs again. The error says why nothing was changed; the result
// is also in the state.
func (u *Updater) Install(ctx context.Context, bundle io.Reader) (Result, error) {
	return u.working(ctx, u.goOn, func(s State) (Result, error) {
		b, err := u.open(bundle)
		if err != nil {
			return u.refuse(s, "", err)
		}
		m := b.Manifest
		if err := u.admit(s, m); err != nil {
			return u.refuse(s, m.Version, err)
		}
		s.Phase, s.To = PhaseStaging, Place{Version: m.Version}
		if err := u.save(s); err != nil {
			return s.Last, err
		}
		var to Place
		if m.Method == MethodRAUC {
			s, to, err = u.stageSystem(ctx, s, b)
		} else {
			to, err = u.stage(ctx, b)
		}
		if err != nil {
			return u.refuse(s, m.Version, err)
		}
		return u.change(ctx, s, to)
	})
}

func (u *Updater) open(bundle io.Reader) (*Bundle, error) {
	keys, err := u.TrustedKeys()
	if err != nil {
		return nil, err
	}
	return Open(bundle, keys)
}

// TrustedKeys are the keys whose signatures count on this box.
func (u *Updater) TrustedKeys() (Keys, error) {
	var r rotation
	if err := readJSON(filepath.Join(u.Dir, keysFile), &r); err != nil {
		return nil, err
	}
	return loadKeys(u.Keys, r)
}

func (u *Updater) refuse(s State, v Version, why error) (Result, error) {
	err := u.end(s, Refused, v, why.Error())
	s, _ = u.load()
	return s.Last, errors.Join(why, err)
}

// admit says whether a signed bundle may replace what runs.
func (u *Updater) admit(s State, m Manifest) error {
	now := s.Confirmed
	switch c := m.Version.Compare(now.Version); {
	case !fits(m.Machine, u.Machine):
		return fmt.Errorf("%s is for %s, this box is %s", m.Version, m.Machine, u.Machine)
	case c == 0:
		return fmt.Errorf("%s is what runs already", m.Version)
	case c < 0 && !slices.Contains(m.Replaces, now.Version):
		return fmt.Errorf("%s is older than %s, which runs; go back with `tillgate firmware rollback`, or sign it with --replaces %s", m.Version, now.Version, now.Version)
	}
	// A version goes on with journals of its own format and of the next one.
	if m.Journal > now.Journal+1 || m.Journal < now.Journal-1 {
		return fmt.Errorf("%s writes journals of format %d: %s, with format %d, could not take them back; update in smaller steps", m.Version, m.Journal, now.Version, now.Journal)
	}
	for _, f := range s.Failed {
		if f.Version == m.Version {
			return fmt.Errorf("%s was tried before and did not prove itself (%s): sign the next try as another version", m.Version, f.Reason)
		}
	}
	return nil
}

// stage copies the program to where it will run, and starts it once to see that
// it can say its name on this machine.
func (u *Updater) stage(ctx context.Context, b *Bundle) (Place, error) {
	m := b.Manifest
	to := Place{Version: m.Version, Target: versionFolder(m.Version), Journal: m.Journal}
	making, err := u.unpack(b)
	if err != nil {
		return to, err
	}
	if err := speaks(ctx, filepath.Join(making, Program), m.Version); err != nil {
		return to, err
	}
	return to, u.disk.rename(making, filepath.Join(u.Dir, to.Target))
}

func versionFolder(v Version) string { return filepath.Join("versions", string(v)) }

// unpack writes a bundle into a folder that is still to get its name.
func (u *Updater) unpack(b *Bundle) (making string, err error) {
	file := b.Manifest.Files[0]
	if err := space(u.Dir, file.Size); err != nil {
		return "", err
	}
	versions := filepath.Join(u.Dir, "versions")
	making = filepath.Join(versions, "new")
	if err := errors.Join(u.disk.remove(filepath.Join(u.Dir, versionFolder(b.Manifest.Version))), u.disk.remove(making), u.disk.folder(versions), u.disk.folder(making)); err != nil {
		return "", err
	}
	if err := u.disk.fill(filepath.Join(making, file.Name), 0o755, b.Copy); err != nil {
		return "", err
	}
	for name, text := range map[string][]byte{"manifest.json": b.raw, "manifest.json.minisig": b.signature} {
		if err := u.disk.fill(filepath.Join(making, name), 0o644, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return "", err
		}
	}
	return making, flushFolder(making)
}

// space makes sure that the disk of dir has room for so many bytes twice: a disk
// that is full to the brim stops payments.
func space(dir string, size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look for space: %w", err)
	}
	if free := int64(fs.Bavail) * int64(fs.Bsize); free < 2*size {
		return fmt.Errorf("look for space: %d bytes are free in %s, %d are wanted", free, dir, 2*size)
	}
	return nil
}

// speaks starts a program and asks for its version.
func speaks(ctx context.Context, program string, want Version) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "version", "--json")
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("start the new program: %w", err)
	}
	var v struct {
		Version Version `json:"version"`
	}
	if err := json.Unmarshal(out, &v); err != nil || v.Version != want {
		return fmt.Errorf("start the new program: it calls itself %.64q, its manifest %s", string(v.Version), want)
	}
	return nil
}

// change switches to another place and judges it.
func (u *Updater) change(ctx context.Context, s State, to Place) (Result, error) {
	before, err := u.Box.Health(ctx)
	if err != nil {
		u.Log.Warn("the gateway does not say how it is before the update; the new one has to come up, no more", "err", err)
	}
	from, to, err := u.inSlots(ctx, s.Confirmed, to)
	if err != nil {
		return u.refuse(s, to.Version, err)
	}
	if err := u.hold(ctx); err != nil {
		return u.postpone(s, to.Version, err)
	}
	s.From, s.To = from, to
	s.Phase, s.Tries, s.Before = PhaseSwitching, 0, before
	if err := u.save(s); err != nil {
		return s.Last, errors.Join(err, u.Box.Release(ctx))
	}
	if err := u.stopSettled(ctx, s.From); err != nil {
		startErr := u.Box.Start(ctx) // before the phase ends: if this is cut off, somebody else starts it
		r, err := u.postpone(s, to.Version, err)
		return r, errors.Join(err, startErr)
	}
	if s.acrossSystems() {
		return u.bootOther(ctx, s)
	}
	s.Phase, s.Tries = PhaseTrying, 1
	err = u.save(s)
	if err == nil {
		err = u.point(s.To)
	}
	if err != nil {
		return s.Last, errors.Join(err, u.undo(ctx, s))
	}
	if err := u.Box.Start(ctx); err != nil {
		u.Log.Warn("the new version does not start at once", "err", err)
	}
	return u.judge(ctx, s)
}

// undo goes back to the old version after a write that did not succeed.
func (u *Updater) undo(ctx context.Context, s State) error {
	_, err := u.resumeRunning(ctx, s)
	return err
}

// hold waits until nobody is paying.
func (u *Updater) hold(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.HoldWithin)
	defer cancel()
	for {
		err := u.Box.Hold(ctx)
		if err == nil || !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(u.Pace):
		}
	}
}

// stopSettled stops the gateway and believes the journal, not the gateway.
func (u *Updater) stopSettled(ctx context.Context, old Place) error {
	if err := u.Box.Stop(ctx); err != nil {
		return err
	}
	return u.Box.Settled(ctx, u.program(old))
}

func (u *Updater) postpone(s State, v Version, why error) (Result, error) {
	err := u.end(s, Postponed, v, why.Error())
	s, _ = u.load()
	return s.Last, errors.Join(why, err)
}
