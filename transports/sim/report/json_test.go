package report

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

func encode(t *testing.T, records []sim.Record, r *sim.Result) []byte {
	t.Helper()
	var out bytes.Buffer
	j := NewJSON(&out, smallWorld(), 5)
	for i := range records {
		j.Observe(&records[i])
	}
	if err := j.Finish(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestJSONTellsEverything(t *testing.T) {
	b := encode(t, everything(), someResult())
	golden(t, "story.json", string(b))
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var whole struct {
		jsonHead
		Events []jsonEvent `json:"events"`
		jsonTail
	}
	if err := d.Decode(&whole); err != nil {
		t.Fatalf("not the object that the package documentation describes: %v", err)
	}
	if whole.Version != SchemaVersion || whole.Seed != 5 || whole.OK || len(whole.Tunnels) != 1 || len(whole.Hosts) != 2 {
		t.Errorf("read back: %+v", whole)
	}
	if e := whole.Events[len(whole.Events)-1]; e.Kind != "end" || e.At != 661142000000 {
		t.Errorf("the last event is %+v", e)
	}
}

// A program that reads the JSON reads the package documentation first: each field must be there.
func TestJSONFieldsAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	_, doc, _ := strings.Cut(file.Doc.Text(), "JSON\n")
	var walk func(v reflect.Type)
	walk = func(v reflect.Type) {
		switch v.Kind() {
		case reflect.Slice, reflect.Pointer:
			walk(v.Elem())
		case reflect.Float32, reflect.Float64:
			t.Errorf("a float: its text depends on rounding")
		case reflect.Struct:
			for i := range v.NumField() {
				name, _, _ := strings.Cut(v.Field(i).Tag.Get("json"), ",")
				if !regexp.MustCompile(`\b` + name + `\b`).MatchString(doc) {
					t.Errorf("%s.%s: the package documentation does not mention %q", v, v.Field(i).Name, name)
				}
				walk(v.Field(i).Type)
			}
		}
	}
	for _, v := range []any{jsonHead{}, jsonEvent{}, jsonTail{}} {
		walk(reflect.TypeOf(v))
	}
}

// The digest stands for what is left out of the events: one bit of one datagram changes it.
func TestJSONDigestCoversAllRecords(t *testing.T) {
	digest := func(records []sim.Record) string {
		var tail jsonTail
		if err := json.Unmarshal(encode(t, records, someResult()), &tail); err != nil {
			t.Fatal(err)
		}
		return tail.Digest
	}
	records := func() []sim.Record {
		return []sim.Record{{Kind: sim.KindStart}, {Kind: sim.KindDatagram, Host: "a", Data: []byte{1, 2}},
			{Kind: sim.KindInnerSent, Inner: sim.Inner{Data: []byte{3}}}}
	}
	want := digest(records())
	if got := digest(records()); got != want {
		t.Error("the same records, another digest")
	}
	for name, change := range map[string]func([]sim.Record){
		"a bit of a datagram":      func(r []sim.Record) { r[1].Data[1] ^= 1 },
		"a bit of an inner packet": func(r []sim.Record) { r[2].Inner.Data[0] ^= 128 },
		"a nanosecond":             func(r []sim.Record) { r[1].At++ },
		"a name":                   func(r []sim.Record) { r[1].Host = "b" },
		"a kind":                   func(r []sim.Record) { r[2].Kind = sim.KindInnerForwarded },
	} {
		r := records()
		change(r)
		if digest(r) == want {
			t.Errorf("%s changed and the digest did not", name)
		}
	}
}

func TestJSONHoldsNoSecret(t *testing.T) {
	e := protocol.Event{Kind: protocol.EventSecrets, Secret: [protocol.KeySize]byte{1, 2, 3}}
	b := encode(t, []sim.Record{{Kind: sim.KindCore, Host: "a", Event: e},
		{Kind: sim.KindKeyLog, Host: "a", KeyLog: []byte("LOCAL_STATIC_PRIVATE_KEY=x\n")}}, someResult())
	for _, s := range []string{"secrets", "PRIVATE", "key-log"} {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("%q is in the JSON", s)
		}
	}
}
