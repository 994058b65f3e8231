package command

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Program is a table that was read. It is for one command line: what is parsed
// goes into the table.
type Program struct{ root *node }

// node is the program, or a command.
type node struct {
	name, help, group string
	hidden, fallback  bool
	parent            *node
	children          []*node
	args, flags       []*value
	target            reflect.Value // the struct, addressable
}

// value is an argument or a flag.
type value struct {
	name, help, group, placeholder string
	short, xor, env, initial       string
	enum                           []string
	argument, required, hidden     bool
	whole                          bool // a list that is not cut at commas
	target                         reflect.Value
	given                          bool
}

// New reads the table, which is a pointer to a struct. Its errors are faults of
// the table. The words are what ${name} stands for in help.
func New(name, help string, table any, words map[string]string) (*Program, error) {
	root := &node{name: name, help: help, target: reflect.ValueOf(table).Elem()}
	if err := root.read(root.target, "", words); err != nil {
		return nil, err
	}
	return &Program{root}, nil
}

var known = []string{"cmd", "arg", "embed", "name", "short", "help", "group", "hidden", "default", "env", "placeholder", "enum", "xor", "required", "optional", "sep"}

// read takes the fields of a struct into n.
func (n *node) read(s reflect.Value, group string, words map[string]string) error {
	for i := range s.NumField() {
		f, target := s.Type().Field(i), s.Field(i)
		if err := keysOf(f.Tag); err != nil {
			return fmt.Errorf("%s.%s: %w", s.Type(), f.Name, err)
		}
		has := func(key string) bool { _, ok := f.Tag.Lookup(key); return ok }
		tag := f.Tag.Get
		name := tag("name")
		if name == "" {
			name = kebab(f.Name)
		}
		under := tag("group")
		if under == "" {
			under = group
		}
		var err error
		switch {
		case f.Anonymous || has("embed"):
			err = n.read(target, under, words)
		case !f.IsExported():
		case has("cmd"):
			child := &node{name: name, help: fill(tag("help"), words, ""), group: under, hidden: has("hidden"), fallback: tag("default") == "withargs", parent: n, target: target}
			err = child.read(target, "", words)
			n.children = append(n.children, child)
		default:
			v := &value{
				name: name, argument: has("arg"), help: fill(tag("help"), words, tag("enum")), group: under, placeholder: tag("placeholder"),
				short: tag("short"), xor: tag("xor"), env: tag("env"), initial: tag("default"),
				required: has("required") || has("arg") && !has("optional") && !has("default"), hidden: has("hidden"), whole: tag("sep") == "none", target: target,
			}
			if has("enum") {
				v.enum = strings.Split(tag("enum"), ",")
			}
			if v.initial != "" {
				err = v.set(v.initial)
				v.given = false
			}
			if has("arg") {
				n.args = append(n.args, v)
			} else {
				n.flags = append(n.flags, v)
			}
			if !v.takes() {
				err = fmt.Errorf("no value can be a %s", target.Type())
			}
		}
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.Type(), f.Name, err)
		}
	}
	return nil
}

// keysOf makes sure that a misspelt key does not go unnoticed.
func keysOf(tag reflect.StructTag) error {
	for rest := string(tag); strings.TrimSpace(rest) != ""; {
		key, after, ok := strings.Cut(strings.TrimSpace(rest), `:"`)
		if !ok || !slices.Contains(known, key) {
			return fmt.Errorf("the tag %q is not known", key)
		}
		for after != "" && after[0] != '"' {
			if after[0] == '\\' {
				after = after[1:]
			}
			after = after[min(1, len(after)):]
		}
		rest = strings.TrimPrefix(after, `"`)
	}
	return nil
}

func fill(help string, words map[string]string, enum string) string {
	for word, text := range words {
		help = strings.ReplaceAll(help, "${"+word+"}", text)
	}
	return strings.ReplaceAll(help, "${enum}", enum)
}

// kebab is a field's name as it is typed: FulfilWithin is fulfil-within.
func kebab(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// takes tells whether set knows the type.
func (v *value) takes() bool {
	switch v.target.Interface().(type) {
	case string, bool, int, uint64, time.Duration, []string:
		return true
	}
	return false
}

func (v *value) isBool() bool { return v.target.Kind() == reflect.Bool }
func (v *value) isList() bool { return v.target.Kind() == reflect.Slice }

// path is what is typed for a command, with the program.
func (n *node) path() string {
	if n.parent == nil {
		return n.name
	}
	return n.parent.path() + " " + n.name
}

// line is the way from the program to n.
func (n *node) line() []*node {
	if n == nil {
		return nil
	}
	return append(n.parent.line(), n)
}
