package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

const columns = 100

// WriteJSON writes the report as one JSON value, indented.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the report for a person with 100 columns: diagnosis first, then per tunnel its sessions and its
// timeline, then deviations and notes.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	paragraph(&b, 0, fmt.Sprintf("%s: %d packets, %s of WireGuard from %s", strings.Join(r.Files, ", "), r.Frames,
		seconds(r.Duration), time.Unix(0, r.Start).UTC().Format("2006-01-02 15:04:05.000 UTC")))
	paragraph(&b, 0, fmt.Sprintf("Depth: %s (%s)", r.Depth, r.DepthText))
	for _, c := range r.Clocks {
		paragraph(&b, 0, "Clock: "+c.Tap+" "+c.Text)
	}
	for _, t := range r.Tunnels {
		paragraph(&b, 0, fmt.Sprintf("Tunnel %d: %s <-> %s; captured %s; %s", t.ID, t.Ends[0].label(), t.Ends[1].label(),
			t.Place,
			t.State))
	}
	b.WriteString("\nDIAGNOSIS\n")
	if len(r.Findings) == 0 {
		b.WriteString("  nothing is wrong as far as can be seen\n")
	}
	for i := range r.Findings {
		r.finding(&b, i+1, &r.Findings[i])
	}
	for i := range r.Tunnels {
		r.tunnel(&b, &r.Tunnels[i])
	}
	b.WriteString("\nDEVIATIONS FROM THE PROTOCOL\n")
	if len(r.Deviations) == 0 {
		b.WriteString("  none was seen\n")
	}
	for _, d := range r.Deviations {
		paragraph(&b, 2, fmt.Sprintf("%s  %s, %s, %d times: %s (%s)", d.Rule, d.Who, d.Certainty, d.Count, d.Text,
			r.packets(d.Packets)))
	}
	if len(r.Notes) > 0 {
		b.WriteString("\nNOTES\n")
		for _, n := range r.Notes {
			paragraph(&b, 2, "- "+n)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *End) label() string {
	if len(e.Addresses) == 0 || e.Name == e.Addresses[0] {
		return e.Name
	}
	return e.Name + " (" + e.Addresses[0] + ")"
}

func (r *Report) finding(b *strings.Builder, n int, f *Finding) {
	tunnel := ""
	if len(r.Tunnels) > 1 && f.Tunnel > 0 {
		tunnel = fmt.Sprintf("tunnel %d, ", f.Tunnel)
	}
	paragraph(b, 2, fmt.Sprintf("%d. %s", n, r.sentence(f.Title)))
	paragraph(b, 5, fmt.Sprintf("[%s, %s%s, %s to %s, %s]", f.Kind, tunnel, f.Certainty, clockTime(f.From),
		clockTime(f.To),
		r.packets(f.Packets)))
	paragraph(b, 5, f.Text)
	if len(f.Or) > 0 {
		word := "It may also be: "
		if f.Certainty == Possible {
			word = "It may be, and this capture does not tell which: "
		}
		paragraph(b, 5, word+strings.Join(f.Or, "; ")+".")
	}
	if f.Advice != "" {
		paragraph(b, 5, "-> "+f.Advice)
	}
}

// sentence begins with a capital, but names of ends, which may be keys, stay as they are.
func (r *Report) sentence(title string) string {
	for i := range r.Tunnels {
		for _, e := range r.Tunnels[i].Ends {
			if strings.HasPrefix(title, e.Name) {
				return title
			}
		}
	}
	if first := title[0]; 'a' <= first && first <= 'z' {
		return string(first-'a'+'A') + title[1:]
	}
	return title
}

// packets lists references; with several files each has its file's number before it.
func (r *Report) packets(list []Ref) string {
	if len(list) == 0 {
		return "no packet"
	}
	var s []string
	for _, p := range list {
		if len(r.Files) > 1 {
			s = append(s, fmt.Sprintf("%d:%d", p.File, p.Packet))
		} else {
			s = append(s, fmt.Sprintf("%d", p.Packet))
		}
	}
	word := "packets "
	if len(s) == 1 {
		word = "packet "
	}
	return word + strings.Join(s, " ")
}

func (r *Report) tunnel(b *strings.Builder, t *Tunnel) {
	fmt.Fprintf(b, "\nSESSIONS of tunnel %d, %s = A, %s = B\n", t.ID, t.Ends[0].label(), t.Ends[1].label())
	if len(t.Sessions) == 0 {
		b.WriteString("  none\n")
	}
	if len(t.Sessions) > 0 {
		w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  #\tbegin\tend\tby\ttries\thandshake\tA sent\tA lost\tB sent\tB lost\tstate")
		for _, s := range t.Sessions {
			by, handshake, state := "?", "-", "in use"
			switch s.Initiator {
			case t.Ends[0].Name:
				by = "A"
			case t.Ends[1].Name:
				by = "B"
			}
			if s.RoundTrip > 0 {
				handshake = seconds(s.RoundTrip)
			}
			if !s.Confirmed {
				state = "unconfirmed"
			}
			if s.Assumed {
				state += ", assumed"
			}
			fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%s\n", s.ID, clockTime(s.Begin), clockTime(s.End), by,
				s.Initiations, handshake, s.Flow[0].Messages, s.Flow[0].Missing, s.Flow[1].Messages, s.Flow[1].Missing, state)
		}
		w.Flush() // into memory
	}
	fmt.Fprintf(b, "\nTIMELINE of tunnel %d\n", t.ID)
	for _, e := range t.Timeline {
		who := e.Who
		if who != "" {
			who += " "
		}
		paragraph(b, 2, fmt.Sprintf("%10s  %s%s (%s)", clockTime(e.At), who, e.Text, r.packets(e.Packets)))
	}
}

// paragraph breaks a text into lines with an indent; following lines are indented by two more.
func paragraph(b *strings.Builder, indent int, text string) {
	pad := strings.Repeat(" ", indent)
	line, width := pad, indent
	lead := len(text) - len(strings.TrimLeft(text, " "))
	line, width = line+text[:lead], width+lead
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if i > 0 && width+1+n > columns {
			b.WriteString(line + "\n")
			line, width = pad+"  "+word, indent+2+n
			continue
		}
		if i > 0 {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+n
	}
	b.WriteString(line + "\n")
}
