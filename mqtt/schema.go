package mqtt

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// schemaSet makes JSON Schemas of Go types; structs become definitions.
type schemaSet struct{ defs map[string]any }

// of is the schema of v's type. A command and its parts allow no further
// members; what the gateway publishes may gain some.
func (s *schemaSet) of(v any) any {
	_, strict := v.(Envelope)
	return s.typ(reflect.TypeOf(v), strict)
}

// kinds are the types that do not travel as their Go kind says.
var kinds = map[reflect.Type]map[string]any{
	reflect.TypeFor[time.Time]():       {"type": "string", "format": "date-time"},
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[payment.PAN]():     {"type": "string", "description": "masked but for the last four digits"},
	reflect.TypeFor[payment.Millis]():  {"type": "integer", "minimum": 0, "description": "milliseconds"},
	reflect.TypeFor[payment.Money](): {
		"type": "object", "additionalProperties": false, "required": []string{"minor", "currency"},
		"description": "an amount in minor units of an ISO 4217 currency; the exponent is checked if given",
		"properties": map[string]any{
			"minor": map[string]any{"type": "integer"}, "currency": map[string]any{"type": "string", "pattern": "^[A-Z]{3}$"}, "exponent": map[string]any{"type": "integer"},
		},
	},
	reflect.TypeFor[payment.Verb](): {"type": "string", "enum": payment.Verbs()},
}

func (s *schemaSet) typ(t reflect.Type, strict bool) any {
	if k, ok := kinds[t]; ok {
		return k
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.typ(t.Elem(), strict)
	case reflect.Struct:
		return s.structure(t, strict)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": s.typ(t.Elem(), strict)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.typ(t.Elem(), strict)}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Interface:
		return map[string]any{}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		return map[string]any{"type": "integer"}
	}
}

func (s *schemaSet) structure(t reflect.Type, strict bool) any {
	name := t.Name()
	if t == reflect.TypeFor[payment.Reply]() {
		name = "PaymentReply"
	}
	if strict {
		name += "In"
	}
	to := ref("#/components/schemas/" + name)
	if _, known := s.defs[name]; known {
		return to
	}
	def := map[string]any{"type": "object"}
	s.defs[name] = def // before its members, which may name it
	properties, required := map[string]any{}, []string{}
	s.members(t, strict, properties, &required)
	def["properties"] = properties
	if strict {
		def["additionalProperties"] = false
	} else if len(required) > 0 {
		def["required"] = required
	}
	return to
}

// members follows encoding/json: embedded structs give their members to the
// outer one, whose own win.
func (s *schemaSet) members(t reflect.Type, strict bool, properties map[string]any, required *[]string) {
	for pass := range 2 {
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			embedded := f.Anonymous && name == ""
			switch {
			case embedded && pass == 1:
				s.members(f.Type, strict, properties, required)
			case embedded, pass == 1, name == "-", !f.IsExported():
			default:
				if name == "" {
					name = f.Name
				}
				if _, outer := properties[name]; outer {
					continue
				}
				properties[name] = s.typ(f.Type, strict)
				if !strings.Contains(options, "omit") {
					*required = append(*required, name)
				}
			}
		}
	}
}

func containsParameter(address, name string) bool { return strings.Contains(address, "{"+name+"}") }
