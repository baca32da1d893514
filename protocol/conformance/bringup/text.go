package bringup

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// width is that of all text.
const width = 100

// WriteAnswer writes one line about an answer.
func WriteAnswer(w io.Writer, number int, a Answer) error {
	verdict := map[conformance.Verdict]string{conformance.Pass: "ok", conformance.Unsupported: "left out"}[a.Verdict]
	if verdict == "" {
		verdict = "WRONG"
	}
	line := fmt.Sprintf("%2d  %-8s  %-25s  ", number, verdict, a.ID)
	_, err := io.WriteString(w, fold(line, a.Title, 0))
	return err
}

// WriteVerdict writes what the answers come to: the diagnosis if there is one, else what was left out.
func WriteVerdict(w io.Writer, r *Report) error {
	var b strings.Builder
	if !r.Failed() {
		r.summary(&b)
		_, err := io.WriteString(w, b.String())
		return err
	}
	a := &r.Answers[len(r.Answers)-1]
	item := func(name, text string) {
		if text != "" {
			b.WriteString(fold(fmt.Sprintf("  %-10s", name), text, 12))
		}
	}
	b.WriteString("\n" + a.ID + "\n")
	expected, actual := a.Expected, a.Actual
	if expected == "" {
		actual = a.Reason
	}
	item("expected", expected)
	item("actual", actual)
	if d := r.Diagnosis; d != nil {
		item("cause", d.Cause)
		item("evidence", d.Evidence)
		item("rules", strings.Join(d.Rules, " "))
		d.values(&b)
	} else {
		item("cause", "no diagnosis: an answer that was right before is wrong now")
		item("rules", strings.Join(a.Rules, " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) summary(b *strings.Builder) {
	ok, reasons := 0, []string{}
	for _, a := range r.Answers {
		switch {
		case a.Verdict == conformance.Pass:
			ok++
		case len(reasons) == 0 || reasons[len(reasons)-1] != a.Reason:
			reasons = append(reasons, a.Reason)
		}
	}
	fmt.Fprintf(b, "\n%d of %d questions are answered rightly", ok, r.Total)
	if skipped := r.Total - len(r.Answers); skipped > 0 {
		fmt.Fprintf(b, ", %d were skipped", skipped)
	}
	if left := len(r.Answers) - ok; left > 0 {
		fmt.Fprintf(b, ", %d were left out:\n", left)
		for _, reason := range reasons {
			b.WriteString(fold("  ", reason, 2))
		}
		return
	}
	b.WriteString("\n")
}

// values writes the parting, the message and the key schedule.
func (d *Diagnosis) values(b *strings.Builder) {
	if p := d.Parting; p != nil {
		b.WriteString("\n  where right and wrong part\n")
		name := p.Name
		if p.Step != "" {
			name = p.Step + ": " + p.Name
		}
		b.WriteString(fold("    value     ", name, 14))
		if p.Formula != "" {
			b.WriteString(fold("    formula   ", p.Formula, 14))
		}
		if p.Expected != nil {
			digits(b, "    expected  ", p.Expected)
		}
		if p.Actual != nil || p.Expected != nil {
			digits(b, "    actual    ", p.Actual)
		}
	}
	switch {
	case len(d.Fields) > 0 && d.Probe:
		b.WriteString("\n  the message that it takes: the tester's, with the mistake in it\n")
	case len(d.Fields) > 0:
		b.WriteString("\n  the message\n")
	}
	for _, f := range d.Fields {
		digits(b, fmt.Sprintf("    %3d  %-19s  ", f.Offset, f.Name), d.Message[f.Offset:f.Offset+f.Length])
	}
	if len(d.Steps) > 0 {
		b.WriteString("\n  the key schedule of this handshake, as it should be\n")
	}
	for _, s := range d.Steps {
		b.WriteString(fold("    "+s.Name+"  ", s.Formula, 8))
		for _, v := range s.values() {
			if v.Name != "field" { // it is in the message
				digits(b, fmt.Sprintf("      %-6s", v.Name), v.Bytes)
			}
		}
	}
}

// digits writes bytes in lines of 32.
func digits(b *strings.Builder, head string, bytes []byte) {
	if len(bytes) == 0 {
		b.WriteString(head + "(empty)\n")
		return
	}
	for len(bytes) > 0 {
		n := min(32, len(bytes))
		b.WriteString(head + hex.EncodeToString(bytes[:n]) + "\n")
		head, bytes = strings.Repeat(" ", len(head)), bytes[n:]
	}
}

// fold breaks text after its head into lines, with an indent for those that follow (0: that of the head).
func fold(head, text string, indent int) string {
	if indent == 0 {
		indent = len(head)
	}
	var b strings.Builder
	line := head
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}
