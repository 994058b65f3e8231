package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tillgate/internal/config"
	"tillgate/internal/control"
)

// dial finds the running gateway: the socket that was named, or the one that
// the configuration names, or the demo's.
func (a *app) dial() (*control.Client, error) {
	paths := a.sockets()
	var tried []string
	for _, path := range paths {
		c, err := control.Dial(path)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, control.ErrNotRunning) || len(paths) == 1 {
			return nil, err
		}
		tried = append(tried, path)
	}
	return nil, fmt.Errorf("no gateway is running: nobody answers on %s; start one with `tillgate run` or `tillgate demo`, or name its socket with --socket", strings.Join(tried, " or "))
}

func (a *app) sockets() []string {
	if a.table.Socket != "" {
		return []string{a.table.Socket}
	}
	return []string{a.configuredSocket(), filepath.Join(demoDir(), socketName)}
}

const socketName = "tillgate.sock"

// configuredSocket reads the configuration as far as this user may: neither
// its secrets nor its mistakes matter here.
func (a *app) configuredSocket() string {
	path := filepath.Join(config.Default().Runtime, socketName)
	text, err := os.ReadFile(a.table.Config)
	if err != nil {
		return path
	}
	if c, _ := config.Parse(a.table.Config, text, a.drivers); c.Socket != "" {
		return c.Socket
	}
	return path
}

// demoDir is where the demo keeps its state between runs (XDG Base Directory
// Specification 0.8: $XDG_STATE_HOME, else ~/.local/state).
func demoDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tillgate", "demo")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("tillgate-demo-%d", os.Getuid()))
	}
	return filepath.Join(home, ".local", "state", "tillgate", "demo")
}

// missing says whether a file is not there, as opposed to not readable.
func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
