package firmware

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk makes changes that are on the disk when they are done: a file is flushed
// before it gets its name, and its folder after.
type disk struct {
	// before is called before each change that can be cut off from the next
	// one. Tests end the updater there; nil does nothing.
	before func(change, path string)
}

func (d disk) step(change, path string) {
	if d.before != nil {
		d.before(change, path)
	}
}

// write makes or replaces a file.
func (d disk) write(path string, b []byte, mode fs.FileMode) error {
	making := path + ".new"
	if err := d.fill(making, mode, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
		return err
	}
	return d.rename(making, path)
}

// fill makes a file that nobody looks for under this name, and flushes it.
func (d disk) fill(path string, mode fs.FileMode, from func(io.Writer) error) error {
	d.step("create", path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	d.step("write", path)
	err = from(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	d.step("flush", path)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d disk) rename(from, to string) error {
	d.step("rename", to)
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.step("flush folder", filepath.Dir(to))
	return flushFolder(filepath.Dir(to))
}

// link makes or replaces a symbolic link in one step.
func (d disk) link(target, path string) error {
	making := path + ".new"
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.step("link", making)
	if err := os.Symlink(target, making); err != nil {
		return err
	}
	return d.rename(making, path)
}

func (d disk) folder(path string) error {
	d.step("make folder", path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o755); err != nil { // whatever the umask of who calls is
		return err
	}
	return flushFolder(filepath.Dir(path))
}

func (d disk) remove(path string) error {
	d.step("remove", path)
	return os.RemoveAll(path)
}

func (d disk) writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.write(path, append(b, '\n'), 0o644)
}

// readJSON reads a file that this package has written; one that is not there
// leaves v as it is.
func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func flushFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
