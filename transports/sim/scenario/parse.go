package scenario

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// mostBytes bounds a file, so that a wrong argument such as a capture is refused at once.
const mostBytes = 4 << 20

// Parse reads a scenario file. name is what errors call it. It is strict: what it does not know it refuses, with the
// place and the nearest word that it knows. Errors are of type [*Error]. What the fields mean together is looked at by
// [File.Compile].
func Parse(name string, text []byte) (*File, error) {
	d := decoder{src: &source{file: name, at: map[string]position{}}}
	f := &File{source: d.src}
	if err := d.parse(text, f); err != nil {
		return nil, err
	}
	return f, nil
}

// decoder fills Go values from YAML nodes and notes where each was.
type decoder struct{ src *source }

func (d *decoder) parse(text []byte, f *File) error {
	if len(text) > mostBytes || bytes.IndexByte(text, 0) >= 0 {
		return &Error{File: d.src.file, Line: 1, Col: 1, Text: "this is no YAML file of a scenario"}
	}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		return d.syntax(err)
	}
	var body ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return d.fail(doc.Body, "", "a second document begins here; a file is one scenario")
		}
		body = doc.Body
	}
	if body == nil {
		return &Error{File: d.src.file, Line: 1, Col: 1, Text: "the file is empty; a scenario begins with version: 1"}
	}
	d.src.at[""] = place(body)
	if err := d.checkVersion(body); err != nil {
		return err
	}
	return d.value(body, reflect.ValueOf(f).Elem(), "")
}

// checkVersion comes first: in another version, other fields may be right.
func (d *decoder) checkVersion(body ast.Node) error {
	values, ok := mapping(body)
	if !ok {
		return nil // value complains
	}
	for _, v := range values {
		if key(v) == "version" {
			if text, ok := scalar(v.Value); ok && text != strconv.Itoa(Version) {
				return d.fail(v.Value, "version", "version %s is not known; this wgsim reads version %d", text, Version)
			}
			return nil
		}
	}
	return d.fail(body, "version", "it is missing; a scenario begins with version: %d", Version)
}

// syntax makes one line of what the YAML parser complains about.
func (d *decoder) syntax(err error) error {
	e := &Error{File: d.src.file, Line: 1, Col: 1, Text: "no YAML: " + err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		e.Text = "no YAML: " + y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Col = t.Position.Line, t.Position.Column
		}
	}
	return e
}

func (d *decoder) fail(n ast.Node, path, format string, args ...any) error {
	at := place(n)
	return &Error{File: d.src.file, Line: at.line, Col: at.col, Field: path, Text: fmt.Sprintf(format, args...)}
}

// place is where a node begins. A block mapping's own token is the colon behind its first key.
func place(n ast.Node) position {
	var t *token.Token
	switch v := n.(type) {
	case *ast.MappingNode:
		if t = v.GetToken(); !v.IsFlowStyle && len(v.Values) > 0 {
			t = v.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = v.Key.GetToken()
	default:
		t = n.GetToken()
	}
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{t.Position.Line, t.Position.Column}
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}, true
	}
	return nil, false
}

func key(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(ast.Node); ok {
		if text, ok := scalar(s); ok {
			return text
		}
	}
	return v.Key.String()
}

// scalar gives the text of a scalar as written, quotes taken off.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// what names the kind of a node for a person.
func what(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.AliasNode, *ast.AnchorNode, *ast.MergeKeyNode:
		return "an anchor or alias (write what you mean, or use count: and patterns)"
	case *ast.TagNode:
		return "a YAML tag"
	}
	return "the word " + strconv.Quote(n.String())
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// value fills v, at path, from n.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) error {
	d.src.at[path] = place(n)
	if reflect.PointerTo(v.Type()).Implements(textType) {
		text, ok := scalar(n)
		if !ok {
			return d.fail(n, path, "a single value is needed here, not %s", what(n))
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return d.fail(n, path, "%s", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.fields(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path)
	case reflect.Slice:
		return d.list(n, v, path)
	}
	return d.simple(n, v, path)
}

func (d *decoder) fields(n ast.Node, v reflect.Value, path string) error {
	values, ok := mapping(n)
	if !ok {
		return d.fail(n, path, "a mapping of fields is needed here, not %s", what(n))
	}
	known := fieldsOf(v.Type())
	for _, mv := range values {
		name := key(mv)
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name })
		if i < 0 {
			return d.fail(mv.Key.(ast.Node), join(path, name), "there is no such field%s", DidYouMean(name, fieldNames(known)))
		}
		if seq, ok := mv.Value.(*ast.SequenceNode); ok && len(seq.Values) == 0 && known[i].optional {
			return d.fail(mv.Value, join(path, name), "the list is empty; leave the field out, or write [none] for allowed-ips")
		}
		if err := d.value(mv.Value, v.FieldByIndex(known[i].index), join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string) error {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		return d.fail(n, path, "a list is needed here, not %s", what(n))
	}
	if len(s.Values) == 0 {
		return nil
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, e := range s.Values {
		if err := d.value(e, v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) simple(n ast.Node, v reflect.Value, path string) error {
	text, ok := scalar(n)
	if !ok {
		return d.fail(n, path, "a single value is needed here, not %s", what(n))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.TrimRight(text, "\n"))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return d.fail(n, path, "%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int32:
		i, err := strconv.ParseInt(text, 0, 32)
		if err != nil {
			return d.fail(n, path, "%q is no whole number", text)
		}
		v.SetInt(i)
	default: // the unsigned ones; TestEveryFieldDecodes sees to it that there are no others
		u, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return d.fail(n, path, "%q is no whole number from 0 to %d", text, uint64(1)<<v.Type().Bits()-1)
		}
		v.SetUint(u)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// field is a field of a struct as YAML has it.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	optional bool // it is left out if it is empty
}

// fieldsOf lists the fields of a struct that have YAML names, those of inlined structs among them.
func fieldsOf(t reflect.Type) (list []field) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for _, in := range fieldsOf(f.Type) {
				in.index = append(slices.Clone(f.Index), in.index...)
				list = append(list, in)
			}
		case name != "":
			list = append(list, field{name, f.Index, f.Type, strings.Contains(options, "omitempty")})
		}
	}
	return list
}

func fieldNames(list []field) (names []string) {
	for _, f := range list {
		names = append(names, f.name)
	}
	return names
}
