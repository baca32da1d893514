package scenario_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/purewire/purewire/transports/sim/gallery"
	"github.com/purewire/purewire/transports/sim/scenario"
)

var update = flag.Bool("update", false, "write the generated files anew")

const schemaFile = "../../../docs/scenario.schema.json"

func TestSchemaIsPublished(t *testing.T) {
	made, err := scenario.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, made, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, published) {
		t.Errorf("%s is not what the types say; run go test ./transports/sim/scenario -update", schemaFile)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// The gallery is valid under the published schema, and what the parser refuses for its form is not.
func TestGalleryIsValid(t *testing.T) {
	s := compiled(t)
	for _, name := range gallery.Names() {
		text, _ := gallery.Text(name)
		if err := valid(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, _ := gallery.Text(gallery.Default)
	for _, c := range [][2]string{{"duration: 10m", "duration: 10"}, {"do: sleep", "do: sleeep"},
		{"version: 1", "version: 2"},
		{"keepalive: 25", "keepalive: soon"}, {"loss: 2%", "loss: much"}, {"    forward:", "    foward:"},
		{"name: default\n", "\n"}} {
		bad := strings.Replace(string(text), c[0], c[1], 1)
		if bad == string(text) {
			t.Fatalf("%q is not in the file", c[0])
		}
		if valid(t, s, []byte(bad)) == nil {
			t.Errorf("%q is valid", c[1])
		}
	}
}

// Each property of the schema says what it is: an editor shows that.
func TestEveryFieldIsDescribed(t *testing.T) {
	made, err := scenario.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(made, &root); err != nil {
		t.Fatal(err)
	}
	n := 0
	walk := func(where string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		props, _ := m["properties"].(map[string]any)
		for name, p := range props {
			n++
			if p.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s is not described", where, name)
			}
		}
	}
	walk("File", root)
	defs := root["$defs"].(map[string]any)
	for name, d := range defs {
		walk(name, d)
	}
	if n < 120 {
		t.Errorf("%d properties", n)
	}
}
