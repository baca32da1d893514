package report

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// Text tells the story of a run to a person. It is an observer: give Observe all records, then the result to Finish.
type Text struct {
	*printer
	scenario   *sim.Scenario
	start, now timers.Time
	subject    int // columns of the second column
	handshakes handshakes
	silences   silences
	tally      tally
	loads      []*load
	doubled    map[uint64]bool    // datagrams of which there is a copy; looked up only
	knocked    map[string]bool    // attackers of whom was told; looked up only
	moved      map[direction]bool // a host went elsewhere, and this peer has not told that it noticed; looked up only
}

// NewText writes the head of the story, which is what the run starts from, and gives an observer for the rest.
func NewText(w io.Writer, s *sim.Scenario, seed uint64, o Options) *Text {
	t := &Text{
		printer:    newPrinter(w, o),
		scenario:   s,
		handshakes: newHandshakes(),
		silences:   newSilences(),
		tally:      newTally(),
		doubled:    map[uint64]bool{},
		knocked:    map[string]bool{},
		moved:      map[direction]bool{},
	}
	for i := range s.Hosts {
		for j := range s.Hosts {
			if i != j {
				pair := between(s.Hosts[i].Name, s.Hosts[j].Name)
				t.subject = max(t.subject, utf8.RuneCountInString(pair))
			}
		}
	}
	t.subject = min(t.subject, 30)
	t.line(fmt.Sprintf("seed %d, scenario %s, %s of virtual time", seed, s.Name, exactly(s.Duration)))
	if s.About != "" {
		t.hang("", 0, faint, s.About)
	}
	t.networks()
	t.traffic()
	t.heading("What happened")
	return t
}

// Entry is a scenario in a list.
type Entry struct {
	Name             string
	Duration         time.Duration
	Question, Answer string
}

// List writes what there is to run, each with its question and the answer.
func List(w io.Writer, scenarios []Entry, o Options) error {
	p := newPrinter(w, o)
	var rows [][]string
	for _, s := range scenarios {
		rows = append(rows, []string{s.Name, exactly(s.Duration), s.Question}, []string{"", "", s.Answer})
	}
	p.table([]string{"scenario", ">lasts", "question and answer"}, rows)
	return p.err
}

// between names one direction of a tunnel.
func between(from, to string) string { return from + " → " + to }

func (t *Text) networks() {
	t.heading("Where they are")
	var rows [][]string
	for i := range t.scenario.Networks {
		n := &t.scenario.Networks[i]
		var hosts []string
		for j := range t.scenario.Hosts {
			if h := &t.scenario.Hosts[j]; h.Network == n.Name {
				hosts = append(hosts, h.Name)
			}
		}
		if hosts == nil {
			hosts = []string{"–"}
		}
		rows = append(rows, []string{n.Name, strings.Join(hosts, ", "), behind(n), line(n.Up, n.Down)})
	}
	t.table([]string{"network", "hosts", "addresses", "line"}, rows)
}

func (t *Text) traffic() {
	var flows []string
	for i := range t.scenario.Flows {
		f := &t.scenario.Flows[i]
		kind := f.Kind.String()
		if f.IPv6 {
			kind += "6"
		}
		flow := kind + " " + between(f.From, f.To)
		if f.Interval > 0 {
			flow += " every " + exactly(f.Interval)
		}
		flows = append(flows, strings.ReplaceAll(flow, " ", "\u00a0"))
	}
	if flows != nil {
		t.line("")
		t.hang("  inside: ", len("  inside: "), plain, strings.Join(flows, ", "))
	}
}

func behind(n *sim.Network) string {
	if n.NAT == nil {
		return "public " + n.Prefix.String()
	}
	if n.NAT.Timeout == 0 {
		return fmt.Sprintf("NAT %s", n.NAT.Public)
	}
	return fmt.Sprintf("NAT %s, forgets after %s", n.NAT.Public, exactly(n.NAT.Timeout))
}

// line describes a line to the Internet by its worse direction.
func line(up, down sim.Line) string {
	var parts []string
	latency := span(max(up.Latency, down.Latency))
	if j := max(up.Jitter, down.Jitter); j > 0 {
		latency += " + 0–" + span(j)
	}
	parts = append(parts, latency)
	worse := func(name string, a, b sim.Ratio) {
		if uint64(b.Num)*uint64(a.Den) > uint64(a.Num)*uint64(b.Den) || a.Num == 0 {
			a = b
		}
		if a.Num > 0 {
			parts = append(parts, name+" "+share(uint64(a.Num), uint64(a.Den)))
		}
	}
	worse("loss", up.Loss, down.Loss)
	worse("copies", up.Duplicate, down.Duplicate)
	worse("damage", up.Corrupt, down.Corrupt)
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], " ", "\u00a0")
	}
	return strings.Join(parts, ", ")
}

// say writes one line of the story. Whatever the two were, it comes in the order of time.
func (t *Text) say(who string, how tone, format string, args ...any) {
	time := clock(t.now.Sub(t.start))
	indent := utf8.RuneCountInString(time) + 2 + t.subject + 2
	t.hang(t.paint(faint, time)+"  "+left(who, t.subject)+"  ", indent, how, fmt.Sprintf(format, args...))
}

// since is the time between a moment of the run and now.
func (t *Text) since(at timers.Time) time.Duration { return t.now.Sub(at) }

// place gives an outer address with the name of the network that it belongs to.
func (t *Text) place(a netip.AddrPort) string {
	if !a.IsValid() {
		return "nowhere"
	}
	return a.String() + t.network(a.Addr(), " (%s)")
}

// network gives the name of the network that an outer address belongs to, in the form asked for; "" if it is none's.
func (t *Text) network(a netip.Addr, form string) string {
	for i := range t.scenario.Networks {
		n := &t.scenario.Networks[i]
		if n.NAT != nil && n.NAT.Public == a || n.NAT == nil && n.Prefix.Contains(a) {
			return fmt.Sprintf(form, n.Name)
		}
	}
	return ""
}

// Observe takes the next record.
func (t *Text) Observe(r *sim.Record) {
	t.now = r.At
	t.calm(false)
	switch r.Kind {
	case sim.KindStart:
		t.start = r.At
	case sim.KindAction:
		t.action(r)
	case sim.KindCore:
		t.core(r)
	case sim.KindDatagram:
		if r.Original != 0 {
			t.doubled[r.Original] = true
		}
	case sim.KindFate:
		t.handshakes.fate(r)
		t.fate(r)
	case sim.KindInnerSent, sim.KindInnerForwarded:
		t.silences.sent(r)
	case sim.KindInnerDelivered:
		t.delivered(r)
	case sim.KindInnerRefused:
		t.refused(r)
	case sim.KindViolation:
		t.say(r.Violation.Host, wrong, "BROKEN %s: %s", r.Violation.Checker, r.Violation.Text)
	}
}

func (t *Text) action(r *sim.Record) {
	who, note := r.Host, r.Note
	if who == "" {
		who = r.Action.String()
	}
	if note == "" {
		note = r.Action.String()
	}
	switch r.Action {
	case sim.ActionRoam:
		for i := range t.scenario.Hosts {
			t.moved[direction{r.Host, t.scenario.Hosts[i].Name}] = true
		}
	case sim.ActionRestart:
		t.handshakes.forget(r.Host, t.scenario.Hosts)
	}
	t.say(who, move, "%s", strings.TrimPrefix(note, r.Host+" "))
}

func (t *Text) delivered(r *sim.Record) {
	if s, over := t.silences.delivered(r); over {
		t.say(between(r.Peer, r.Host), alarm, "gets through again after %s, in which %s had been sent",
			span(s.length), plural(s.sent, "packet"))
	}
}
