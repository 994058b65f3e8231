package config

import (
	"encoding/json"
	"fmt"
	"reflect"

	"tillgate/link"
)

// Schema is the JSON Schema (2020-12) of the file, for editors that complete
// and check it. Each driver's settings are a schema of their own, chosen by the
// terminal's driver. It knows what a schema can say; [Load] knows the rest.
func Schema(drivers []link.Driver) ([]byte, error) {
	d := drafter{definitions: map[string]*schema{}}
	root := d.structure(reflect.TypeFor[Config]())
	root.Version, root.Title, root.Definitions = "https://json-schema.org/draft/2020-12/schema", "Tillgate configuration", d.definitions
	terminal, sender := d.definitions["Terminal"], d.definitions["Sender"]
	if terminal == nil || sender == nil {
		return nil, fmt.Errorf("schema: no definition of a terminal, or of a sender")
	}
	for _, driver := range drivers {
		if !driver.Notifies() {
			root.choose(terminal, "profile-", driver, driver.Settings)
		}
		if driver.Notify != nil {
			root.choose(sender, "notify-profile-", driver, driver.Notify.Settings)
		}
	}
	return json.MarshalIndent(root, "", "  ")
}

// choose adds a driver to the choices of an entry, and says what its profile is.
func (s *schema) choose(entry *schema, prefix string, d link.Driver, settings func() any) {
	if driver := entry.Properties.get("driver"); driver != nil {
		driver.Enum = append(driver.Enum, d.Name)
	}
	if settings == nil {
		return
	}
	profile := (&drafter{}).of(reflect.TypeOf(settings()))
	profile.Title = d.Title
	key := prefix + d.Name
	s.Definitions[key] = profile
	entry.AllOf = append(entry.AllOf, &schema{
		If:   &schema{Properties: properties{{"driver", &schema{Const: d.Name}}}},
		Then: &schema{Properties: properties{{"profile", &schema{Ref: "#/$defs/" + key}}}},
	})
}
