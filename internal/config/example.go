package config

import (
	"bytes"
	_ "embed"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"tillgate/link"
)

//go:embed example.yaml
var exampleText string

// Example is a configuration with every key explained. It loads as it stands
// if one of the drivers has a simulator, and starts a box with one simulated
// terminal.
func Example(drivers []link.Driver) []byte {
	name := "driver"
	for _, d := range drivers {
		if d.Simulate != nil {
			name = d.Name
			break
		}
	}
	text := strings.ReplaceAll(exampleText, "${driver}", name)
	before, rest, _ := strings.Cut(text, "#{ notify\n")
	notify, after, _ := strings.Cut(rest, "#} notify\n")
	var out bytes.Buffer
	out.WriteString(before)
	for _, d := range drivers {
		if d.Notify == nil {
			continue
		}
		var profile bytes.Buffer
		if d.Notify.Settings != nil {
			writeSettings(&profile, "#        ", reflect.ValueOf(d.Notify.Settings()))
		}
		out.WriteString(strings.NewReplacer("${sender}", d.Name, "${path}", d.Notify.Path, "${currency}", d.Currency, "${profile}", profile.String()).Replace(notify))
		break
	}
	out.WriteString(after)
	for _, d := range drivers {
		if d.Settings == nil {
			continue
		}
		fmt.Fprintf(&out, "    # Settings of the driver %s (%s).\n    #profile:\n", d.Name, d.Title)
		writeSettings(&out, "    #  ", reflect.ValueOf(d.Settings()))
	}
	return out.Bytes()
}

// writeSettings shows every key of v with the value it has, each behind a #.
func writeSettings(out *bytes.Buffer, indent string, v reflect.Value) {
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct {
		return
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		if text := f.Tag.Get("jsonschema_description"); text != "" {
			fmt.Fprintf(out, "%s# %s\n", indent, text)
		}
		value := v.FieldByIndex(f.Index)
		if text, ok := show(value); ok {
			fmt.Fprintf(out, "%s%s: %s\n", indent, name, text)
			continue
		}
		fmt.Fprintf(out, "%s%s:\n", indent, name)
		writeSettings(out, indent+"  ", value)
	}
}

// show writes a value as it would stand in the file; ok is false for what has
// keys of its own.
func show(v reflect.Value) (string, bool) {
	if v.Type() == durationType {
		return fmt.Sprintf("%q", time.Duration(v.Int()).String()), true
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		return fmt.Sprintf("%q", b), err == nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return "", false
	case reflect.Pointer:
		if v.IsNil() {
			return show(reflect.Zero(v.Type().Elem()))
		}
		return show(v.Elem())
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			s, _ := show(v.Index(i))
			items = append(items, s)
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case reflect.Map:
		return "{}", true
	case reflect.String:
		return fmt.Sprintf("%q", v.String()), true
	}
	return fmt.Sprint(v.Interface()), true
}
