package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// schema is as much of JSON Schema (2020-12) as the settings need.
type schema struct {
	Version     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Definitions map[string]*schema `json:"$defs,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	OneOf       []*schema          `json:"oneOf,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	MinItems    *int               `json:"minItems,omitempty"`
	MaxItems    *int               `json:"maxItems,omitempty"`
	Properties  properties         `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or a *schema
	Required    []string           `json:"required,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	If          *schema            `json:"if,omitempty"`
	Then        *schema            `json:"then,omitempty"`
	Examples    []any              `json:"examples,omitempty"`
}

// properties keep the order of the struct: editors offer them in it.
type properties []property

type property struct {
	name string
	is   *schema
}

func (p properties) get(name string) *schema {
	for _, one := range p {
		if one.name == name {
			return one.is
		}
	}
	return nil
}

func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, one := range p {
		value, err := json.Marshal(one.is)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%c%q:%s", "{,"[min(i, 1)], one.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// drafter makes schemas of Go types. Structs, and types with a form of their
// own, become definitions; without a map for them they stand where they are
// used.
type drafter struct{ definitions map[string]*schema }

// drafted is a type that is written otherwise than its Go kind says.
type drafted interface{ draft() *schema }

// of is the schema of a type; a kind that no setting has is a fault of the
// program.
func (d *drafter) of(t reflect.Type) *schema {
	if t == durationType {
		return Duration(0).draft()
	}
	if own, ok := reflect.Zero(t).Interface().(drafted); ok {
		return d.refer(t, own.draft)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.of(t.Elem())
	case reflect.Struct:
		return d.refer(t, func() *schema { return d.structure(t) })
	case reflect.Slice:
		return &schema{Type: "array", Items: d.of(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", Additional: d.of(t.Elem())}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16:
		return &schema{Type: "integer"}
	}
	panic(fmt.Sprintf("config: no schema is known of %v", t))
}

func (d *drafter) refer(t reflect.Type, draft func() *schema) *schema {
	if d.definitions == nil {
		return draft()
	}
	if _, known := d.definitions[t.Name()]; !known {
		d.definitions[t.Name()] = nil // before its members, which may name it
		d.definitions[t.Name()] = draft()
	}
	return &schema{Ref: "#/$defs/" + t.Name()}
}

// structure takes what [Load] takes: the names of the tag yaml, and no others.
func (d *drafter) structure(t reflect.Type) *schema {
	s := &schema{Type: "object", Additional: false}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		is := d.of(f.Type)
		is.Description = f.Tag.Get("jsonschema_description")
		if is.rules(f.Tag.Get("jsonschema")) {
			s.Required = append(s.Required, name)
		}
		s.Properties = append(s.Properties, property{name, is})
	}
	return s
}

// rules reads the tag jsonschema: rules with commas between them, where \, is a
// comma of a rule itself. It tells whether the setting is required. A choice of a
// list is one of its items.
func (s *schema) rules(tag string) (required bool) {
	const comma = "\x00"
	for rule := range strings.SplitSeq(strings.ReplaceAll(tag, `\,`, comma), ",") {
		key, value, _ := strings.Cut(strings.ReplaceAll(rule, comma, ","), "=")
		number, err := strconv.Atoi(value)
		one := s
		if s.Items != nil {
			one = s.Items
		}
		switch {
		case key == "":
		case key == "required":
			required = true
		case key == "enum" && one.Type == "integer" && err == nil:
			one.Enum = append(one.Enum, number)
		case key == "enum":
			one.Enum = append(one.Enum, value)
		case key == "pattern":
			s.Pattern = value
		case key == "minimum" && err == nil:
			s.Minimum = &number
		case key == "maximum" && err == nil:
			s.Maximum = &number
		case key == "minItems" && err == nil:
			s.MinItems = &number
		case key == "maxItems" && err == nil:
			s.MaxItems = &number
		default:
			panic(fmt.Sprintf("config: the rule %q is not known", rule))
		}
	}
	return required
}
