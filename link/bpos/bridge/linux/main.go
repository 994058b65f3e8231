//go:build bposlib && linux && cgo

// The bridge to the vendor's library for Linux: a program of its own, which loads
// libBPOSLib.so and lets the gateway call it by the line protocol of
// tillgate/link/bpos/bridge. It is built by `make bridge`, with a C compiler, for
// the processor that the library was built for; no vendor file is needed for that.
package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"tillgate/link/bpos/bridge"
)

func main() {
	runtime.LockOSThread() // a library may keep something for its thread
	out, err := ownOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p := bridge.Program{
		Kind:    "linux",
		About:   "Bridge between Tillgate and the vendor's BPOS library for Linux.",
		Library: "`path` of the vendor's libBPOSLib.so; libCommLibX.so and libECRLibX.so are looked for as ld.so does",
		Open:    func(path string) (bridge.Library, error) { return load(path) },
		In:      os.Stdin, Out: out, Err: os.Stderr,
	}
	os.Exit(p.Run(os.Args[1:]))
}

// ownOutput keeps standard output for the line alone: what the library prints
// there goes to standard error.
func ownOutput() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	if err := unix.Dup3(unix.Stderr, unix.Stdout, 0); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "line"), nil
}
