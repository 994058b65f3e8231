package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ErrNotRunning is wrapped when nobody listens on a socket.
var ErrNotRunning = errors.New("no gateway is running")

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// unreachable says why nobody could be reached, and what to do.
func unreachable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w on %s (there is no such socket): start one with `tillgate run` or `tillgate demo`", ErrNotRunning, path)
	case refused(err):
		return fmt.Errorf("%w on %s (the socket is left from one that ended): start it with `tillgate run` or `tillgate demo`", ErrNotRunning, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not talk to the gateway on %s: %s", path, wayIn(path))
	}
	return fmt.Errorf("the gateway on %s cannot be reached: %w", path, err)
}

// wayIn names the group that may use the socket.
func wayIn(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "its folder is closed to this user; use sudo, or join the group that owns it"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "use sudo"
	}
	group := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	if st.Gid == 0 {
		return "it belongs to root; use sudo, or run the gateway as a user of its own"
	}
	return fmt.Sprintf("it belongs to group %s; join it with `sudo usermod -aG %s $USER` and log in again, or use sudo", group, group)
}
