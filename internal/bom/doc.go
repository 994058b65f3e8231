// Package bom tells what a Tillgate binary is made of: a CycloneDX bill of
// materials, and the licences with their notices.
//
// The modules come from the record that the toolchain puts into every binary,
// so the bill speaks of the binary that prints it. What C adds to a static
// build is pinned in native.go; .ci/libusb and .ci/guard hold the build to it.
// Licences are found by people, not by programs: a module that is not in
// modules.tsv fails the tests of this package.
//
//	go test ./internal/bom -update    writes notices.txt, notices.gz and the table of docs/licences.md anew
package bom
