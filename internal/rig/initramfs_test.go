package rig

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cpio collects files in the "newc" format, which the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	b     bytes.Buffer
	inode int
	dirs  map[string]bool
}

func (c *cpio) entry(name string, mode uint32, data []byte) {
	c.inode++
	fmt.Fprintf(&c.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	c.b.WriteString(name + "\x00")
	c.pad()
	c.b.Write(data)
	c.pad()
}

func (c *cpio) pad() {
	for c.b.Len()%4 != 0 {
		c.b.WriteByte(0)
	}
}

// add makes the folders of a file as well.
func (c *cpio) add(name string, mode uint32, data []byte) {
	if c.dirs == nil {
		c.dirs = map[string]bool{}
	}
	name = strings.TrimPrefix(name, "/")
	for i, r := range name {
		if dir := name[:i]; r == '/' && !c.dirs[dir] {
			c.dirs[dir] = true
			c.entry(dir, 0o040755, nil)
		}
	}
	c.entry(name, 0o100000|mode, data)
}

func (c *cpio) file(t *testing.T, name, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	c.add(name, 0o755, b)
}

func (c *cpio) bytes() []byte {
	c.entry("TRAILER!!!", 0, nil)
	return c.b.Bytes()
}

// kernel is a folder that fetch-kernel made.
type kernel struct {
	dir     string
	modules map[string]string // by name with '_' for '-'
	builtin map[string]bool
}

func openKernel(t *testing.T, dir string) kernel {
	t.Helper()
	k := kernel{dir: dir, modules: map[string]string{}, builtin: map[string]bool{}}
	err := filepath.WalkDir(filepath.Join(dir, "lib/modules"), func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			k.modules[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range glob(t, filepath.Join(dir, "lib/modules/*/modules.builtin")) {
		b, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.FieldsSeq(string(b)) {
			k.builtin[moduleName(line)] = true
		}
	}
	return k
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing is %s: %v", pattern, err)
	}
	return found
}

func moduleName(path string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")
}

func (k kernel) image(t *testing.T) string { return glob(t, filepath.Join(k.dir, "boot/vmlinuz-*"))[0] }

// order lists the files of modules and of what they stand on, in the order in
// which they can be loaded. What the kernel has built in is left out.
func (k kernel) order(t *testing.T, names ...string) []string {
	t.Helper()
	var files []string
	var visit func(name, by string)
	visit = func(name, by string) {
		if k.builtin[name] || slices.Contains(files, k.modules[name]) {
			return
		}
		path, ok := k.modules[name]
		if !ok {
			t.Fatalf("the kernel in %s has no module %s, which %s needs; delete the folder to fetch it again", k.dir, name, by)
		}
		for _, d := range depends(t, path) {
			visit(d, name)
		}
		files = append(files, path)
	}
	for _, n := range names {
		visit(strings.ReplaceAll(n, "-", "_"), "the rig")
	}
	return files
}

// depends reads "depends=a,b" of a module's own description.
func depends(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".modinfo")
	if s == nil {
		t.Fatalf("%s says nothing about itself", path)
	}
	b, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.SplitSeq(string(b), "\x00") {
		if list, ok := strings.CutPrefix(text, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ",")
		}
	}
	return nil
}
