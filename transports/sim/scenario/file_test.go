package scenario

import (
	"bytes"
	"encoding"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fill draws a value of any field, by its type: words that YAML could take for something else among them.
func fill(t *rapid.T, v reflect.Value, name string) {
	switch x := v.Addr().Interface().(type) {
	case *Duration:
		*x = Duration(rapid.Int64Range(0, 1e13).Draw(t, name))
		return
	case *Ratio:
		*x = Ratio{rapid.Uint32Range(0, 9).Draw(t, name), rapid.SampledFrom([]uint32{10, 100, 1000, 37, 12300}).Draw(t, name)}
		return
	case *Rate:
		*x = Rate(rapid.Uint64Range(1, 4e9).Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && (f.Anonymous || rapid.Bool().Draw(t, f.Name+"?")) {
				fill(t, v.Field(i), f.Name)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), name)
	case reflect.Slice:
		n := rapid.IntRange(1, 3).Draw(t, name)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), name)
		}
	case reflect.String:
		if name == "CSV" { // the one text of several lines
			v.SetString("0s, 10ms, 0%\n1s, 20ms, 1%")
			return
		}
		v.SetString(rapid.SampledFrom([]string{"a", "fd77::1", "10.0.0.0/8", "true", "null", "~", "12", "1e3", "a: b", "a #b",
			"node-<i>", "<peer>", "*", "x-*", "- a", "[a]", "{a}", "no outage over 2s on a<->b", "it's", "\"q\"", "0x10",
			"%", "@a", "&a", "!a", "|", "on", "1m30s", "ä→b", "a,b", ".5", "2026-01-01T00:00:00Z"}).Draw(t, name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32:
		v.SetInt(rapid.Int64Range(-1<<31, 1<<31-1).Draw(t, name))
	default:
		v.SetUint(rapid.Uint64Range(1, 1<<v.Type().Bits()-1).Draw(t, name))
	}
}

// What Marshal writes, Parse reads as the same File; and Marshal of that is the same text.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f File
		fill(t, reflect.ValueOf(&f).Elem(), "file")
		f.Version = Version
		text, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		g, err := Parse("x.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		g.source = nil
		if !reflect.DeepEqual(*g, f) {
			t.Fatalf("got  %+v\nwant %+v\n%s", *g, f, text)
		}
		again, err := g.Marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%v\n%s\n%s", err, text, again)
		}
	})
}

// Parse takes any bytes without a panic, and what it refuses it refuses in one line with a place.
func TestParseAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(small)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			n := min(rapid.IntRange(0, 4).Draw(t, "length"), len(text)-at)
			with := rapid.SampledFrom([]string{"", ":", "- ",
				"\n", "[", "{", "\"", "&a", "*a", "!!x", "\t", "  ", "#", "|", "9"})
			text = bytes.Join([][]byte{text[:at], []byte(with.Draw(t, "with")), text[at+n:]}, nil)
		}
		f, err := Parse("x.yaml", text)
		if err == nil {
			_, err = f.Compile()
		}
		if err == nil {
			return
		}
		if s := err.Error(); !strings.HasPrefix(s, "x.yaml:") || strings.Contains(s, "\n") {
			t.Fatalf("%q", s)
		}
	})
}

func TestScalars(t *testing.T) {
	for _, c := range []struct {
		to         encoding.TextUnmarshaler
		text, want string // want: what is written again, or a part of the error
		bad        bool
	}{
		{new(Duration), "90s", "1m30s", false},
		{new(Duration), "10m0s", "10m", false},
		{new(Duration), "2h0m0s", "2h", false},
		{new(Duration), "-1h", "-1h", false},
		{new(Duration), "90", "did you mean 90s?", true},
		{new(Duration), "soon", "no duration", true},
		{new(Ratio), "0.5%", "0.5%", false},
		{new(Ratio), "5.00%", "5.00%", false},
		{new(Ratio), "3/1001", "3/1001", false},
		{new(Ratio), "101%", "no share", true},
		{new(Rate), "2500kbit/s", "2500kbit/s", false},
		{new(Rate), "2000kbit/s", "2Mbit/s", false},
		{new(Rate), "2MB/s", "no rate", true},
	} {
		err := c.to.UnmarshalText([]byte(c.text))
		if c.bad {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.text, err)
			}
			continue
		}
		got, _ := c.to.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v", c.text, got, err)
		}
	}
}
