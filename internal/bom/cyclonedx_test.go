package bom

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

// The bill of a real binary names each module that `go version -m` does.
func TestBillOfARealBinary(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "tillgate")
	build := exec.Command("go", "build", "-tags=nobroker", "-ldflags=-X main.version=v1.2.3", "-o", bin, "tillgate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	listed, err := exec.Command("go", "version", "-m", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "version", "--sbom").Output()
	if err != nil {
		t.Fatal(err)
	}
	var d Document
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, out)
	}
	if d.Format != "CycloneDX" || d.SpecVersion != "1.6" || d.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("it is %s %s of %s", d.Format, d.SpecVersion, d.Metadata.Component.Version)
	}
	have := map[string]Component{}
	for _, c := range d.Components {
		have[c.Name+" "+c.Version] = c
		if len(c.Licences) == 0 {
			t.Errorf("%s has no licence in the bill", c.Name)
		}
	}
	n := 0
	for line := range strings.Lines(string(listed)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "dep" {
			continue
		}
		n++
		if _, ok := have[f[1]+" "+f[2]]; !ok {
			t.Errorf("go version -m has %s %s, the bill has not", f[1], f[2])
		}
	}
	if n == 0 || len(d.Components) != n+1 {
		t.Errorf("%d components for %d modules and the standard library", len(d.Components), n)
	}
	if again, err := exec.Command(bin, "version", "--sbom").Output(); err != nil || string(again) != string(out) {
		t.Errorf("a second bill of the same binary differs (%v)", err)
	}
}

func TestBillOfAStaticBuild(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{{Key: "-tags", Value: "libusb,static"}}}
	d := Of(info, "v1.0.0", "abc")
	var names []string
	for _, c := range d.Components {
		names = append(names, c.Name+"@"+c.Version)
	}
	if got, want := strings.Join(names, " "), "std@1.26.8 libusb@1.0.26 glibc@2.36 libgcc@12.2.0"; got != want {
		t.Errorf("components are %s, want %s", got, want)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d.Serial) {
		t.Errorf("serial number %q is no UUID of version 8", d.Serial)
	}
	if other := Of(info, "v1.0.1", "abc"); other.Serial == d.Serial {
		t.Errorf("another version has the same serial number %s", d.Serial)
	}
	info.Settings[0].Value = "libusb"
	if d := Of(info, "v1.0.0", "abc"); len(d.Components) != 1 {
		t.Errorf("a build with the system's libusb has %d components, want the standard library alone", len(d.Components))
	}
}
