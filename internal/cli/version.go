package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"tillgate/internal/bom"
	"tillgate/internal/control"
	"tillgate/link"
	"tillgate/mqtt"
	"tillgate/store"
)

type versionCmd struct {
	JSON     bool `name:"json" xor:"form" help:"Print it as JSON."`
	SBOM     bool `name:"sbom" xor:"form" help:"Print what this program is made of, as a CycloneDX bill of materials."`
	Licences bool `name:"licences" xor:"form" help:"Print the licences of what is in it, with their notices."`
}

func (v *versionCmd) Run(a *app) error {
	switch {
	case v.SBOM:
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return errors.New("bill of materials: this program has no record of its build: it was not built by the go command")
		}
		return asJSON(a.Out, bom.Of(info, a.version.Version, a.version.Revision))
	case v.Licences:
		_, err := io.WriteString(a.Out, bom.Notices())
		return err
	}
	if v.JSON {
		return asJSON(a.Out, a.version)
	}
	w := a.version
	revision := w.Revision
	if w.Modified {
		revision += " (changed)"
	}
	columns(a.Out, [][]string{
		{"tillgate", w.Version}, {"revision", revision}, {"built with", w.Go}, {"for", w.Platform},
		{"tags", strings.Join(w.Tags, ", ")}, {"drivers", strings.Join(w.Drivers, ", ")},
	})
	return nil
}

type contractCmd struct{}

func (contractCmd) Help() string {
	return `The topics, payloads and reasons, made from the types this program uses. The
SHA-256 of the output is asyncapi_sha256 in the box's topic info.

    tillgate contract > asyncapi.json`
}

func (contractCmd) Run(a *app) error {
	b, err := mqtt.AsyncAPI()
	if err != nil {
		return err
	}
	_, err = a.Out.Write(b) // not a byte more: its SHA-256 is published
	return err
}

// VersionOf reads what the toolchain has written into this program. What the
// linker was told, version and revision, goes before that.
func VersionOf(drivers []link.Driver, version, revision string) control.Version {
	v := control.Version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Tags: []string{}, Drivers: names(drivers), Journal: store.Format}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "-tags":
			v.Tags = strings.FieldsFunc(s.Value, func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "development"
	}
	if version != "" {
		v.Version, v.Revision, v.Modified = version, revision, strings.HasSuffix(version, "+changed")
	}
	return v
}

// short is the version in a few words, for logs and MQTT.
func short(v control.Version) string {
	if len(v.Revision) >= 12 {
		return fmt.Sprintf("%s (%s)", v.Version, v.Revision[:12])
	}
	return v.Version
}
