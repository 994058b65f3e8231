package firmware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Box is the gateway as the updater sees it.
type Box interface {
	// Hold makes the running gateway take no new payment, and returns when none
	// is running. The error wraps [ErrBusy] if one is open or in doubt. A
	// gateway that does not run holds.
	Hold(ctx context.Context) error
	// Release ends a hold.
	Release(ctx context.Context) error
	// Stop ends the gateway and waits until it has.
	Stop(ctx context.Context) error
	// Start starts what "current" leads to.
	Start(ctx context.Context) error
	// Settled has program read the journal of the stopped gateway. The error
	// wraps [ErrBusy] if a payment in it is open or in doubt.
	Settled(ctx context.Context, program string) error
	// Health asks the running gateway how it is.
	Health(ctx context.Context) (Health, error)
	// Reboot begins to restart the box, and may return before it is over.
	Reboot(ctx context.Context) error
}

// ErrBusy: a payment is open or in doubt.
var ErrBusy = errors.New("a payment is open or in doubt")

// Updater is root's part. Fields are set before its first use; those without
// a default are required.
type Updater struct {
	Dir      string // of the layout
	Keys     string // folder of the owner's keys, *.pub
	Packaged Place  // the program that came with the package or image
	Machine  string // this box: amd64, arm64, armv7, armv6
	Box      Box
	Image    Image        // nil: the box has one system, and only programs are updated
	Log      *slog.Logger // nil discards

	GateWithin time.Duration // how long a new version has to prove itself; 0 means 5 min
	Steady     time.Duration // how long it has to be well without a break; 0 means 10 s
	HoldWithin time.Duration // how long a payment is waited for; 0 means 20 min
	Pace       time.Duration // between two looks; 0 means 1 s

	booting bool     // the box has just started
	sticks  []string // file systems of sticks; nil: those that sticks have
	disk    disk
}

// MaxTries is how often a version is started without proving itself.
const MaxTries = 3

func (u *Updater) defaults() {
	if u.Log == nil {
		u.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&u.GateWithin, 5 * time.Minute}, {&u.Steady, 10 * time.Second}, {&u.HoldWithin, 20 * time.Minute}, {&u.Pace, time.Second}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
}

// lock keeps a second updater away until unlock.
func (u *Updater) lock() (unlock func(), err error) {
	u.defaults()
	f, err := os.OpenFile(filepath.Join(u.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("lock the updater: %w: the package makes that folder: install it, or name another one", err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("lock the updater: %w: it is root's to do", err)
	case err != nil:
		return nil, fmt.Errorf("lock the updater: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the updater: another one is at work: %w", err)
	}
	return func() { f.Close() }, nil
}

// working keeps other updaters away, puts in order what an earlier one has left,
// and then works on the state.
func (u *Updater) working(ctx context.Context, order func(context.Context, State) (State, error), work func(State) (Result, error)) (Result, error) {
	unlock, err := u.lock()
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	s, err := u.load()
	if err == nil {
		s, err = order(ctx, s)
	}
	if err != nil {
		return u.restarting(s, err)
	}
	return work(s)
}

func (u *Updater) current() (target string, err error) {
	return os.Readlink(filepath.Join(u.Dir, "current"))
}

func (u *Updater) program(p Place) string {
	if filepath.IsAbs(p.Target) {
		return filepath.Join(p.Target, Program)
	}
	return filepath.Join(u.Dir, p.Target, Program)
}

// point makes "current" lead to p.
func (u *Updater) point(p Place) error {
	if now, err := u.current(); err == nil && now == p.Target {
		return nil
	}
	return u.disk.link(p.Target, filepath.Join(u.Dir, "current"))
}

// Boot puts in order what a power cut has left, before the gateway is started.
// It starts and stops nothing. A version on trial is given another try, or
// taken back after [MaxTries].
func (u *Updater) Boot() error {
	unlock, err := u.lock()
	if err != nil {
		return err
	}
	defer unlock()
	u.booting = true
	s, err := u.load()
	if err != nil {
		u.Log.Error("the updater's state cannot be read: going on with the packaged program", "err", err)
		s = State{Confirmed: u.Packaged}
		if err := errors.Join(u.point(u.Packaged), u.save(s)); err != nil {
			return err
		}
	}
	if s, err = u.resume(s, nobody); err != nil {
		return started(err)
	}
	if s.Phase == PhaseTrying {
		if s.Tries++; s.Tries > MaxTries {
			return started(u.back(s, nobody, fmt.Sprintf("it was started %d times and did not prove itself", MaxTries)))
		}
		if err := u.save(s); err != nil {
			return err
		}
	}
	return u.complete(s)
}

// nobody is started before the gateway's own unit starts it.
func nobody() error { return nil }

// resumeRunning resumes on a box that has been up for a while.
func (u *Updater) resumeRunning(ctx context.Context, s State) (State, error) {
	return u.resume(s, func() error { return u.Box.Start(ctx) })
}

// resume goes on, or back, from a phase that was cut off. What remains of it is
// a version on trial, or nothing. start starts the gateway; the phase ends only
// after it, so that a gateway that was stopped for an update is not forgotten.
func (u *Updater) resume(s State, start func() error) (State, error) {
	if s.Phase != PhaseNone && s.acrossSystems() {
		return u.resumeImage(s, start)
	}
	now, err := u.current()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	switch {
	case s.Phase == PhaseNone:
		if err := u.rotate(s.Confirmed); err != nil { // it may have been cut off there
			u.Log.Error("the keys are not what the confirmed version wants", "err", err)
		}
		return s, nil
	case s.Phase == PhaseStaging:
		err = u.end(s, Cut, s.To.Version, "it was interrupted before the switch; it can be tried again")
	case s.Phase == PhaseSwitching, s.Phase == PhaseTrying && now != s.To.Target:
		if err = u.point(s.From); err == nil {
			err = errors.Join(start(), u.end(s, Cut, s.To.Version, "it was interrupted before the switch; it can be tried again"))
		}
	case s.Phase == PhaseReturning:
		err = u.back(s, start, s.Last.Text)
	default:
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return u.load()
}

// complete makes sure that "current" leads to a program, whatever happened to
// the disk, and removes what nobody needs.
func (u *Updater) complete(s State) error {
	u.tidy(s)
	link := filepath.Join(u.Dir, "current", Program)
	if info, err := os.Stat(link); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return nil
	}
	for _, p := range []Place{s.Confirmed, s.Previous, u.Packaged} {
		info, err := os.Stat(u.program(p))
		if p.Target == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		u.Log.Error("there was no program to start", "now", string(p.Version))
		s.Confirmed = p
		return errors.Join(u.point(p), u.end(s, RolledBack, s.To.Version, "there was no program to start"))
	}
	return errors.New("there is no program to start: install the package again")
}

// tidy removes versions that nothing leads to, and what was being written.
func (u *Updater) tidy(s State) {
	keep := []string{s.From.Target, s.To.Target, s.Confirmed.Target, s.Previous.Target, s.From.papers(), s.To.papers(), s.Confirmed.papers(), s.Previous.papers()}
	if now, err := u.current(); err == nil {
		keep = append(keep, now)
	}
	entries, err := os.ReadDir(filepath.Join(u.Dir, "versions"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := filepath.Join("versions", e.Name()); !slices.Contains(keep, name) {
			if err := u.disk.remove(filepath.Join(u.Dir, name)); err != nil {
				u.Log.Warn("an old version stays", "name", name, "err", err)
			}
		}
	}
}

// back makes the old version the one that runs, has it started, and remembers
// why.
func (u *Updater) back(s State, start func() error, reason string) error {
	s.Phase, s.Last.Text = PhaseReturning, reason
	if err := u.save(s); err != nil {
		return err
	}
	if err := u.point(s.From); err != nil {
		return err
	}
	if s.acrossSystems() {
		if err := u.leave(s); err != nil {
			return err
		}
	}
	if err := start(); err != nil {
		u.Log.Error("the old version does not start", "err", err)
	}
	s.Confirmed = s.From
	s.Failed = append(s.Failed, Failure{s.To.Version, reason})
	s.Failed = s.Failed[max(0, len(s.Failed)-maxFailed):]
	return u.end(s, RolledBack, s.To.Version, reason)
}
