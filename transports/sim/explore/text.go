package explore

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// WriteText tells what an exploration came to: what trouble took effect, what was covered, who owed recovery, the
// floors, and which seeds failed. Of an exploration of a known-bad core, which ends early, only the last is of
// interest.
func (s *Summary) WriteText(w io.Writer) error {
	p := &pages{w: w}
	if s.Sabotage == "" {
		p.trouble(s)
		p.coverage(s)
		p.recovery(s)
		p.floors(s)
	}
	p.failures(s)
	return p.err
}

// Line is the verdict in one line.
func (s *Summary) Line() string {
	n := len(s.Runs)
	text := fmt.Sprintf("seeds %d..%d", s.From, s.To)
	if s.Missing() > 0 {
		text += fmt.Sprintf(" (%d of them ran)", n)
	}
	if s.Sabotage != "" {
		text += ", sabotage " + s.Sabotage
	}
	var unmet []string
	for _, f := range s.Floors() {
		if f.Asserted && !f.Met {
			unmet = append(unmet, f.Name)
		}
	}
	switch {
	case len(s.Failures) > 0:
		f := &s.Failures[0]
		return fmt.Sprintf("%s: BROKEN: %d failed, first seed %d: %s", text, len(s.Failures), f.Seed, f.Checker)
	case n == 0:
		return text + ": NOTHING was explored"
	case len(unmet) > 0:
		return text + ": no checker was broken, but NOT ENOUGH was explored: " + strings.Join(unmet, ", ")
	}
	return text + ": all checkers held"
}

// pages writes tables and keeps the first error.
type pages struct {
	w   io.Writer
	err error
}

func (p *pages) table(title string, rows [][]string) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintln(p.w, title)
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if p.err == nil {
			_, p.err = fmt.Fprintln(t, "  "+strings.Join(r, "\t"))
		}
	}
	if p.err == nil {
		p.err = t.Flush()
	}
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w)
	}
}

// trouble has two kinds in a row, so that the table fits a screen.
func (p *pages) trouble(s *Summary) {
	kinds := sim.FaultKinds()
	half := (len(kinds) + 1) / 2
	cells := func(i int) []string {
		if i >= len(kinds) {
			return nil
		}
		name := kinds[i].String()
		return []string{name, percent(s.SeedsWith(name), len(s.Runs)), fmt.Sprint(s.Took[name])}
	}
	rows := [][]string{{"kind", "seeds", "times", "kind", "seeds", "times"}}
	for i := range half {
		rows = append(rows, append(cells(i), cells(i+half)...))
	}
	p.table("Trouble that took effect", rows)
}

func (p *pages) coverage(s *Summary) {
	rows := [][]string{{"list", "covered", "not covered, and why"}}
	met, all := map[string]int{}, map[string]int{}
	missing := map[string][]string{}
	for _, e := range s.Covered.Entries() {
		all[e.List]++
		if e.Count > 0 {
			met[e.List]++
		} else {
			missing[e.List] = append(missing[e.List], e.Name+": "+e.Why)
		}
	}
	for _, l := range []string{ListDrops, ListCauses, ListTimers, ListSlots} {
		first := []string{l + "s", fmt.Sprintf("%d of %d", met[l], all[l])}
		if len(missing[l]) == 0 {
			rows = append(rows, append(first, ""))
		}
		for i, m := range missing[l] {
			if i > 0 {
				first = []string{"", ""}
			}
			rows = append(rows, append(first, m))
		}
	}
	p.table("Coverage of the closed lists", rows)
}

func (p *pages) recovery(s *Summary) {
	all := int(s.Owed + s.Exempted())
	rows := [][]string{{"directions that owed recovery", percent(int(s.Owed), all), fmt.Sprint(s.Owed)}}
	for _, why := range sim.Exemptions() {
		rows = append(rows, []string{"exempt: " + why, percent(int(s.Exempt[why]), all), fmt.Sprint(s.Exempt[why])})
	}
	if s.Owed > 0 {
		rows = append(rows, []string{"longest bound", "", s.Bounds.Longest.String()},
			[]string{"longest time until a message was through", "", s.Bounds.Slowest.String()},
			[]string{"least room between the two", "", s.Bounds.Closest.String()})
	}
	p.table("Recovery after all trouble has ended (docs/RECOVERY-BOUND.md)", rows)
}

func (p *pages) floors(s *Summary) {
	rows := [][]string{{"floor", "wanted", "got", ""}}
	for _, f := range s.Floors() {
		verdict := "met"
		switch {
		case !f.Met && f.Asserted:
			verdict = "NOT MET"
		case !f.Met:
			verdict = "not met"
		}
		if !f.Asserted {
			verdict += ", not asserted"
		}
		rows = append(rows, []string{f.Name, f.Want, f.Got, verdict})
	}
	if len(rows) > 1 {
		p.table(fmt.Sprintf("Floors (asserted from %d seeds on, the last one from %d on)", FloorSeeds, ExemptSeeds), rows)
	}
}

func (p *pages) failures(s *Summary) {
	if len(s.Failures) == 0 {
		return
	}
	rows := [][]string{{"seed", "checker", "at", "what"}}
	for i := range s.Failures {
		f := &s.Failures[i]
		rows = append(rows, []string{fmt.Sprint(f.Seed), f.Checker, f.At.Round(time.Millisecond).String(),
			f.Host + " " + f.Text})
		if f.Repeat != "" {
			rows = append(rows, []string{"", "", "", f.Repeat})
		}
	}
	p.table("Failures", rows)
}
