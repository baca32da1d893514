package bringup

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// WriteVectors writes vectors for people, in 100 columns: the names are those of the JSON.
func WriteVectors(w io.Writer, v *Vectors) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, seed %d, %d tests\n", v.Format, v.Seed, v.Count)
	for _, g := range v.Groups {
		b.WriteString("\n" + g.Type + "\n" + fold("  ", g.Notes, 2))
		for _, t := range g.Tests {
			c := t.common()
			b.WriteString("\n" + fold(fmt.Sprintf("  %d  ", c.ID), c.Result+": "+c.Comment, 0))
			fmt.Fprintf(&b, "    %-18s  %s\n", "rules", strings.Join(c.Rules, " "))
			writeValue(&b, "", reflect.ValueOf(t).Elem())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeValue writes the fields of a struct, those within it after its name.
func writeValue(b *strings.Builder, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if f.Anonymous { // Common, written already
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		head := fmt.Sprintf("    %-18s  ", prefix+name)
		switch x := value.Interface().(type) {
		case Hex:
			if x != nil {
				digits(b, head, x)
			}
		case []Step:
			for _, s := range x {
				b.WriteString(fold("    "+s.Name+"  ", s.Formula, 8))
				for _, val := range s.values() {
					digits(b, fmt.Sprintf("      %-16s  ", val.Name), val.Bytes)
				}
			}
		case []Transport:
			for _, t := range x {
				b.WriteString("    transport\n")
				writeValue(b, "  ", reflect.ValueOf(t))
			}
		case KeyPair:
			b.WriteString("    " + name + "\n")
			writeValue(b, "  ", value)
		case uint32:
			fmt.Fprintf(b, "%s%d (%#08x)\n", head, x, x)
		default:
			if !value.IsZero() || f.Type.Kind() != reflect.String {
				fmt.Fprintf(b, "%s%v\n", head, x)
			}
		}
	}
}
