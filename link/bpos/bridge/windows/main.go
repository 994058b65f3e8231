//go:build windows

// The bridge to the vendor's library for Windows: a program of its own, which
// makes the COM object ECRCommX.BPOS1Lib and lets the gateway call it by the line
// protocol of tillgate/link/bpos/bridge, over TCP:
//
//	tillgate-bpos-bridge-386.exe -listen 192.168.2.10:7171 -allow 192.168.2.0/24
//
// The library that works in the field has 32 bits, so it needs the bridge of 32
// bits, on Windows of any width. `make bridge` cross-compiles both.
package main

import (
	"os"
	"runtime"
	"strconv"

	"github.com/go-ole/go-ole"

	"tillgate/link/bpos/bridge"
	"tillgate/link/bpos/bridge/com"
)

func main() {
	runtime.LockOSThread() // COM is initialised for a thread
	p := bridge.Program{
		Kind:  "windows",
		About: "Bridge between Tillgate and the vendor's ECRCommX library.",
		Open: func(string) (bridge.Library, error) {
			// In the multithreaded apartment: an object that wants messages to be
			// pumped gets a thread of COM's own, which pumps them.
			if err := ole.CoInitializeEx(0, ole.COINIT_MULTITHREADED); err != nil {
				return nil, err
			}
			return com.Open(create, strconv.IntSize)
		},
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}
	os.Exit(p.Run(os.Args[1:]))
}
