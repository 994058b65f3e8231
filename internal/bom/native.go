package bom

import "slices"

// NativePart is what a C toolchain has put into a static binary.
type NativePart struct {
	Name    string
	Version string
	SPDX    string
	Source  string // where its source is
}

func (n NativePart) purl() string { return "pkg:generic/" + n.Name + "@" + n.Version }

// Native lists what is linked into a binary with these build tags. Without the
// tag static nothing is: cgo binaries then use the libraries of the system.
//
// The versions are those of Debian 12, with which releases are built;
// .ci/guard looks them up in the binary where it can.
func Native(tags []string) []NativePart {
	if !slices.Contains(tags, "static") || !slices.Contains(tags, "libusb") {
		return nil
	}
	return []NativePart{
		{"libusb", "1.0.26", "LGPL-2.1-or-later", "https://deb.debian.org/debian/pool/main/libu/libusb-1.0/"},
		{"glibc", "2.36", "LGPL-2.1-or-later", "https://deb.debian.org/debian/pool/main/g/glibc/"},
		{"libgcc", "12.2.0", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://deb.debian.org/debian/pool/main/g/gcc-12/"},
	}
}
