package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tillgate/firmware"
	"tillgate/firmware/rauc"
)

// firmwareCmd is everything about updates of the box.
type firmwareCmd struct {
	Dir  string `help:"Folder of the versions." env:"TILLGATE_FIRMWARE" default:"/var/lib/tillgate-firmware" placeholder:"DIR"`
	Keys string `help:"Folder of the public keys whose signatures count, *.pub." env:"TILLGATE_KEYS" default:"/etc/tillgate/keys" placeholder:"DIR"`

	RAUC string `name:"rauc" help:"Configuration of RAUC. A box that has none has one system, and only the program is updated." default:"/etc/rauc/system.conf" placeholder:"FILE"`

	Trial  time.Duration `help:"How long a new version has to prove itself." default:"5m" placeholder:"TIME"`
	Steady time.Duration `help:"How long it has to be well without a break." default:"10s" placeholder:"TIME"`
	Base   string        `hidden:"" help:"Folder of the program that the package or image brought." default:"/usr/lib/tillgate" placeholder:"DIR"`

	Status   fwStatusCmd   `cmd:"" help:"Tell which version runs, and how the last update went."`
	Install  fwInstallCmd  `cmd:"" help:"Install a signed bundle."`
	Confirm  fwConfirmCmd  `cmd:"" help:"Keep the version that is on trial, without waiting for the rest of its trial."`
	Rollback fwRollbackCmd `cmd:"" help:"Go back to the version before."`
	Keygen   fwKeygenCmd   `cmd:"" help:"Make a key pair for signing bundles."`
	Sign     fwSignCmd     `cmd:"" help:"Make a signed bundle of a program."`
	Apply    fwApplyCmd    `cmd:"" hidden:"" help:"Root's part: go on with an update, and install what is asked for."`
	Stick    fwStickCmd    `cmd:"" hidden:"" help:"Look for an update on a USB stick that was plugged in."`
	Boot     fwBootCmd     `cmd:"" hidden:"" help:"Put an update in order that was cut short, before the gateway starts."`
	Packaged fwPackagedCmd `cmd:"" hidden:"" help:"Run the packaged program, if it is newer than the last update."`
	Settled  fwSettledCmd  `cmd:"" hidden:"" help:"Tell whether the journal of a stopped gateway has a payment that is open."`
}

func (firmwareCmd) Help() string {
	return `An update is a bundle: a manifest signed with minisign, and the program it
names. Nothing is switched while a payment is open or in doubt. A new version
sells nothing until it has proven itself: the journal opens, the terminals
that answered before answer again, the brokers that were connected are
connected again. If it does not within five minutes, the old one is back by
itself.

    tillgate firmware status
    sudo tillgate firmware install tillgate-v1.4.0-arm64.bundle
    sudo tillgate firmware install https://updates.example.com/tillgate-v1.4.0-arm64.bundle
    sudo tillgate firmware install --usb
    sudo tillgate firmware rollback --reason "terminals are slow"`
}

// updater makes root's part, for this box.
func (a *app) updater() (*firmware.Updater, error) {
	f := &a.table.Firmware
	packaged := firmware.Place{Version: firmware.Version(a.version.Version), Target: f.Base, Journal: a.version.Journal}
	if self, err := os.Executable(); err != nil || filepath.Dir(self) != f.Base {
		v, err := versionOf(a.ctx, filepath.Join(f.Base, firmware.Program))
		if err != nil {
			return nil, fmt.Errorf("ask the packaged program for its version: %w: updates are for a box with the Debian package or the image: install the package (again)", err)
		}
		packaged.Version, packaged.Journal = firmware.Version(v.Version), v.Journal
	}
	machine, err := machine()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(a.Err, nil))
	u := &firmware.Updater{
		Dir: f.Dir, Keys: f.Keys, GateWithin: f.Trial, Steady: f.Steady, Packaged: packaged, Machine: machine, Log: log,
		Box: &service{config: a.table.Config, socket: a.configuredSocket(), current: filepath.Join(f.Dir, "current", firmware.Program), log: log},
	}
	if !missing(f.RAUC) {
		u.Image = &rauc.Client{Log: log}
	}
	return u, nil
}

type fwStatusCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

func (s *fwStatusCmd) Run(a *app) error {
	dir := a.table.Firmware.Dir
	st, err := firmware.ReadState(dir)
	if err != nil {
		return fmt.Errorf("read the updater's state: %w", err)
	}
	u := firmware.Updater{Dir: dir, Keys: a.table.Firmware.Keys}
	keys, err := u.TrustedKeys()
	if err != nil {
		return err
	}
	ids := keys.IDs()
	if s.JSON {
		return asJSON(a.Out, struct {
			firmware.State
			Keys []string `json:"keys"`
		}{st, ids})
	}
	runs := string(st.Confirmed.Version)
	if runs == "" {
		runs = "the packaged one"
	}
	if st.Confirmed.Slot != "" {
		runs += ", in " + st.Confirmed.Slot
	}
	rows := [][]string{{"version", runs}}
	if st.Phase != firmware.PhaseNone {
		now := fmt.Sprintf("%s %s", st.Phase, st.To.Version)
		if st.Tries > 0 {
			now += fmt.Sprintf(" (start %d of %d)", st.Tries, firmware.MaxTries)
		}
		rows = append(rows, []string{"now", now})
	}
	if st.Previous.Target != "" {
		rows = append(rows, []string{"before", string(st.Previous.Version) + ", kept for a rollback"})
	}
	if l := st.Last; l.Outcome != "" {
		rows = append(rows, []string{"last update", strings.TrimSpace(fmt.Sprintf("%s %s at %s %s", l.Version, l.Outcome, l.At.Format(time.DateTime), l.Text))})
	}
	for _, f := range st.Failed {
		rows = append(rows, []string{"failed", fmt.Sprintf("%s: %s", f.Version, f.Reason)})
	}
	trusted := strings.Join(ids, ", ")
	if trusted == "" {
		trusted = "none: put the public key of who makes the updates into " + u.Keys
	}
	columns(a.Out, append(rows, []string{"trusted keys", trusted}))
	return nil
}

type fwInstallCmd struct {
	Bundle string   `arg:"" optional:"" help:"File, or https address."`
	USB    bool     `name:"usb" help:"Take the newest bundle that fits from a mounted USB stick."`
	Search []string `help:"With --usb: folders to look in. Default: where sticks are mounted." placeholder:"DIR"`
	JSON   bool     `name:"json" help:"Print the result as JSON."`
}

func (i *fwInstallCmd) Run(a *app) error {
	if (i.Bundle == "") == !i.USB {
		return &exit{exitUsage, "name a bundle, or take one from a stick with --usb"}
	}
	file := i.Bundle
	switch {
	case i.USB:
		found, err := a.stick(i.Search)
		if err != nil {
			return err
		}
		file = found
		fmt.Fprintln(a.Err, "found", file)
	case strings.Contains(i.Bundle, "://"):
		dir, err := os.MkdirTemp("", "tillgate-fetch-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		fmt.Fprintln(a.Err, "fetching", i.Bundle)
		if file, err = (firmware.Fetcher{Dir: dir}).Fetch(a.ctx, i.Bundle); err != nil {
			return err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the bundle: %w", err)
	}
	defer f.Close()
	u, err := a.updater()
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Err, "installing; a payment that is open is waited for, and the new version has up to", a.table.Firmware.Trial, "to prove itself")
	r, err := u.Install(a.ctx, f)
	return a.installed(r, i.JSON, err)
}

// installed tells how an update ended. What is confirmed is success.
func (a *app) installed(r firmware.Result, asjson bool, err error) error {
	if asjson && r.Outcome != "" {
		if err := asJSON(a.Out, r); err != nil {
			return err
		}
	}
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w: updates are root's: try again with sudo", err)
		}
		return err
	}
	switch {
	case r.Outcome == firmware.Restarting:
		if !asjson {
			fmt.Fprintf(a.Out, "%s: %s; afterwards `tillgate firmware status` tells how it went\n", r.Version, r.Text)
		}
	case r.Outcome == firmware.Confirmed && !asjson:
		fmt.Fprintf(a.Out, "%s runs\n", r.Version)
	case r.Outcome != firmware.Confirmed:
		return fmt.Errorf("%s %s: %s", r.Version, r.Outcome, r.Text)
	}
	return nil
}

type fwConfirmCmd struct{}

func (fwConfirmCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	r, err := u.Confirm(a.ctx)
	return a.installed(r, false, err)
}

type fwRollbackCmd struct {
	Reason string `default:"by hand" help:"Why, for the record."`
}

func (c *fwRollbackCmd) Run(a *app) error {
	u, err := a.updater()
	if err != nil {
		return err
	}
	r, err := u.Rollback(a.ctx, c.Reason)
	if err == nil && r.Outcome == firmware.RolledBack { // a version on trial: that was the wish
		fmt.Fprintln(a.Out, "the version on trial was taken back")
		return nil
	}
	return a.installed(r, false, err)
}
