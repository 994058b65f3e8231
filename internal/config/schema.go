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
	root := document{reflector().Reflect(&Config{})}
	root.Title = "Tillgate configuration"
	terminal, ok := root.Definitions["Terminal"]
	sender, also := root.Definitions["Sender"]
	if !ok || !also {
		return nil, fmt.Errorf("schema: no definition of a terminal, or of a sender")
	}
	for _, d := range drivers {
		if !d.Notifies() {
			root.choose(terminal, "profile-", d, d.Settings)
		}
		if d.Notify != nil {
			root.choose(sender, "notify-profile-", d, d.Notify.Settings)
		}
	}
	return json.MarshalIndent(root, "", "  ")
}

// document is the schema in the making.
type document struct{ *jsonschema.Schema }

// choose adds a driver to the choices of an entry, and says what its profile is.
func (s document) choose(entry *jsonschema.Schema, prefix string, d link.Driver, settings func() any) {
	if driver, ok := entry.Properties.Get("driver"); ok {
		driver.Enum = append(driver.Enum, d.Name)
	}
	if settings == nil {
		return
	}
	r := reflector()
	r.DoNotReference = true
	profile := r.Reflect(settings())
	profile.Version, profile.Title = "", d.Title
	key := prefix + d.Name
	s.Definitions[key] = profile
	entry.AllOf = append(entry.AllOf, &jsonschema.Schema{
		If:   object("driver", &jsonschema.Schema{Const: d.Name}),
		Then: object("profile", &jsonschema.Schema{Ref: "#/$defs/" + key}),
	})
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
