package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// maxLines is where a production file has more than one topic.
const maxLines = 450

// sources maps the folders of the module to their Go files, those behind build
// tags included.
func sources(t *testing.T) (root string, folders map[string][]string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Dir(strings.TrimSpace(string(out)))
	folders = make(map[string][]string)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || exists(filepath.Join(path, "go.mod"))) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			folder := filepath.Dir(path)
			folders[folder] = append(folders[folder], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 {
		t.Fatal("no source found")
	}
	return root, folders
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestSources(t *testing.T) {
	root, folders := sources(t)
	for folder, files := range folders {
		name, err := filepath.Rel(root, folder)
		if err != nil {
			t.Fatal(err)
		}
		docs, code := 0, false
		for _, path := range files {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(name, filepath.Base(path))
			problems, documented := inspect(file, src)
			for _, p := range problems {
				t.Error(p)
			}
			if documented {
				docs++
			}
			code = code || !isTest(file)
		}
		if code && docs != 1 {
			t.Errorf("package %s has %d package doc comments, want one", name, docs)
		}
	}
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

var unfinished = regexp.MustCompile(`\b(TODO|FIXME)\b`)

// inspect returns what is against the rules in one file, and whether it has
// the package's doc comment.
func inspect(file string, src []byte) (problems []string, documented bool) {
	say := func(format string, args ...any) { problems = append(problems, file+": "+fmt.Sprintf(format, args...)) }
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, src, parser.ParseComments)
	if err != nil {
		say("%v", err)
		return problems, false
	}
	if formatted, err := format.Source(src); err != nil || !bytes.Equal(formatted, src) {
		say("gofmt would change it")
	}
	if n := bytes.Count(src, []byte("\n")); n > maxLines && !isTest(file) {
		say("it has %d lines, more than %d: cut it by topic", n, maxLines)
	}
	for _, i := range f.Imports {
		if path, _ := strconv.Unquote(i.Path.Value); path == "C" && filepath.Dir(file) != "usbhid" && filepath.Dir(file) != "link/bpos/bridge/linux" {
			say("it imports C: only usbhid may, behind the tag libusb, and the bridge that loads a vendor's library, behind bposlib")
		}
	}
	for _, group := range f.Comments {
		if word := unfinished.FindString(group.Text()); word != "" {
			say("line %d: %s: finish it, or open an issue", set.Position(group.Pos()).Line, word)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				say("line %d: init(): what happens at start is written in main", set.Position(n.Pos()).Line)
			}
		case *ast.CallExpr:
			if isTest(file) && skipsWithoutReason(n) {
				say("line %d: a test is skipped without a reason", set.Position(n.Pos()).Line)
			}
		}
		return true
	})
	documented = !isTest(file) && f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != ""
	if documented && f.Name.Name != "main" && !strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ") {
		say("its package comment does not begin with %q", "Package "+f.Name.Name)
	}
	return problems, documented
}

// skipsWithoutReason recognises t.SkipNow(), t.Skip() and t.Skip("").
func skipsWithoutReason(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch sel.Sel.Name {
	case "SkipNow":
		return true
	case "Skip", "Skipf":
		if len(call.Args) == 0 {
			return true
		}
		lit, ok := call.Args[0].(*ast.BasicLit)
		return ok && strings.Trim(lit.Value, "\"` ") == ""
	}
	return false
}

// The rules catch what they are there for.
func TestInspect(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"store/a.go", "// Package store is a journal.\npackage store\n", ""},
		{"store/a.go", "// About journals.\npackage store\n", `does not begin with "Package store"`},
		{"main.go", "// Tillgate is a gateway.\npackage main\n", ""},
		{"store/a.go", "package store\nvar  x int\n", "gofmt would change it"},
		{"store/a.go", "package store\n\nfunc init() {}\n", "line 3: init()"},
		{"store/a.go", "package store\n\ntype x int\n\nfunc (x) init() {}\n", ""},
		{"store/a.go", "package store\n\nimport \"C\"\n", "imports C"},
		{"usbhid/a.go", "package usbhid\n\nimport \"C\"\n", ""},
		{"link/bpos/bridge/linux/a.go", "package main\n\nimport \"C\"\n", ""},
		{"link/bpos/bridge/a.go", "package bridge\n\nimport \"C\"\n", "imports C"},
		{"store/a.go", "package store\n\n// TO" + "DO: more\n", "finish it"},
		{"store/a.go", "package store\n" + strings.Repeat("\n// x\n", maxLines), "cut it by topic"},
		{"store/a_test.go", "package store\n\nfunc f() { t.Skip() }\n", "line 3: a test is skipped"},
		{"store/a_test.go", "package store\n\nfunc f() { t.Skip(` `) }\n", "line 3: a test is skipped"},
		{"store/a_test.go", "package store\n\nfunc f() { t.SkipNow() }\n", "line 3: a test is skipped"},
		{"store/a_test.go", "package store\n\nfunc f() { t.Skip(\"no USB here\") }\n", ""},
		{"store/a.go", "package store\n\nfunc {\n", "expected"},
	} {
		problems, _ := inspect(c.file, []byte(c.src))
		got := strings.Join(problems, "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %q: %q, want %q", c.file, c.src, got, c.want)
		}
	}
}
