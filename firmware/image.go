package firmware

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Image is what keeps two complete systems on a box, of which one runs
// (firmware/rauc). A system is renewed by writing the other one and restarting:
//
//	system A                                        system B
//	stage ─► hold ─► stop ─► settled? ─► activate ─► restart ─► gate ─┬─► good
//	into B                               B starts    link,            └─► activate A,
//	                                     next        on trial             restart
//
// A system that does not come up is left by the bootloader, and [Updater.Boot]
// finds itself in the old one. Each method bounds its own time, but Install.
type Image interface {
	// Booted is the slot of the system that runs.
	Booted(ctx context.Context) (slot string, err error)
	// Install verifies a bundle and writes it into the other slot. What starts next
	// stays as it is.
	Install(ctx context.Context, file string) (slot string, err error)
	// Activate makes slot the one that starts next.
	Activate(ctx context.Context, slot string) error
	// Good says that the system that runs has proven itself, Bad that it is not to
	// be started again.
	Good(ctx context.Context) error
	Bad(ctx context.Context) error
}

// errRestart: the box restarts, and what is going on goes on afterwards.
var errRestart = errors.New("the box restarts")

// errRAUC is wrapped by what RAUC does not do.
var errRAUC = errors.New("RAUC does not do its part")

// started forgets that the box restarts.
func started(err error) error {
	if errors.Is(err, errRestart) {
		return nil
	}
	return err
}

// restarting is how an update stands that went as far as err.
func (u *Updater) restarting(s State, err error) (Result, error) {
	if errors.Is(err, errRestart) {
		return Result{Outcome: Restarting, Version: s.To.Version, Text: "the box restarts into its other system, and goes on there"}, nil
	}
	return s.Last, err
}

// ended is how an update ended, or stands.
func (u *Updater) ended(err error) (Result, error) {
	s, _ := u.load()
	return u.restarting(s, err)
}

// acrossSystems says whether the update that is going on leads into another
// system than the one it came from.
func (s State) acrossSystems() bool { return s.From.Slot != s.To.Slot }

// OnTrial says whether the version that runs has still to prove itself, or is
// about to be left: it must not sell. A system that is being replaced takes no
// payment either, since the box may restart at any moment.
func (s State) OnTrial() bool {
	return s.Phase == PhaseTrying || s.Phase != PhaseNone && s.acrossSystems()
}

// papers is the folder of the manifest that p was installed with, "" if none.
func (p Place) papers() string {
	switch {
	case !filepath.IsAbs(p.Target):
		return p.Target
	case p.Slot != "":
		return versionFolder(p.Version)
	}
	return ""
}

// stageSystem has the system of a bundle written into the slot that does not
// run. Whatever was there can be gone back to no more.
func (u *Updater) stageSystem(ctx context.Context, s State, b *Bundle) (State, Place, error) {
	to := Place{Version: b.Manifest.Version, Target: u.Packaged.Target, Journal: b.Manifest.Journal}
	if u.Image == nil {
		return s, to, errors.New("it is a whole system, and this box has no RAUC that could take it (/etc/rauc/system.conf)")
	}
	booted, err := u.Image.Booted(ctx)
	if err != nil {
		return s, to, err
	}
	making, err := u.unpack(b)
	if err != nil {
		return s, to, err
	}
	folder := filepath.Join(u.Dir, versionFolder(to.Version))
	if err := u.disk.rename(making, folder); err != nil {
		return s, to, err
	}
	if s.Previous.Slot != "" && s.Previous.Slot != booted {
		s.Previous = Place{}
		if err := u.save(s); err != nil {
			return s, to, err
		}
	}
	u.disk.step("install", to.Target)
	if to.Slot, err = u.Image.Install(ctx, filepath.Join(folder, System)); err != nil {
		return s, to, err
	}
	if to.Slot == booted {
		return s, to, fmt.Errorf("the image was written into %s, which runs", booted)
	}
	return s, to, u.disk.remove(filepath.Join(folder, System)) // it may be large
}

// inSlots says in which systems an update begins and ends. A program needs no
// RAUC to be renewed.
func (u *Updater) inSlots(ctx context.Context, from, to Place) (Place, Place, error) {
	program := to.Slot == ""
	if u.Image == nil {
		if to.Slot != from.Slot && !program {
			return from, to, errors.New("it is in the other system of this box, and there is no RAUC any more")
		}
		to.Slot = from.Slot
		return from, to, nil
	}
	booted, err := u.Image.Booted(ctx)
	switch {
	case err == nil:
		from.Slot = booted
	case !program:
		return from, to, err
	default:
		u.Log.Warn("it is not known which system runs", "err", err)
	}
	if program {
		to.Slot = from.Slot
	}
	return from, to, nil
}

// bootOther makes the new system the one that starts next, and restarts. The
// gateway is stopped. s is switching, and is on the disk.
func (u *Updater) bootOther(ctx context.Context, s State) (Result, error) {
	booting := s
	booting.Phase, booting.Tries = PhaseBooting, 1
	err := u.point(s.To)
	if err == nil {
		err = u.activate(s.To)
	}
	if err == nil {
		err = u.save(booting)
	}
	if err == nil {
		err = u.restart(ctx)
	}
	if errors.Is(err, errRestart) {
		return u.restarting(s, err)
	}
	if undone := u.undo(ctx, s); undone != nil { // the next Apply goes on; until then nothing is sold
		err = errors.Join(err, undone, u.Box.Start(ctx))
	}
	return s.Last, err
}

func (u *Updater) restart(ctx context.Context) error {
	u.disk.step("restart", u.Dir)
	if err := u.Box.Reboot(ctx); err != nil {
		return fmt.Errorf("restart the box: %w", err)
	}
	return errRestart
}

// booted, activate, good and leave are not cut short by whoever waits for them.
func (u *Updater) booted() (slot string, err error) {
	if slot, err = u.Image.Booted(context.Background()); err != nil {
		err = fmt.Errorf("%w: %w", errRAUC, err)
	}
	return slot, err
}

func (u *Updater) activate(p Place) error {
	u.disk.step("activate", p.Slot)
	if err := u.Image.Activate(context.Background(), p.Slot); err != nil {
		return fmt.Errorf("%w: %w", errRAUC, err)
	}
	return nil
}

func (u *Updater) good() error {
	u.disk.step("mark good", u.Dir)
	if err := u.Image.Good(context.Background()); err != nil {
		return fmt.Errorf("%w: %w", errRAUC, err)
	}
	return nil
}

// goOnOrRestart goes on, and restarts a box on which an update of the whole system
// cannot since RAUC does not do its part: it sells nothing anyhow. Once the
// bootloader has taken the old system, whose RAUC does, it ends well.
func (u *Updater) goOnOrRestart(ctx context.Context, s State) (State, error) {
	s, why := u.goOn(ctx, s)
	if !errors.Is(why, errRAUC) {
		return s, why
	}
	s, err := u.load()
	if err != nil || s.Tries > 2*MaxTries {
		return s, errors.Join(why, err)
	}
	u.Log.Error("the box restarts, since the update cannot go on", "err", why)
	s.Tries++
	if err := u.save(s); err != nil {
		return s, errors.Join(why, err)
	}
	return s, u.restart(ctx)
}

// leave makes the old system the one that starts next. In the new one it
// restarts the box, which is [errRestart].
func (u *Updater) leave(s State) error {
	ctx := context.Background()
	if err := u.activate(s.From); err != nil {
		return err
	}
	booted, err := u.booted()
	if err != nil || booted == s.From.Slot {
		return err
	}
	u.disk.step("mark bad", u.Dir)
	if err := u.Image.Bad(ctx); err != nil {
		u.Log.Warn("the bootloader is not told that this system is bad", "err", err)
	}
	return u.restart(ctx)
}

// resumeImage goes on, or back, by which system runs.
func (u *Updater) resumeImage(s State, start func() error) (State, error) {
	if u.Image == nil {
		return s, errors.New("an update of the whole system is going on, and there is no RAUC any more")
	}
	booted, err := u.booted()
	if err != nil {
		return s, err
	}
	there := booted == s.To.Slot
	switch {
	case there && (s.Phase == PhaseSwitching || s.Phase == PhaseBooting):
		s.Phase, s.Tries = PhaseTrying, 0
		return s, u.save(s)
	case there && s.Phase == PhaseTrying:
		return s, nil
	case s.Phase == PhaseSwitching:
		if err = u.point(s.From); err == nil {
			err = u.activate(s.From)
		}
		if err == nil {
			err = errors.Join(start(), u.end(s, Cut, s.To.Version, "it was interrupted before the switch; it can be tried again"))
		}
	case s.Phase == PhaseBooting && !u.booting && s.Tries < MaxTries: // the restart was cut off
		if s.Tries++; u.save(s) == nil {
			return s, u.restart(context.Background())
		}
	case s.Phase == PhaseReturning:
		err = u.back(s, start, s.Last.Text)
	default:
		err = u.back(s, start, "the new system does not start: the bootloader has taken the old one again")
	}
	if err != nil {
		return s, err
	}
	return u.load()
}
