package serialio

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrInUse is wrapped by Open's error when the port is taken, by another
// process or by this one.
var ErrInUse = errors.New("the port is in use")

// Holder is a process that has a port open.
type Holder struct {
	PID  int
	Name string // of its executable, as the kernel keeps it (15 bytes)
}

func (h Holder) String() string {
	if h.PID == os.Getpid() {
		return "this process"
	}
	return fmt.Sprintf("process %d (%s)", h.PID, h.Name)
}

// Holders lists the processes that have a device open. It sees those of the
// same user, and all of them as root.
func Holders(path string) []Holder {
	var found []Holder
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || !holds(proc, path) {
			continue
		}
		comm, err := os.ReadFile(proc + "/comm")
		if err != nil {
			continue // it has ended
		}
		found = append(found, Holder{pid, strings.TrimSpace(string(comm))})
	}
	return found
}

func holds(proc, path string) bool {
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if target, err := os.Readlink(proc + "/fd/" + fd.Name()); err == nil && target == path {
			return true
		}
	}
	return false
}

func inUse(path string) error {
	holders := Holders(path)
	if len(holders) == 0 {
		return fmt.Errorf("%w by a process of another user: stop it", ErrInUse)
	}
	if len(holders) == 1 && holders[0].PID == os.Getpid() {
		return fmt.Errorf("%w by this process: another terminal of its configuration is on it, and one port has one terminal", ErrInUse)
	}
	var names []string
	for _, h := range holders {
		names = append(names, h.String())
	}
	return fmt.Errorf("%w by %s: stop it, or give this terminal another port", ErrInUse, strings.Join(names, ", "))
}
