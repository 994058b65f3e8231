// Package config reads the one YAML file that says what a box is: its name,
// its folders, its brokers and its terminals.
//
//	bytes ─► parse ─► decode ──► check ──► Config
//	         (YAML)   (strict:   (bounds, names, secrets, drivers' profiles)
//	                   unknown keys, types, duplicates)
//
// Reading is strict: an unknown key is a mistake that would otherwise show
// itself as a setting without an effect. Every problem is reported at once,
// each with file, line and the path of its key ([Problems]). Aliases, anchors,
// tags and merge keys are refused: a settings file of one page needs none, and
// a file that expands has no bound.
//
// Secrets are never in the file. A key that ends in _file names a file which
// only its owner, or owner and group, can read; what it holds is a [Secret],
// which masks itself.
//
// The Go types are the one source: the JSON Schema ([Schema]) is generated from
// them and from the drivers' own settings, and a test holds the commented
// example ([Example]) against it.
package config
