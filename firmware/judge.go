package firmware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// judge waits for the new version to prove itself, and confirms it or takes it
// back.
func (u *Updater) judge(ctx context.Context, s State) (Result, error) {
	why := u.gate(ctx, s)
	if ctx.Err() != nil {
		return s.Last, fmt.Errorf("judge %s: %w: it goes on at the next start", s.To.Version, ctx.Err())
	}
	if why != nil {
		u.Log.Warn("the new version does not prove itself", "version", string(s.To.Version), "err", why)
		return u.takeBack(ctx, s, why.Error())
	}
	return u.confirm(ctx, s)
}

// gate returns nil once the new version has been well for Steady without a
// break, or what it lacked when the time was over.
func (u *Updater) gate(ctx context.Context, s State) error {
	deadline := time.NewTimer(u.GateWithin)
	defer deadline.Stop()
	var since time.Time
	for {
		why := u.well(ctx, s)
		switch {
		case why != nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if why == nil && time.Since(since) >= u.Steady {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			if why == nil {
				why = errors.New("it was not well for long enough")
			}
			return fmt.Errorf("within %v: %w", u.GateWithin, why)
		case <-time.After(u.Pace):
		}
	}
}

// well says what the new version lacks now. That it answers means that it could
// open the journal.
func (u *Updater) well(ctx context.Context, s State) error {
	h, err := u.Box.Health(ctx)
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	if h.Version != s.To.Version {
		return fmt.Errorf("%s answers", h.Version)
	}
	if names := h.lacks(s.Before); len(names) > 0 {
		return fmt.Errorf("well before and not now: %s", strings.Join(names, ", "))
	}
	return nil
}

// confirm makes the new version the one that stays.
func (u *Updater) confirm(ctx context.Context, s State) (Result, error) {
	if _, _, err := u.keysAfter(s.To); err != nil {
		return u.takeBack(ctx, s, "keys: "+err.Error())
	}
	if s.acrossSystems() { // one with which RAUC does not work could never be replaced
		if err := u.good(); err != nil {
			return u.takeBack(ctx, s, err.Error())
		}
	}
	s.Previous, s.Confirmed = s.From, s.To
	err := u.end(s, Confirmed, s.To.Version, "")
	if err == nil { // not before: a version that is judged again may yet fail
		err = u.rotate(s.Confirmed)
	}
	return u.ended(errors.Join(err, u.Box.Release(ctx)))
}

// rotate makes the keys what a confirmed version says of them. It can be repeated,
// also with older versions: what was revoked stays so.
func (u *Updater) rotate(p Place) error {
	r, changed, err := u.keysAfter(p)
	if err != nil || !changed {
		return err
	}
	return u.disk.writeJSON(filepath.Join(u.Dir, keysFile), r)
}

// keysAfter applies what the signed manifest of a version says of keys.
func (u *Updater) keysAfter(p Place) (r rotation, changed bool, err error) {
	m, err := u.manifest(p)
	if filepath.IsAbs(p.Target) && (p.Slot == "" || errors.Is(err, fs.ErrNotExist)) {
		return r, false, nil // a package, and the system that the box was made with, have no manifest
	}
	if err != nil || len(m.Trust)+len(m.Revoke) == 0 {
		return r, false, err
	}
	if err := readJSON(filepath.Join(u.Dir, keysFile), &r); err != nil {
		return r, false, err
	}
	after, err := r.with(m, u.Keys)
	return after, len(after.Trusted) > len(r.Trusted) || len(after.Revoked) > len(r.Revoked), err
}

// takeBack stops the new version and starts the old one. The new one has held
// since it was started: it has begun nothing that would be cut off here.
func (u *Updater) takeBack(ctx context.Context, s State, reason string) (Result, error) {
	s.Phase, s.Last.Text = PhaseReturning, reason
	if err := u.save(s); err != nil {
		return s.Last, err
	}
	if err := u.Box.Stop(ctx); err != nil {
		u.Log.Warn("the new version does not stop", "err", err)
	}
	err := u.back(s, func() error { return u.Box.Start(ctx) }, reason)
	return u.ended(err)
}

// goOn brings an update to its end that an earlier updater has begun.
func (u *Updater) goOn(ctx context.Context, s State) (State, error) {
	s, err := u.resumeRunning(ctx, s)
	if err != nil || s.Phase != PhaseTrying {
		return s, err
	}
	if err := u.Box.Start(ctx); err != nil {
		u.Log.Warn("the new version does not start at once", "err", err)
	}
	r, err := u.judge(ctx, s)
	if err == nil && r.Outcome == Restarting {
		err = errRestart
	}
	if err != nil {
		return s, err
	}
	return u.load()
}

// Apply goes on with an update that was cut off. It returns how the newest one
// ended, or stands. Where nothing goes on it tells the bootloader that the system
// that runs is a good one.
func (u *Updater) Apply(ctx context.Context) (Result, error) {
	return u.working(ctx, u.goOnOrRestart, func(s State) (Result, error) {
		if u.Image == nil || s.Phase != PhaseNone {
			return s.Last, nil
		}
		if err := u.good(); err != nil {
			u.Log.Error("the bootloader is not told that this system is good: it may leave it after some starts", "err", err)
		}
		return s.Last, nil
	})
}

// Confirm ends the trial of the new version now: a person has looked.
func (u *Updater) Confirm(ctx context.Context) (Result, error) {
	return u.working(ctx, u.resumeRunning, func(s State) (Result, error) {
		if s.Phase != PhaseTrying {
			return s.Last, errors.New("confirm: no version is on trial")
		}
		return u.confirm(ctx, s)
	})
}

// Rollback goes back to the version before, which has to prove itself like any
// other.
func (u *Updater) Rollback(ctx context.Context, reason string) (Result, error) {
	return u.working(ctx, u.resumeRunning, func(s State) (Result, error) {
		switch {
		case s.Phase == PhaseTrying:
			return u.takeBack(ctx, s, reason)
		case s.Previous.Target == "":
			return s.Last, errors.New("roll back: there is no version before this one")
		case s.Previous.Journal < s.Confirmed.Journal-1:
			return s.Last, fmt.Errorf("roll back: %s cannot read the journal of %s", s.Previous.Version, s.Confirmed.Version)
		}
		if err := u.verify(s.Previous); err != nil {
			return s.Last, fmt.Errorf("roll back: %w", err)
		}
		return u.change(ctx, s, s.Previous)
	})
}
