package scenario

import (
	"fmt"
	"reflect"
	"strings"
)

// KindsReference lists in Markdown, for docs/SCENARIOS.md, which kind reads which fields.
func KindsReference() string {
	var b strings.Builder
	b.WriteString("| in | kind | fields of its own |\n|---|---|---|\n")
	kinds(&b, "traffic", flowKinds)
	kinds(&b, "timeline", actionKinds)
	kinds(&b, "faults, rules", ruleKinds)
	kinds(&b, "attacks", attackKinds)
	return b.String()
}

func kinds[T any](b *strings.Builder, where string, list []word[T]) {
	for _, w := range list {
		fmt.Fprintf(b, "| %s | `%s` | %s |\n", where, w.name, strings.Join(strings.Fields(w.fields), ", "))
	}
}

// FieldsReference lists all fields in Markdown, for docs/SCENARIOS.md.
func FieldsReference() string {
	var b strings.Builder
	b.WriteString("| of | field | what it is |\n|---|---|---|\n")
	for _, t := range []reflect.Type{reflect.TypeFor[File](), reflect.TypeFor[Link](), reflect.TypeFor[Rule](),
		reflect.TypeFor[NAT](), reflect.TypeFor[Network](), reflect.TypeFor[Firewall](), reflect.TypeFor[Host](),
		reflect.TypeFor[Limits](), reflect.TypeFor[Home](), reflect.TypeFor[Peer](), reflect.TypeFor[Flow](),
		reflect.TypeFor[Action](), reflect.TypeFor[Fault](), reflect.TypeFor[Attack]()} {
		for _, f := range ownedFields(t) {
			if f.owner != t.Name() {
				continue // of the rule that a fault is
			}
			text := textOf(f.owner + "." + f.name)
			if words := closed(f.owner + "." + f.name); words != nil {
				text += ": " + strings.Join(words, ", ")
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s |\n", strings.ToLower(t.Name()), f.name, text)
		}
	}
	return b.String()
}
