package config_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"tillgate/internal/config"
)

func TestExampleLoads(t *testing.T) {
	c, err := config.Parse("example.yaml", config.Example(drivers()), drivers())
	if err != nil {
		t.Fatal(err)
	}
	if !c.Terminals[0].Simulated() {
		t.Error("the example's terminal is not a simulated one: it would not start as it stands")
	}
}

var commented = regexp.MustCompile(`^( *)#( *(?:- )?[a-z_]+:( .*)?)$`)

// uncommented is the example with every key that stands behind a # put into
// force. Sentences have a blank after the #; keys have none.
func uncommented(t *testing.T) string {
	var out []string
	for line := range strings.Lines(string(config.Example(drivers()))) {
		line = strings.TrimRight(line, "\n")
		m := commented.FindStringSubmatch(line)
		if m != nil && (!strings.HasPrefix(m[2], " ") || strings.HasPrefix(m[2], "  ")) {
			line = m[1] + m[2]
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestExampleWithEverythingInForce makes sure that what stands behind a # is
// not merely prose: with every # removed the file is still right.
func TestExampleWithEverythingInForce(t *testing.T) {
	text := uncommented(t)
	if _, err := config.Parse("example.yaml", []byte(text), drivers()); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestExampleAndSchemaHaveTheSameKeys walks both: a key that only one of them
// has is undocumented or does not exist.
func TestExampleAndSchemaHaveTheSameKeys(t *testing.T) {
	b, err := config.Schema(drivers())
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	var example any
	if err := yaml.Unmarshal([]byte(uncommented(t)), &example); err != nil {
		t.Fatal(err)
	}
	inSchema, inExample := map[string]bool{}, map[string]bool{}
	schemaKeys(schema, schema, "", inSchema)
	yamlKeys(example, "", inExample)
	for key := range inExample {
		if !inSchema[key] && !strings.Contains(key, ".profile.names.") {
			t.Errorf("%s is in the example and not in the schema", key)
		}
	}
	for key := range inSchema {
		if !inExample[key] {
			t.Errorf("%s is in the schema and not in the example", key)
		}
	}
	if len(inSchema) < 50 {
		t.Errorf("the schema has only %d keys: the walk is broken", len(inSchema))
	}
}

func schemaKeys(root, s map[string]any, path string, found map[string]bool) {
	if ref, ok := s["$ref"].(string); ok {
		defs := root["$defs"].(map[string]any)
		schemaKeys(root, defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), path, found)
	}
	if items, ok := s["items"].(map[string]any); ok {
		schemaKeys(root, items, path+"[]", found)
	}
	if props, ok := s["properties"].(map[string]any); ok {
		for key, value := range props {
			found[path+"."+key] = true
			schemaKeys(root, value.(map[string]any), path+"."+key, found)
		}
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, one := range all {
			schemaKeys(root, one.(map[string]any)["then"].(map[string]any), path, found)
		}
	}
}

func yamlKeys(v any, path string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			found[path+"."+key] = true
			yamlKeys(value, path+"."+key, found)
		}
	case []any:
		for _, value := range v {
			yamlKeys(value, path+"[]", found)
		}
	}
}

func TestSchemaRefusesUnknownKeysAndDescribesAll(t *testing.T) {
	b, err := config.Schema(drivers())
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Additional *bool `json:"additionalProperties"`
		Required   []string
		Properties map[string]struct {
			Description string
		}
		Defs map[string]struct {
			Properties map[string]struct{ Description string }
			Additional *bool `json:"additionalProperties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Additional == nil || *schema.Additional {
		t.Error("the schema allows unknown keys")
	}
	if strings.Join(schema.Required, " ") != "box terminals" {
		t.Errorf("required are %v, want box and terminals", schema.Required)
	}
	for name, p := range schema.Properties {
		if p.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
	for def, d := range schema.Defs {
		if strings.Contains(def, "profile-") {
			continue // a driver's own
		}
		for name, p := range d.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", def, name)
			}
		}
	}
}
