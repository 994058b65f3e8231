package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// maxDepth bounds the nesting of a file.
const maxDepth = 16

// decode reads node into v and notes in b everything that does not fit. It is
// our own walk over the syntax tree since the library's decoder ends at the
// first mistake, and a technician on a ladder wants to hear of all of them.
//
// Texts, booleans, integers, durations, lists, maps by text, structs and
// everything with UnmarshalText can be read; a key's name is its yaml tag.
func (b *book) decode(path string, node ast.Node, v reflect.Value, depth int) {
	if depth > maxDepth {
		b.addAt(lineOf(node), path, "is nested too deep")
		return
	}
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		b.addAt(lineOf(node), path, "anchors, aliases, merge keys and tags are not supported: write the value itself")
		return
	}
	if p, ok := v.Addr().Interface().(*Profile); ok {
		*p = Profile{Set: true, node: node}
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := b.scalar(path, node); ok {
			if err := u.UnmarshalText([]byte(text)); err != nil {
				b.add(path, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		b.decode(path, node, v.Elem(), depth)
	case reflect.Struct:
		b.decodeStruct(path, node, v, depth)
	case reflect.Slice:
		b.decodeList(path, node, v, depth)
	case reflect.Map:
		b.decodeMap(path, node, v, depth)
	default:
		b.decodeScalar(path, node, v)
	}
}

func (b *book) decodeStruct(path string, node ast.Node, v reflect.Value, depth int) {
	fields := keysOf(v.Type())
	b.eachKey(path, node, func(key string, line int, value ast.Node) {
		at := join(path, key)
		i, ok := fields[key]
		if !ok {
			b.addAt(line, at, "unknown key%s%s", hint(key), suggest(key, names(fields)))
			return
		}
		b.decode(at, value, v.FieldByIndex(i), depth+1)
	})
}

func (b *book) decodeMap(path string, node ast.Node, v reflect.Value, depth int) {
	if v.Type().Key().Kind() != reflect.String {
		b.addAt(lineOf(node), path, "a %s cannot be configured", v.Type())
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	b.eachKey(path, node, func(key string, line int, value ast.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		b.decode(join(path, key), value, e, depth+1)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
	})
}

// eachKey calls f for each key of a mapping, once for each, and notes what is
// no mapping, doubled or no text. An empty value counts as not given.
func (b *book) eachKey(path string, node ast.Node, f func(key string, line int, value ast.Node)) {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.NullNode:
		return
	default:
		b.addAt(lineOf(node), path, "want keys with values, like %s", join(path, "key: value"))
		return
	}
	seen := map[string]int{}
	for _, kv := range values {
		line := lineOf(kv.Key)
		key, ok := kv.Key.(*ast.StringNode)
		if !ok {
			b.addAt(line, path, "a key must be a plain word")
			continue
		}
		if first, twice := seen[key.Value]; twice {
			b.addAt(line, join(path, clipKey(key.Value)), "is given twice, first in line %d", first)
			continue
		}
		seen[key.Value] = line
		name := clipKey(key.Value)
		b.lines[join(path, name)] = line
		if _, empty := kv.Value.(*ast.NullNode); empty || kv.Value == nil {
			b.addAt(line, join(path, name), "has no value: give one or leave the key out")
			continue
		}
		f(name, line, kv.Value)
	}
}

func (b *book) decodeList(path string, node ast.Node, v reflect.Value, depth int) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		b.addAt(lineOf(node), path, "want a list, each entry after a dash")
		return
	}
	const most = 1000
	if len(seq.Values) > most {
		b.addAt(lineOf(node), path, "has more than %d entries", most)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, value := range seq.Values {
		at := path + "[" + strconv.Itoa(i) + "]"
		b.lines[at] = lineOf(value)
		if _, empty := value.(*ast.NullNode); empty || value == nil {
			b.addAt(lineOf(node), at, "is empty")
			continue
		}
		if d, ok := list.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		b.decode(at, value, list.Index(i), depth+1)
	}
	v.Set(list)
}

var durationType = reflect.TypeFor[time.Duration]()

func (b *book) decodeScalar(path string, node ast.Node, v reflect.Value) {
	text, ok := b.scalar(path, node)
	if !ok {
		return
	}
	var err error
	switch {
	case v.Type() == durationType:
		var d time.Duration
		d, err = parseDuration(text)
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var is bool
		is, err = parseBool(node, text)
		v.SetBool(is)
	case v.CanInt():
		var n int64
		if n, err = strconv.ParseInt(text, 10, v.Type().Bits()); err != nil {
			err = fmt.Errorf("%s is not a whole number of this size", quote(text))
		}
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		if n, err = strconv.ParseUint(text, 10, v.Type().Bits()); err != nil {
			err = fmt.Errorf("%s is not a whole number of this size", quote(text))
		}
		v.SetUint(n)
	default:
		err = fmt.Errorf("a %s cannot be configured", v.Type())
	}
	if err != nil {
		b.add(path, "%v", err)
	}
}

func parseBool(node ast.Node, text string) (bool, error) {
	if n, ok := node.(*ast.BoolNode); ok {
		return n.Value, nil
	}
	return false, fmt.Errorf("%s is not true or false", quote(text))
}

// maxScalar bounds one value of the file.
const maxScalar = 4096

// scalar is the text of a value as it stands in the file. Numbers keep their
// notation, so that an amount never passes through a float.
func (b *book) scalar(path string, node ast.Node) (string, bool) {
	text := ""
	switch n := node.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = n.GetToken().Value
	default:
		b.addAt(lineOf(node), path, "want a single value")
		return "", false
	}
	if len(text) > maxScalar {
		b.addAt(lineOf(node), path, "is longer than %d bytes", maxScalar)
		return "", false
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		b.addAt(lineOf(node), path, "has a line break, a control character or broken UTF-8")
		return "", false
	}
	return text, true
}

// keysOf maps the keys of a struct to its fields. Embedded structs count as
// part of it; without a tag a field's key is its name in lower case.
func keysOf(t reflect.Type) map[string][]int {
	keys := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if f.IsExported() && !f.Anonymous && name != "-" {
			keys[name] = f.Index
		}
	}
	return keys
}

func names(fields map[string][]int) []string {
	var all []string
	for name := range fields {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// hint says what to do about a secret that somebody wrote into the file.
func hint(key string) string {
	for _, word := range []string{"password", "secret", "token", "passwd", "pin"} {
		if key == word {
			return ": " + errSecret.Error() + ", name a file that holds it"
		}
	}
	return ""
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// clipKey keeps a key printable: it becomes part of a problem's path.
func clipKey(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}
