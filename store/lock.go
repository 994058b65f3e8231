package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long Open waits for a process that is just going away.
const lockWait = 300 * time.Millisecond

// HeldError says that another process holds the journal.
type HeldError struct {
	Dir string
	PID int // 0 if it could not be found out
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("journal %s is held by another process: ask the running gateway, or stop it first", e.Dir)
	}
	return fmt.Sprintf("journal %s is held by process %d: ask the running gateway, or stop it first", e.Dir, e.PID)
}

// lockDir takes the directory for this process: alone, or together with other
// readers. The lock goes when the process does. A reader of a medium that
// cannot be written, where nobody else can be a writer, gets nil.
func lockDir(dir string, readOnly bool) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	flag, how := os.O_RDWR|os.O_CREATE, unix.LOCK_EX
	if readOnly {
		flag, how = os.O_RDONLY, unix.LOCK_SH
	}
	f, err := os.OpenFile(path, flag, 0o640)
	if readOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &HeldError{dir, readPID(f)}
		}
		return nil, fmt.Errorf("journal %s: lock: %w", dir, err)
	}
	if readOnly {
		return f, nil
	}
	// The pid is help for a person, not the lock: a disk without room for it
	// does not stop the box.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

func readPID(f *os.File) int {
	var b [16]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
