package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tillgate/link"
)

// MaxFile is the largest configuration in bytes.
const MaxFile = 64 << 10

// Load reads the file, checks it, and reads the secret files it names. File
// names in it are relative to its own folder. The error is [Problems] if the
// file could be read at all.
func Load(path string, drivers []link.Driver) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: make one with `tillgate config example`, or try `tillgate demo`, which needs none", err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	b := &book{file: path, lines: map[string]int{}}
	c := b.read(text, drivers)
	c.File = abs
	b.files(&c, filepath.Dir(abs))
	return c, b.err()
}

// Parse checks a configuration without looking at any other file: secrets stay
// empty. name stands for the file in problems.
func Parse(name string, text []byte, drivers []link.Driver) (Config, error) {
	b := &book{file: name, lines: map[string]int{}}
	c := b.read(text, drivers)
	c.File = name
	return c, b.err()
}

func (b *book) read(text []byte, drivers []link.Driver) Config {
	c := Default()
	if len(text) > MaxFile {
		b.add("", "is larger than %d KiB", MaxFile>>10)
		return c
	}
	if body := b.parse(text); body != nil {
		b.decode("", body, reflect.ValueOf(&c).Elem(), 0)
		b.check(&c, drivers)
	}
	return c
}

// parse is the library's parser behind a guard: it is the one thing here that
// meets raw bytes, and a mistake in it must not end the process without a word.
func (b *book) parse(text []byte) (body ast.Node) {
	defer func() {
		if r := recover(); r != nil {
			b.add("", "is not YAML that can be read: %v", r)
			body = nil
		}
	}()
	if err := plausible(text); err != nil {
		b.add("", "%v", err)
		return nil
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, message := 0, err.Error()
		if e, ok := errors.AsType[yaml.Error](err); ok {
			message = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		b.addAt(line, "", "is not YAML: %s", message)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			b.addAt(lineOf(doc.Body), "", "has more than one document")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		b.add("", "is empty: `tillgate config example` prints one to start from")
	}
	return body
}

// plausible refuses what would make the parser recurse without a bound.
func plausible(text []byte) error {
	open := 0
	for _, c := range text {
		switch c {
		case 0:
			return errors.New("is not a text file")
		case '[', '{':
			open++
		}
	}
	if open > 1000 {
		return errors.New("has more than 1000 brackets")
	}
	return nil
}
