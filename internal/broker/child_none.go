//go:build nobroker

package broker

import (
	"fmt"
	"io"
)

// Built says whether this binary has the broker in it: it was built with the tag
// nobroker, for boxes that have a broker of their own and little room.
const Built = false

// Main says that there is no broker, and returns the exit status.
func Main(_ io.Reader, _, stderr io.Writer) int {
	fmt.Fprintln(stderr, "broker: this binary was built without the embedded broker (tag nobroker)")
	return 1
}
