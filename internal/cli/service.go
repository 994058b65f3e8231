package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/firmware"
	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/payment"
	"tillgate/store"
)

// unit is the gateway as systemd knows it.
const unit = "tillgate.service"

// service is the gateway of this box as the updater sees it: a unit of systemd,
// and a control socket.
type service struct {
	config  string // file
	socket  string
	current string // program that runs
	log     *slog.Logger
}

// ask puts a question to the gateway, if it runs.
func (s *service) ask(question func(*control.Client) error) error {
	c, err := control.Dial(s.socket)
	if errors.Is(err, control.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return question(c)
}

func (s *service) Hold(ctx context.Context) error {
	err := s.ask(func(c *control.Client) error { return c.Hold(ctx) })
	switch payment.ReasonOf(err) {
	case payment.ReasonBusy, payment.ReasonUnsettled:
		return fmt.Errorf("%w: %w", firmware.ErrBusy, err)
	}
	return err
}

func (s *service) Release(ctx context.Context) error {
	return s.ask(func(c *control.Client) error { return c.Release(ctx) })
}

func (s *service) Stop(ctx context.Context) error { return systemctl(ctx, "stop", unit) }

// Reboot does not wait: what was begun goes on afterwards. Whoever is being
// stopped with the box is waited for by systemd.
func (s *service) Reboot(ctx context.Context) error { return systemctl(ctx, "--no-block", "reboot") }

// Start does not wait: whether the gateway comes up is for the judge to see.
func (s *service) Start(ctx context.Context) error {
	return systemctl(ctx, "--no-block", "start", unit)
}

var errNoSystemd = fmt.Errorf("%w: this box has no systemctl", exec.ErrNotFound)

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return errNoSystemd
	}
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), "; "))
	}
	return nil
}

// Settled runs as the user who owns the journal: root must leave no file there.
func (s *service) Settled(ctx context.Context, program string) error {
	if missing(s.config) {
		return nil // nobody has ever sold here
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--config", s.config, "firmware", "settled")
	if err := asOwner(cmd, s.config); err != nil {
		return err
	}
	out, err := cmd.CombinedOutput()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == exitDoubt {
		return fmt.Errorf("%w: %s", firmware.ErrBusy, strings.TrimSpace(string(out)))
	}
	if err != nil {
		return fmt.Errorf("read the journal of the stopped gateway: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// asOwner has cmd run as who owns the data folder that a configuration names.
func asOwner(cmd *exec.Cmd, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, _ := config.Parse(file, text, nil) // without drivers it has problems; the folder is what is wanted
	if c.Data == "" {
		c.Data = config.Default().Data
	}
	info, err := os.Stat(c.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && os.Getuid() == 0 && owner.Uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	return nil
}

func (s *service) Health(ctx context.Context) (firmware.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if missing(s.config) { // a box without settings sells nothing: its program has to run, no more
		v, err := versionOf(ctx, s.current)
		return firmware.Health{Version: firmware.Version(v.Version)}, err
	}
	c, err := control.Dial(s.socket)
	if err != nil {
		return firmware.Health{}, err
	}
	defer c.Close()
	h, err := c.Health(ctx)
	if err == nil && len(h.Stuck) > 0 {
		err = fmt.Errorf("stuck: %s", strings.Join(h.Stuck, ", "))
	}
	return firmware.Health{Version: firmware.Version(h.Version), Terminals: h.Terminals, Destinations: h.Destinations}, err
}

// versionOf asks a program who it is.
func versionOf(ctx context.Context, program string) (control.Version, error) {
	var v control.Version
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "version", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}

// machine is what this box can run, as bundles name it. A 32-bit program on a
// 64-bit kernel is one for ARMv7.
func machine() (string, error) {
	if runtime.GOARCH != "arm" {
		return runtime.GOARCH, nil
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask the kernel for the machine: %w", err)
	}
	if strings.HasPrefix(unix.ByteSliceToString(u.Machine[:]), "armv6") {
		return "armv6", nil
	}
	return "armv7", nil
}

type fwSettledCmd struct{}

// Run opens the journal of a gateway that does not run. Exit status 4: a
// payment is open or in doubt.
func (fwSettledCmd) Run(a *app) error {
	c, err := config.Load(a.table.Config, a.drivers)
	if err != nil {
		return err
	}
	if missing(filepath.Join(c.Data, "journal")) {
		return nil
	}
	b := &box{config: c, log: slog.New(slog.DiscardHandler)}
	j, err := store.Open(b.storeOptions())
	if err != nil {
		return err
	}
	open, err := j.Open()
	if err := errors.Join(err, j.Close()); err != nil {
		return err
	}
	if len(open) > 0 {
		return &exit{exitDoubt, fmt.Sprintf("%d payments are open or in doubt, the oldest is %s", len(open), open[0].ID)}
	}
	return nil
}
