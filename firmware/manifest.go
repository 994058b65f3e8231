package firmware

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// Manifest is the signed part of a bundle. It names everything else by its
// checksum.
type Manifest struct {
	Product string  `json:"product"` // "tillgate-firmware": a signature of something else is not one of a bundle
	Format  int     `json:"format"`  // 1
	Version Version `json:"version"`

	// Machine is what the program runs on: amd64, arm64, armv7 or armv6. An
	// armv6 program runs on armv7 as well.
	Machine string `json:"machine"`

	// Method is "binary": one program beside the previous one; or "rauc": a whole
	// system, as a bundle of RAUC.
	Method string `json:"method"`

	// Journal is the format of journals that this version writes. The version
	// before must be able to go on with it.
	Journal int `json:"journal"`

	// Replaces makes this a rollback: it may replace exactly these newer
	// versions, so that an old bundle cannot be used to go back for ever.
	Replaces []Version `json:"replaces,omitempty"`

	// Trust and Revoke change the keys once the version is confirmed. A key is
	// the text of a minisign public key, a revoked one its id in hexadecimal.
	Trust  []string `json:"trust,omitempty"`
	Revoke []string `json:"revoke,omitempty"`

	Notes string `json:"notes,omitempty"` // for people
	Files []File `json:"files"`           // in the order in which they follow
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Bounds of a bundle.
const (
	MaxBundle   = 1 << 30 // bytes, with everything
	maxManifest = 64 << 10
	maxFiles    = 16
	maxKeys     = 8
)

const product = "tillgate-firmware"

// The ways of installing. Another one gets another name, so that a box that does
// not know it refuses.
const (
	MethodBinary = "binary"
	MethodRAUC   = "rauc"
)

// The one file of a bundle: Program is also the name of every program.
const (
	Program = "tillgate"
	System  = "system.raucb"
)

// methods is the name of the file that each way of installing takes.
var methods = map[string]string{MethodBinary: Program, MethodRAUC: System}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseManifest reads a manifest whose signature has been verified. It is as
// strict as if it had not been: keys are stolen.
func parseManifest(b []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, errors.New("manifest: more than one JSON value")
	}
	return m, m.check()
}

func (m Manifest) check() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("manifest: "+format, args...)) }
	if m.Product != product {
		say("it is for %.40q, not for %s", m.Product, product)
	}
	if m.Format != 1 {
		say("format %d is not known here: update in smaller steps", m.Format)
	}
	if err := m.Version.Check(); err != nil {
		say("%w", err)
	}
	if !slices.Contains([]string{"amd64", "arm64", "armv7", "armv6"}, m.Machine) {
		say("machine %.20q is not known", m.Machine)
	}
	if m.Journal < 1 {
		say("it does not say which journal it writes")
	}
	if len(m.Replaces) > maxFiles || len(m.Trust) > maxKeys || len(m.Revoke) > maxKeys {
		say("too long a list")
	}
	for _, v := range m.Replaces {
		if err := v.Check(); err != nil {
			say("replaces: %w", err)
		}
	}
	switch {
	case methods[m.Method] == "":
		say("method %.20q is not known here", m.Method)
	case len(m.Files) != 1 || m.Files[0].Name != methods[m.Method]:
		say("a bundle of method %s has one file, %s", m.Method, methods[m.Method])
	case m.Files[0].Size <= 0 || m.Files[0].Size > MaxBundle:
		say("%s has %d bytes, at most %d are taken", m.Files[0].Name, m.Files[0].Size, MaxBundle)
	}
	for _, f := range m.Files {
		if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != 32 || !hexSHA256.MatchString(f.SHA256) {
			say("%.40q has no SHA-256", f.Name)
		}
	}
	return errors.Join(wrong...)
}

// fits says whether a program for machine m runs on a box that is one for own.
func fits(m, own string) bool { return m == own || m == "armv6" && own == "armv7" }

// Fits says whether the bundle is for a box that is a machine of this kind.
func (m Manifest) Fits(machine string) bool { return fits(m.Machine, machine) }
