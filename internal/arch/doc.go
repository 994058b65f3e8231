// Package arch holds the tests of the house itself: who may import whom, each
// rule with its reason, and what every source file keeps to.
//
// There is no code in it to import. Run it with
//
//	go test ./internal/arch
//
// It needs the go command and nothing else, and reads the sources of this
// module; a new package gets a line in the table of rooms, with its reason.
package arch
