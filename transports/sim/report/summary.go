package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// Finish writes what the run came to: tunnels, losses, what the hosts refused, and the checkers' verdicts. It gives
// the first error of all writing.
func (t *Text) Finish(r *sim.Result) error {
	t.calm(true)
	t.tunnels(r)
	t.flows(r)
	t.recoveries(r)
	t.lossTable()
	t.refusalTable()
	t.verdicts(r)
	return t.err
}

func (t *Text) tunnels(r *sim.Result) {
	t.heading("Tunnels")
	var rows [][]string
	for i := range r.Tunnels {
		u := &r.Tunnels[i]
		rows = append(rows,
			direct(between(u.A, u.B), count(u.Handshakes), u.AtoB, u.WireAtoB),
			direct(between(u.B, u.A), "", u.BtoA, u.WireBtoA))
	}
	t.table([]string{"direction", ">handshakes", ">sent", ">delivered", ">lost", ">", ">longest outage", ">inner",
		">outer"}, rows)
	rows = nil
	for i := range r.Tunnels {
		u := &r.Tunnels[i]
		rows = append(rows, []string{u.A + " – " + u.B, initiations(u)})
	}
	t.line("")
	t.table([]string{"tunnel", "why they initiated"}, rows)
}

func direct(name, handshakes string, d sim.DirectionSum, wire uint64) []string {
	outage := "–"
	if d.Sent > 0 {
		outage = span(d.LongestOutage)
	}
	return []string{name, handshakes, count(d.Sent), count(d.Delivered), count(d.Lost()), share(d.Lost(), d.Sent), outage,
		size(d.DeliveredBytes), size(wire)}
}

// initiations lists the causes by number, the commonest first.
func initiations(u *sim.TunnelResult) string {
	var causes []protocol.Cause
	for c := range protocol.NumCauses {
		if u.Initiations[c] > 0 {
			causes = append(causes, c)
		}
	}
	slices.SortStableFunc(causes, func(a, b protocol.Cause) int {
		return int(u.Initiations[b]) - int(u.Initiations[a])
	})
	var parts []string
	for _, c := range causes {
		parts = append(parts, fmt.Sprintf("%s %s", count(u.Initiations[c]), c))
	}
	if u.GaveUp > 0 {
		parts = append(parts, fmt.Sprintf("gave up %s", plural(u.GaveUp, "time")))
	}
	if u.Roamed > 0 {
		parts = append(parts, fmt.Sprintf("moved %s", plural(u.Roamed, "time")))
	}
	if parts == nil {
		return "never"
	}
	return strings.Join(parts, ", ")
}

func (t *Text) lossTable() {
	if len(t.tally.losses) == 0 {
		return
	}
	t.heading("Lost on the way")
	var rows [][]string
	for _, l := range t.tally.losses {
		rows = append(rows, []string{l.kind.rule, count(l.n), clock(l.first), clock(l.last)})
	}
	t.table([]string{"by", ">datagrams", ">first", ">last"}, rows)
}

func (t *Text) refusalTable() {
	if len(t.tally.refusals) == 0 {
		return
	}
	t.heading("Refused by the hosts")
	var rows [][]string
	for _, g := range t.tally.byKind() {
		rows = append(rows, []string{g.kind.what, g.kind.reason.String(), g.kind.reason.Rule(), count(g.n), clock(g.first),
			clock(g.last), g.kind.host})
	}
	t.table([]string{"what", "as", "rule", ">times", ">first", ">last", "by"}, rows)
}

func (t *Text) verdicts(r *sim.Result) {
	t.heading("Checkers")
	var held []string
	var broken [][]string
	for _, c := range r.Checkers {
		if c.Violations == 0 {
			held = append(held, fmt.Sprintf("%s\u00a0%s", c.Name, count(c.Checked)))
			continue
		}
		broken = append(broken, []string{c.Name, count(c.Violations), c.Rule})
	}
	if held != nil {
		t.hang("  held, so many times: ", len("  held, so many times: "), plain, strings.Join(held, ", "))
	}
	if broken != nil {
		t.line("")
		t.table([]string{"broken", ">times", "rule"}, broken)
		for i := range r.Violations {
			v := &r.Violations[i]
			at := clock(v.At.Sub(t.start))
			t.hang("  "+t.paint(wrong, at)+"  ", 4+len(at), plain, v.Host+", "+v.Checker+": "+v.Text)
		}
	}
	t.expectations(r)
	t.line("")
	t.hang("", 0, verdictTone(r), Verdict(r))
}

func (t *Text) expectations(r *sim.Result) {
	if len(r.Expectations) == 0 {
		return
	}
	t.heading("Expected")
	for _, e := range r.Expectations {
		word, tone := "yes", good
		if !e.Met {
			word, tone = "NO", wrong
		}
		t.hang("  "+t.paint(tone, fmt.Sprintf("%-3s", word))+"  ", 7, plain, e.Text+" ("+e.Got+")")
	}
}

func verdictTone(r *sim.Result) tone {
	if r.OK() && r.Met() {
		return good
	}
	return wrong
}

// Verdict sums the run up in one line.
func Verdict(r *sim.Result) string {
	var broken []string
	var checked uint64
	for _, c := range r.Checkers {
		checked += c.Checked
		if c.Violations > 0 {
			broken = append(broken, fmt.Sprintf("%s (%s)", c.Name, plural(c.Violations, "time")))
		}
	}
	head := fmt.Sprintf("seed %d, scenario %s, %s: ", r.Seed, r.Scenario, clock(r.Virtual))
	if broken == nil {
		return head + fmt.Sprintf("all %d checkers held in %s looks at %s", len(r.Checkers), count(checked),
			plural(r.Datagrams, "datagram")) + met(r)
	}
	return head + "BROKEN: " + strings.Join(broken, ", ") + met(r)
}

// met is the end of the verdict, about the expectations that did not come true.
func met(r *sim.Result) string {
	var missed []string
	for _, e := range r.Expectations {
		if !e.Met {
			missed = append(missed, fmt.Sprintf("%s (%s)", e.Text, e.Got))
		}
	}
	if missed == nil {
		return ""
	}
	return "; NOT AS EXPECTED: " + strings.Join(missed, "; ")
}

// Line is the verdict for where nothing else is printed: it says also how many expectations came true.
func Line(r *sim.Result) string {
	if len(r.Expectations) == 0 || !r.Met() {
		return Verdict(r)
	}
	return fmt.Sprintf("%s, and %s came true", Verdict(r), plural(uint64(len(r.Expectations)), "expectation"))
}
