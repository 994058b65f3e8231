package bom

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write notices.txt and the table of docs/licences.md anew")

// part is a module that gives packages to the program.
type part struct{ Path, Version, Dir string }

// linked asks the toolchain which modules are in the program with these tags.
func linked(t *testing.T, tags string) map[string]part {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags="+tags, "-json=Module", "tillgate")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	all := map[string]part{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Module *part }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && p.Module.Path != "tillgate" {
			all[p.Module.Path] = *p.Module
		}
	}
}

func everything(t *testing.T) map[string]part {
	t.Helper()
	all := linked(t, "libusb,static,netgo,osusergo")
	maps.Copy(all, linked(t, "nobroker"))
	return all
}

// Who brings a module says what its licence is.
func TestEveryModuleHasALicence(t *testing.T) {
	known, all := Licences(), everything(t)
	for path, p := range all {
		m, ok := known[path]
		if !ok || m.SPDX == "" || len(m.Files) == 0 || m.Why == "" {
			t.Errorf("%s is in the binary and not, or not completely, in modules.tsv: read the licences in %s, add path, SPDX expression, files and reason, separated by tabs, then run `go test ./internal/bom -update`", path, p.Dir)
		}
	}
	for path := range known {
		if _, ok := all[path]; !ok {
			t.Errorf("%s is in modules.tsv and in no binary: remove the line", path)
		}
	}
}

// The notices are the words of the modules themselves, at the versions in use.
func TestNotices(t *testing.T) {
	want := allNotices(t)
	if *update {
		if err := os.WriteFile("notices.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		_, err := w.Write([]byte(want))
		if err := errors.Join(err, w.Close(), os.WriteFile("notices.gz", packed.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	readable, err := os.ReadFile("notices.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(readable) != want || Notices() != want {
		t.Errorf("notices.txt and notices.gz are not what the modules say: run `go test ./internal/bom -update` and look at the difference")
	}
}

// allNotices joins the texts, each once, with what it is of.
func allNotices(t *testing.T) string {
	t.Helper()
	texts, of, order := map[string]string{}, map[string][]string{}, []string{}
	add := func(name, file string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(strings.Trim(string(b), "\r\n "), "\r\n", "\n")
		key := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(strings.Fields(text), " "))))
		if _, ok := texts[key]; !ok {
			order = append(order, key)
			texts[key] = text
		}
		of[key] = append(of[key], name)
	}
	known, all := Licences(), everything(t)
	for _, path := range slices.Sorted(maps.Keys(known)) {
		for _, file := range known[path].Files {
			if dir := all[path].Dir; dir != "" {
				add(path+": "+file, filepath.Join(dir, file))
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	add("Go's runtime and standard library: LICENSE", filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	add("glibc and libusb, in static builds: LGPL 2.1 (see docs/licences.md for how to link other versions of them)", "LGPL-2.1.txt")

	var b strings.Builder
	b.WriteString("What is in this program beside Tillgate's own code, and the notices that come with it.\n")
	b.WriteString("Static builds also contain libgcc, under GPL 3 with the GCC Runtime Library Exception 3.1, which asks for nothing here.\n")
	for _, key := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n%s\n", strings.Repeat("=", 78), strings.Join(of[key], "\n"), strings.Repeat("-", 78), texts[key])
	}
	return b.String()
}

const page = "../../docs/licences.md"

var table = regexp.MustCompile(`(?s)(<!-- made by internal/bom -->\n).*(<!-- until here -->)`)

// The page has the table that the data gives.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"| what | licence | why it is here |", "|---|---|---|", "| Go's runtime and standard library | BSD-3-Clause | |"}
	known := Licences()
	for _, path := range slices.Sorted(maps.Keys(known)) {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", path, known[path].SPDX, known[path].Why))
	}
	for _, n := range Native([]string{"libusb", "static"}) {
		rows = append(rows, fmt.Sprintf("| %s %s, static builds only | %s | |", n.Name, n.Version, n.SPDX))
	}
	want := table.ReplaceAllString(string(b), "${1}"+strings.Join(rows, "\n")+"\n${2}")
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want || !table.Match(b) {
		t.Errorf("%s does not have the table of modules.tsv: run `go test ./internal/bom -update`", page)
	}
}

// The build takes the libusb that the bill names.
func TestNativeVersions(t *testing.T) {
	b, err := os.ReadFile("../../.ci/libusb")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range Native([]string{"static", "libusb"}) {
		if n.Name == "libusb" && !strings.Contains(string(b), "\nversion="+n.Version+" ") {
			t.Errorf(".ci/libusb does not build %s %s, which the bill of materials names", n.Name, n.Version)
		}
	}
}
