package config

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"

	"tillgate/link"
)

// Schema is the JSON Schema (2020-12) of the file, for editors that complete
// and check it. Each driver's settings are a schema of their own, chosen by the
// terminal's driver. It knows what a schema can say; [Load] knows the rest.
func Schema(drivers []link.Driver) ([]byte, error) {
	root := reflector().Reflect(&Config{})
	root.Title = "Tillgate configuration"
	terminal, ok := root.Definitions["Terminal"]
	if !ok {
		return nil, fmt.Errorf("schema: no definition of a terminal")
	}
	var names []any
	for _, d := range drivers {
		names = append(names, d.Name)
		if d.Settings == nil {
			continue
		}
		r := reflector()
		r.DoNotReference = true
		settings := r.Reflect(d.Settings())
		settings.Version = ""
		settings.Title = d.Title
		key := "profile-" + d.Name
		root.Definitions[key] = settings
		terminal.AllOf = append(terminal.AllOf, &jsonschema.Schema{
			If:   object("driver", &jsonschema.Schema{Const: d.Name}),
			Then: object("profile", &jsonschema.Schema{Ref: "#/$defs/" + key}),
		})
	}
	if driver, ok := terminal.Properties.Get("driver"); ok {
		driver.Enum = names
	}
	return json.MarshalIndent(root, "", "  ")
}

func reflector() *jsonschema.Reflector {
	return &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml",
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == durationType {
				return Duration(0).JSONSchema()
			}
			return nil
		},
	}
}

func object(key string, value *jsonschema.Schema) *jsonschema.Schema {
	p := jsonschema.NewProperties()
	p.Set(key, value)
	return &jsonschema.Schema{Properties: p}
}
