package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// textOf finds what a field is; "" if nobody has said.
func textOf(field string) string {
	for _, a := range about {
		if a.field == field {
			return a.text
		}
	}
	return ""
}

// owned is a field with the name of the type that describes it: those of an inlined struct are its own.
type owned struct {
	field
	owner string
}

func ownedFields(t reflect.Type) (list []owned) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			list = append(list, ownedFields(f.Type)...)
		case name != "":
			list = append(list, owned{field{name: name, index: f.Index, typ: f.Type}, t.Name()})
		}
	}
	return list
}

// scalars are the patterns of the types that are written as text.
var scalars = []struct {
	typ             reflect.Type
	pattern, sample string
}{
	{reflect.TypeFor[Duration](), `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`, "90s"},
	{reflect.TypeFor[Ratio](), `^[0-9]+(\.[0-9]+)?%$|^[0-9]+/[1-9][0-9]*$|^[01]$`, "0.5%"},
	{reflect.TypeFor[Rate](), `^[0-9]+(|k|M|G)bit/s$`, "20Mbit/s"},
}

// schema is a part of a JSON schema; its fields come out in this order.
type schema struct {
	Schema      string     `json:"$schema,omitempty"`
	ID          string     `json:"$id,omitempty"`
	Title       string     `json:"title,omitempty"`
	Ref         string     `json:"$ref,omitempty"`
	Description string     `json:"description,omitempty"`
	Type        string     `json:"type,omitempty"`
	Const       any        `json:"const,omitempty"`
	Enum        []string   `json:"enum,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	Minimum     *int       `json:"minimum,omitempty"`
	Maximum     *int       `json:"maximum,omitempty"`
	Examples    []string   `json:"examples,omitempty"`
	Items       *schema    `json:"items,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
	Additional  *bool      `json:"additionalProperties,omitempty"`
	Defs        properties `json:"$defs,omitempty"`
}

// properties are schemas by name, in order.
type properties []property

type property struct {
	name string
	*schema
}

// MarshalJSON implements json.Marshaler: an object in the order of the list.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		text, err := json.Marshal(v.schema)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", v.name, text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Schema gives the JSON schema of scenario files, as docs/scenario.schema.json has it: for editors, and for those who
// make such files by program. [Parse] and [File.Compile] look at more than a schema can say.
func Schema() ([]byte, error) {
	var defs properties
	root := object(reflect.TypeFor[File](), &defs)
	root.Schema, root.Title = "https://json-schema.org/draft/2020-12/schema", "wgsim scenario"
	root.ID, root.Defs = "https://github.com/purewire/purewire/docs/scenario.schema.json", defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(root)
	return b.Bytes(), err
}

func object(t reflect.Type, defs *properties) *schema {
	no := false
	s := &schema{Type: "object", Additional: &no}
	for _, f := range ownedFields(t) {
		full := f.owner + "." + f.name
		v := valueSchema(f.typ, defs)
		v.Description = textOf(full)
		if words := closed(full); words != nil {
			if v.Items != nil {
				v.Items.Enum = words
			} else {
				v.Enum = words
			}
		}
		if full == "File.version" {
			v.Const = Version
		}
		if required(full) {
			s.Required = append(s.Required, f.name)
		}
		s.Properties = append(s.Properties, property{f.name, v})
	}
	return s
}

func valueSchema(t reflect.Type, defs *properties) *schema {
	for _, k := range scalars {
		if k.typ == t {
			return &schema{Type: "string", Pattern: k.pattern, Examples: []string{k.sample}}
		}
	}
	switch t.Kind() {
	case reflect.Slice:
		return &schema{Type: "array", Items: valueSchema(t.Elem(), defs)}
	case reflect.Pointer:
		return valueSchema(t.Elem(), defs)
	case reflect.Struct:
		return reference(t, defs)
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		return &schema{Type: "string"}
	}
	s := &schema{Type: "integer"}
	if t.Kind() != reflect.Int && t.Kind() != reflect.Int32 {
		least, most := 0, 1<<t.Bits()-1
		if s.Minimum = &least; t.Bits() < 32 {
			s.Maximum = &most
		}
	}
	return s
}

// reference makes a definition of a struct, once, and refers to it.
func reference(t reflect.Type, defs *properties) *schema {
	name := strings.ToLower(t.Name())
	ref := &schema{Ref: "#/$defs/" + name}
	for _, d := range *defs {
		if d.name == name {
			return ref
		}
	}
	at := len(*defs)
	*defs = append(*defs, property{name, &schema{}})
	made := object(t, defs)
	(*defs)[at].schema = made
	return ref
}
