package linktest

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillgate/link/simulate"
)

// Page is the page of a protocol in docs/protocols, and the source of the tests
// of its driver: what a test needs to hold the two to each other. It is read
// once; its methods may be called in subtests.
type Page struct {
	// Text is the whole page.
	Text string
	// Source is what the files of tests say, one after the other.
	Source string
}

// ReadPage reads docs/protocols/<protocol>.md for a test that runs in
// link/<driver>, and the files that the patterns name; without one, all tests of
// the folder.
func ReadPage(t *testing.T, protocol string, patterns ...string) *Page {
	t.Helper()
	p := &Page{Text: read(t, filepath.Join("..", "..", "docs", "protocols", protocol+".md"))}
	if len(patterns) == 0 {
		patterns = []string{"*_test.go"}
	}
	p.Source = sources(t, patterns...)
	return p
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sources(t *testing.T, patterns ...string) string {
	t.Helper()
	var source strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			source.WriteString(read(t, f))
		}
	}
	return source.String()
}

// Rows are those of the table whose header begins with head. Code marks around a
// cell are gone; a bar that is escaped belongs to its cell. A table that is not
// there, or is empty, ends the test.
func (p *Page) Rows(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	_, text, ok := strings.Cut(p.Text, "\n| "+head)
	if !ok {
		t.Fatalf("no table %q", head)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[2:] {
		line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00")
		var row []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") {
			row = append(row, strings.Trim(strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|")), "`"))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("table %q is empty", head)
	}
	return rows
}

// Settings holds a table to the keys of a profile, in their order. A struct in
// the profile is shown by its members: outer.inner.
func (p *Page) Settings(t *testing.T, head string, profile reflect.Type) {
	t.Helper()
	var rows []string
	for _, row := range p.Rows(t, head) {
		rows = append(rows, row[0])
	}
	if keys := settingKeys(profile, ""); !slices.Equal(rows, keys) {
		t.Errorf("the page has %v, the profile %v", rows, keys)
	}
}

func settingKeys(profile reflect.Type, before string) (keys []string) {
	for i := range profile.NumField() {
		f := profile.Field(i)
		key := before + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, settingKeys(f.Type, key+".")...)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// argument is that of a behaviour on a page: name[:X] may have one, name:X must.
var argument = regexp.MustCompile(`^([^\[:]+)(\[?):`)

// Behaviours holds a table to what a simulator knows: every outcome and feature
// has one row, and a row shows whether there is an argument.
func Behaviours[B any](t *testing.T, p *Page, head string, g simulate.Grammar[B]) {
	t.Helper()
	left := maps.Clone(g.Outcomes)
	if left == nil {
		left = map[string]simulate.Word[B]{}
	}
	maps.Copy(left, g.Features)
	for _, row := range p.Rows(t, head) {
		name, shown, required := row[0], false, false
		if m := argument.FindStringSubmatch(row[0]); m != nil {
			name, shown, required = m[1], true, m[2] == ""
		}
		if _, ok := left[name]; !ok {
			t.Errorf("%s is no behaviour, or has two rows", name)
			continue
		}
		delete(left, name)
		_, with := g.Parse([]string{name + ":1"})
		if takes := with == nil || !strings.Contains(with.Error(), "takes no argument"); takes != shown {
			t.Errorf("%s: takes an argument is %v, the page shows %v", row[0], takes, shown)
		}
		_, without := g.Parse([]string{name})
		if (without != nil) != required {
			t.Errorf("%s: needs an argument is %v, the page says %v", row[0], without != nil, required)
		}
	}
	for name := range left {
		t.Errorf("%s has no row", name)
	}
}

// named is a test on a page, and the folder behind it if it is not the driver's.
var named = regexp.MustCompile(`\b(Test[A-Z]\w*)(?:/\w+)?(?: \(((?:internal|link|store|mqtt|firmware)[\w/]*)\))?`)

// Tests looks for every test that the page names, and wants the rows of the
// tables with these heads to end with one.
func (p *Page) Tests(t *testing.T, heads ...string) {
	t.Helper()
	for _, m := range named.FindAllStringSubmatch(p.Text, -1) {
		in := p.Source
		if m[2] != "" {
			in = sources(t, filepath.Join("..", "..", m[2], "*_test.go"))
		}
		if !strings.Contains(in, "func "+m[1]+"(") {
			t.Errorf("%s %s does not exist", m[1], m[2])
		}
	}
	for _, head := range heads {
		for _, row := range p.Rows(t, head) {
			if !strings.HasPrefix(row[len(row)-1], "Test") {
				t.Errorf("%s: no test is named", row[0])
			}
		}
	}
}
