package bom

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// Document is a bill of materials as CycloneDX 1.6 has it in JSON; only what is
// filled here. https://cyclonedx.org/docs/1.6/json/
type Document struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"` // made from the content, so that equal binaries have equal bills
	Version      int          `json:"version"`
	Metadata     Metadata     `json:"metadata"`
	Components   []Component  `json:"components"`
	Dependencies []Dependency `json:"dependencies"`
}

// Metadata says what the bill is about.
type Metadata struct {
	Component  Component  `json:"component"`
	Properties []Property `json:"properties,omitempty"`
}

// Component is one thing that is in the binary.
type Component struct {
	Type       string     `json:"type"` // "application" or "library"
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Licences   []Licence  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []Property `json:"properties,omitempty"`
}

// Licence is an SPDX expression.
type Licence struct {
	Expression string `json:"expression"`
}

// Property is a name with a value, in a namespace of ours.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Dependency says what a component needs; of the modules only that the
// application needs them is known here.
type Dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// Of makes the bill of the binary that info describes. version and revision
// are what the binary says of itself.
func Of(info *debug.BuildInfo, version, revision string) Document {
	self := Component{Type: "application", Name: "tillgate", Version: version, PURL: "pkg:generic/tillgate@" + version}
	self.Ref = self.PURL
	d := Document{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	d.Metadata.Properties = []Property{{"tillgate:revision", revision}}
	tags := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "-tags":
			tags = s.Value
			fallthrough
		case "GOOS", "GOARCH", "GOARM", "CGO_ENABLED":
			d.Metadata.Properties = append(d.Metadata.Properties, Property{"tillgate:build:" + strings.TrimPrefix(s.Key, "-"), s.Value})
		}
	}
	d.add("std", strings.TrimPrefix(info.GoVersion, "go"), "BSD-3-Clause", "")
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		d.add(m.Path, m.Version, Licences()[m.Path].SPDX, m.Sum)
	}
	for _, n := range Native(strings.Split(tags, ",")) {
		d.Components = append(d.Components, Component{
			Type: "library", Ref: n.purl(), Name: n.Name, Version: n.Version, Licences: []Licence{{n.SPDX}}, PURL: n.purl(),
			Properties: []Property{{"tillgate:linked", "statically"}},
		})
	}
	needs := Dependency{Ref: self.Ref}
	for _, c := range d.Components {
		needs.DependsOn = append(needs.DependsOn, c.Ref)
		d.Dependencies = append(d.Dependencies, Dependency{Ref: c.Ref})
	}
	d.Dependencies = slices.Insert(d.Dependencies, 0, needs)
	d.Metadata.Component = self
	d.Serial = serial(d)
	return d
}

func (d *Document) add(path, version, spdx, sum string) {
	c := Component{Type: "library", Name: path, Version: version, PURL: "pkg:golang/" + path + "@" + version}
	c.Ref = c.PURL
	if spdx != "" {
		c.Licences = []Licence{{spdx}}
	}
	if sum != "" {
		c.Properties = []Property{{"tillgate:go:sum", sum}}
	}
	d.Components = append(d.Components, c)
}

// serial is a UUID (RFC 9562, version 8: made by a rule of our own) of the
// content.
func serial(d Document) string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("bom: %v", err)) // strings only: it cannot
	}
	u := sha256.Sum256(b)
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
