package bom

import (
	_ "embed"
	"strings"
)

// Licences of the modules, one a line: path, SPDX expression, files with the
// notices in the module's folder, why it is here.
//
//go:embed modules.tsv
var modules string

// Notices are the licence texts of everything that can be in a binary, as
// their licences ask for, each with what it is of. Tillgate's own is not there.
//
//go:embed notices.txt
var Notices string

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
