// Package secretfile reads the files that the configuration names: passwords and
// keys of one line, and what only has to be there.
//
// A file with a secret can be read by its owner and group and written by its
// owner alone. Errors name the file and say what to do about it; they never have
// a part of what is in it.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Max is the largest secret in bytes, with its line break.
const Max = 4096

// Read reads a secret of one line, which is not empty; the line breaks at its
// end do not count.
func Read(file string) (string, error) {
	f, err := open(file, true)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, Max+1))
	line := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		return "", err
	case len(b) > Max:
		return "", fmt.Errorf("%s is larger than %d bytes", file, Max)
	case line == "":
		return "", fmt.Errorf("%s is empty", file)
	case strings.ContainsAny(line, "\r\n\x00"):
		return "", fmt.Errorf("%s has more than one line", file)
	}
	return line, nil
}

// Check says what is wrong with a file that somebody else will read; private
// says that there is a secret in it.
func Check(file string, private bool) error {
	f, err := open(file, private)
	if err == nil {
		f.Close()
	}
	return err
}

func open(file string, private bool) (*os.File, error) {
	// A pipe without a writer must not hold us up: it is refused below.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", file)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: this user (uid %d) may not read it", file, os.Getuid())
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a file", file)
	case private && info.Mode().Perm()&0o027 != 0:
		err = fmt.Errorf("%s can be read by others (mode %04o); run: chmod 0640 %s", file, info.Mode().Perm(), file)
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}
