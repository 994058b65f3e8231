package bom

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// Licences of the modules, one a line: path, SPDX expression, files with the
// notices in the module's folder, why it is here.
//
//go:embed modules.tsv
var modules string

// notices.txt as gzip has it: a sixth of the size.
//
//go:embed notices.gz
var notices []byte

// Notices are the licence texts of everything that can be in a binary, as
// their licences ask for, each with what it is of. Tillgate's own is not there.
func Notices() string {
	r, err := gzip.NewReader(bytes.NewReader(notices))
	if err != nil {
		panic(fmt.Sprintf("bom: the embedded notices: %v", err)) // a fault of the build
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("bom: the embedded notices: %v", err))
	}
	return string(text)
}

// Module is what is known of a module beside its version.
type Module struct {
	SPDX  string
	Files []string // with the notices, in the module's folder
	Why   string   // it is in the binary
}

// Licences maps the path of every module that can be in a binary, whatever the
// build tags, to what is known of it.
func Licences() map[string]Module {
	all := map[string]Module{}
	for line := range strings.Lines(modules) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, "\t", 4)
		for len(f) < 4 {
			f = append(f, "")
		}
		all[f[0]] = Module{SPDX: f[1], Files: strings.Fields(f[2]), Why: f[3]}
	}
	return all
}
