package bpos

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tillgate/link/bpos/bridge"
	"tillgate/link/tmaster"
)

var page = filepath.Join("..", "..", "docs", "protocols", "bpos.md")

// table reads the rows of the table whose header begins with head.
func table(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n| "+head)
	if !ok {
		t.Fatalf("no table %q", head)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(text, "\n")[2:] {
		var row []string
		for _, cell := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") {
			row = append(row, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, row)
	}
	return rows
}

// listed are the names of document 001's list, in lower case: the guide spells
// some otherwise, and COM does not care.
func listed(t *testing.T) (methods, properties map[string]string) {
	b, err := os.ReadFile("testdata/bpos1lib.txt")
	if err != nil {
		t.Fatal(err)
	}
	methods, properties = map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(function|property-get) (\w+)`).FindAllStringSubmatch(string(b), -1) {
		to := methods
		if m[1] == "property-get" {
			to = properties
		}
		to[strings.ToLower(m[2])] = m[2]
	}
	if len(methods) != 49 || len(properties) != 45 {
		t.Fatalf("the list has %d methods and %d properties", len(methods), len(properties))
	}
	return methods, properties
}

// TestDocument holds the page about this protocol, the code and the documents to
// each other.
func TestDocument(t *testing.T) {
	methods, properties := listed(t)
	com := strings.Fields("QueryInterface AddRef Release GetTypeInfoCount GetTypeInfo GetIDsOfNames Invoke")
	t.Run("methods", func(t *testing.T) {
		rows := map[string][]string{}
		for _, row := range table(t, "method | list |") {
			rows[row[0]] = row
			m, ok := bridge.FindMethod(row[0])
			old := methods[strings.ToLower(row[0])] != ""
			switch {
			case (row[1] == "001") != old:
				t.Errorf("%s: the page says that it is in the list of %s", row[0], row[1])
			case slices.Contains(com, row[0]):
			case !ok:
				t.Errorf("%s is no method", row[0])
			case (m.Refused != "") != strings.HasPrefix(row[4], "refused"):
				t.Errorf("%s: refused is %q, the page says %q", row[0], m.Refused, row[4])
			case m.Refused == "" && len(m.Args) != len(arguments(row[2])):
				t.Errorf("%s has %d arguments, the page says %s", row[0], len(m.Args), row[2])
			}
			for i, name := range arguments(row[2]) {
				if ok && m.Refused == "" && !slices.Contains(com, row[0]) && !strings.EqualFold(m.Args[i].Name, name) {
					t.Errorf("%s: argument %d is %s, the page says %s", row[0], i, m.Args[i].Name, name)
				}
			}
		}
		for _, m := range bridge.Methods() {
			if rows[m.Name] == nil {
				t.Errorf("%s has no row", m.Name)
			}
			delete(methods, strings.ToLower(m.Name))
		}
		for _, name := range com {
			if rows[name] == nil {
				t.Errorf("%s has no row", name)
			}
			delete(methods, strings.ToLower(name))
		}
		for _, name := range methods {
			t.Errorf("%s is in the list and not in the code", name)
		}
	})
	t.Run("properties", func(t *testing.T) {
		rows := map[string][]string{}
		for _, row := range table(t, "property | list |") {
			rows[row[0]] = row
			p, ok := bridge.FindProperty(row[0])
			switch {
			case !ok:
				t.Errorf("%s is no property", row[0])
			case (row[1] == "001") != (properties[strings.ToLower(row[0])] != ""):
				t.Errorf("%s: the page says that it is in the list of %s", row[0], row[1])
			case !strings.HasPrefix(row[2], p.Kind.String()):
				t.Errorf("%s is a %s, the page says %s", row[0], p.Kind, row[2])
			case strings.Contains(row[2], " bytes") && row[2] != p.Kind.String()+", "+strconv.Itoa(p.Max)+" bytes":
				t.Errorf("%s has %d bytes at most, the page says %s", row[0], p.Max, row[2])
			case (p.Refused != "") != strings.HasPrefix(row[3], "refused"):
				t.Errorf("%s: refused is %q, the page says %q", row[0], p.Refused, row[3])
			}
		}
		for _, p := range bridge.Properties() {
			if rows[p.Name] == nil {
				t.Errorf("%s has no row", p.Name)
			}
			delete(properties, strings.ToLower(p.Name))
		}
		for _, name := range properties {
			t.Errorf("%s is in the list and not in the code", name)
		}
	})
	t.Run("errors of the line", func(t *testing.T) {
		for _, row := range table(t, "error | meaning |") {
			c := bridge.Refusal{Fault: bridge.Fault(row[0])}
			if (row[2] == "no") != (c.Fault != bridge.FaultFailed) {
				t.Errorf("%s: %s", row[0], row[2])
			}
		}
	})
	t.Run("codes", func(t *testing.T) {
		left := maps.Clone(terminalCodes)
		for _, row := range table(t, "ResponseCode | meaning |") {
			code, err := strconv.ParseInt(row[0], 10, 64)
			if got := judge(code).String(); err != nil || got != row[2] {
				t.Errorf("%s: got %s, the page says %s", row[0], got, row[2])
			}
			delete(left, code)
		}
		for code := range left {
			t.Errorf("%d has no row", code)
		}
		known := maps.Clone(statuses)
		for _, row := range table(t, "LastStatMsgCode | guide |") {
			code, _ := strconv.ParseInt(row[0], 10, 64)
			if s, ok := known[code]; !ok || string(s.stage) != row[2] {
				t.Errorf("status %s: got %q, the page says %q", row[0], s.stage, row[2])
			}
			delete(known, code)
		}
		terms := maps.Clone(termStatuses)
		for _, row := range table(t, "TermStatus | guide |") {
			code, _ := strconv.ParseInt(row[0], 10, 64)
			if s, ok := terms[code]; !ok || string(s.blocked) != row[2] {
				t.Errorf("TermStatus %s: got %q, the page says %q", row[0], s.blocked, row[2])
			}
			delete(terms, code)
		}
		if len(known)+len(terms) > 0 {
			t.Errorf("without a row: %v %v", known, terms)
		}
	})
	t.Run("settings", func(t *testing.T) {
		var rows, fields []string
		for _, row := range table(t, "setting | default |") {
			rows = append(rows, row[0])
		}
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			fields = append(fields, f.Tag.Get("yaml"))
		}
		if !slices.Equal(rows, fields) {
			t.Errorf("the page has %v, the profile %v", rows, fields)
		}
	})
	t.Run("behaviours", func(t *testing.T) {
		g := tmaster.Grammar(simFeatures, true)
		left := map[string]bool{}
		for name := range maps.Keys(g.Outcomes) {
			left[name] = true
		}
		for name := range maps.Keys(g.Features) {
			left[name] = true
		}
		for _, row := range table(t, "behaviour | what") {
			name, _, _ := strings.Cut(row[0], "[")
			if _, err := g.Parse([]string{name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			delete(left, name)
		}
		for name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("the tests exist", checkTests)
}

// arguments are the names in a cell: "name, name (a limit)".
func arguments(cell string) (names []string) {
	cell, _, _ = strings.Cut(cell, " (")
	for name := range strings.SplitSeq(cell, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "COM's own" {
			names = append(names, name)
		}
	}
	return names
}

func checkTests(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "bridge/*_test.go", "bridge/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(b), -1) {
		if !strings.Contains(source.String(), "func "+name+"(") {
			t.Errorf("%s does not exist", name)
		}
	}
	for _, head := range []string{"method | list |", "property | list |", "question | what proves", "question | what is done"} {
		for _, row := range table(t, head) {
			if !strings.HasPrefix(row[len(row)-1], "Test") {
				t.Errorf("%s: no test is named", row[0])
			}
		}
	}
}
