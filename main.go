// Tillgate is the payment gateway inside a kiosk: it drives card terminals,
// journals every payment before it acts, and speaks MQTT to the controllers.
//
// The commands are the table in internal/cli, and what a running gateway
// consists of is internal/cli/run.go.
package main

import (
	"context"
	"os"

	"tillgate/internal/cli"
	"tillgate/link/drivers"
)

// Release builds are told by the linker what they are (.ci/static); otherwise
// the toolchain's own record is shown.
var version, revision string

func main() {
	terminals := drivers.All()
	os.Exit(cli.Main(context.Background(), os.Args[1:],
		cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		cli.Parts{Drivers: terminals, Version: cli.VersionOf(terminals, version, revision)},
	))
}
