package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's own style and scripts
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// Parts of the page. Together they are all that it loads: its policy forbids everything else.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/style.css
	pageCSS string
	//go:embed page/data.js
	pageData string
	//go:embed page/scene.js
	pageScene string
	//go:embed page/plots.js
	pagePlots string
	//go:embed page/tables.js
	pageTables string
	//go:embed page/main.js
	pageMain string
)

// DefaultMaxEvents is how many events a page holds if nobody says: more than a person looks at, and few enough for a
// file of about 10 MB and some tens of MB of memory, however long the run.
const DefaultMaxEvents = 200_000

// leastEvents is the least bound for which thinning out makes sense.
const leastEvents = 1000

// HTMLTrace is what a run must report for its page, besides the usual: see [sim.Options.Trace]. Other observers of the
// same run stand behind [WithoutTimers].
const HTMLTrace = protocol.EventMask(1<<protocol.EventTimerArmed | 1<<protocol.EventTimerCancelled)

// HTMLOptions are what a page shows besides the run.
type HTMLOptions struct {
	Seed    uint64
	Command string // that makes the run again
	Against *Run   // another run, to compare with; nil: none
	// MaxEvents bounds the events of the page; zero: DefaultMaxEvents. When there are more, delivered data and
	// cancelled timers are sampled, which the page says; then losses; the rest is counted.
	MaxEvents int
}

// HTML writes a run as one self-contained page. It is an observer: give Observe all records of a run that was made with
// [HTMLTrace], then the result to Finish, which writes the whole page. It needs memory for MaxEvents events. The same
// run and options give the same bytes. No key gets into the page.
type HTML struct {
	w          io.Writer
	o          HTMLOptions
	scenario   *sim.Scenario
	start      timers.Time
	numbers    numbering
	usual      *JSON // for its digest and for what the two runs have in common
	rows       rows
	lanes      map[string]string // host by the outer address that it was last seen at; looked up only
	versus     *versus
	moves      []pageMove
	at         map[string]string // network by host; looked up only
	timersSeen uint64
}

// NewHTML gives an observer that will write the page to w.
func NewHTML(w io.Writer, s *sim.Scenario, o HTMLOptions) *HTML {
	if o.MaxEvents == 0 {
		o.MaxEvents = DefaultMaxEvents
	}
	h := &HTML{w: w, o: o, scenario: s, usual: &JSON{w: io.Discard, digest: sha256.New()},
		rows: newRows(max(o.MaxEvents, leastEvents)), lanes: map[string]string{},
		moves: []pageMove{}, at: map[string]string{}}
	h.usual.enc = json.NewEncoder(&h.usual.buf)
	if o.Against != nil {
		h.versus = newVersus(o.Against)
	}
	return h
}

// Observe takes the next record.
func (h *HTML) Observe(r *sim.Record) {
	if r.Kind == sim.KindStart {
		h.start, h.usual.start = r.At, r.At
	}
	if isTimer(r) {
		h.timer(r)
		if h.numbers.skips(r) {
			return
		}
	}
	c := *r
	h.numbers.number(&c)
	h.usual.digestOf(&c)
	only := false
	if e, tell := h.usual.event(&c); tell && h.versus != nil {
		only = h.versus.see(&e)
	}
	h.row(&c, only)
}

// pageJSON is all that the scripts of the page are given.
type pageJSON struct {
	Head     jsonHead    `json:"head"`
	Command  string      `json:"command"`
	Hosts    []pageHost  `json:"hosts"`
	Faults   []pageFault `json:"faults"`
	Moves    []pageMove  `json:"moves"`
	Result   jsonTail    `json:"result"`
	Liveness []pageOwed  `json:"liveness"`
	Strings  []string    `json:"strings"`
	Rows     int         `json:"rows"`
	Columns  columns     `json:"columns"`
	Sampling uint64      `json:"sampling"` // delivered data and cancelled timers: 1 of so many is here
	Omitted  uint64      `json:"omitted"`  // rows that did not fit at all
	Versus   *pageVersus `json:"versus"`
}

type pageHost struct {
	Name    string   `json:"name"`
	Network string   `json:"network"`
	Inner   []string `json:"inner"`
	Peers   []string `json:"peers"`
}

// pageMove is a host that sends from another network than before.
type pageMove struct {
	Host    string `json:"host"`
	Network string `json:"network"`
	At      int64  `json:"at_ns"`
}

// mostMoves bounds the moves of all hosts: one with several homes may change with each datagram.
const mostMoves = 10_000

// pageFault is a band: a fault, or an attack.
type pageFault struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Where string `json:"where"`
	From  int64  `json:"from_ns"`
	Until int64  `json:"until_ns"`
}

type pageOwed struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Exempt string `json:"exempt"`
	Bound  int64  `json:"bound_ns"`
	Took   int64  `json:"took_ns"`
}

// Finish writes the page and gives the first error of all writing.
func (h *HTML) Finish(r *sim.Result) error {
	h.rows.settle()
	p := pageJSON{Head: headOf(h.scenario, h.o.Seed), Command: h.o.Command, Hosts: h.hosts(), Faults: h.bands(),
		Moves: h.moves, Result: tailOf(r, hex.EncodeToString(h.usual.digest.Sum(nil)), h.start),
		Liveness: []pageOwed{}, Strings: h.rows.strings.list, Rows: len(h.rows.list), Columns: h.rows.columns(),
		Sampling: 1 << h.rows.shift, Omitted: h.rows.omitted}
	for _, l := range r.Liveness {
		p.Liveness = append(p.Liveness, pageOwed{l.From, l.To, l.Exempt, int64(l.Bound), int64(l.Took)})
	}
	if h.versus != nil {
		p.Versus = h.versus.finish(p.Result.Digest)
	}
	var data bytes.Buffer
	if err := json.NewEncoder(&data).Encode(p); err != nil { // escapes < and >, so it cannot end its element
		return err
	}
	title := fmt.Sprintf("%s, seed %d – wgsim", h.scenario.Name, h.o.Seed)
	script := strings.Join([]string{pageData, pageScene, pagePlots, pageTables, pageMain}, "\n")
	_, err := strings.NewReplacer("@TITLE@", html.EscapeString(title), "@STYLE@", pageCSS, "@DATA@", data.String(),
		"@SCRIPT@", "\"use strict\";\n(() => {\n"+script+"\n})();").WriteString(h.w, pageHTML)
	return err
}

func (h *HTML) hosts() []pageHost {
	list := []pageHost{}
	for i := range h.scenario.Hosts {
		c := &h.scenario.Hosts[i]
		p := pageHost{Name: c.Name, Network: c.Network, Inner: []string{}, Peers: []string{}}
		for _, a := range c.Inner {
			p.Inner = append(p.Inner, a.String())
		}
		for k := range c.Peers {
			p.Peers = append(p.Peers, c.Peers[k].Host)
		}
		list = append(list, p)
	}
	return list
}

// bands lists what was wrong for some of the time, in the order of the scenario.
func (h *HTML) bands() []pageFault {
	list := []pageFault{}
	until := func(d time.Duration) int64 {
		if d == 0 {
			d = h.scenario.Duration
		}
		return int64(d)
	}
	for i := range h.scenario.Faults {
		f := &h.scenario.Faults[i]
		kind := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", f.Rule), "*"), "sim."))
		where := f.Network
		if where == "" {
			where = "every network"
		}
		if f.Far != "" {
			where += " ↔ " + f.Far
		}
		if f.Up != f.Down {
			where += map[bool]string{true: ", up", false: ", down"}[f.Up]
		}
		list = append(list, pageFault{f.Name, kind, where, int64(f.From), until(f.Until)})
	}
	for i := range h.scenario.Attacks {
		a := &h.scenario.Attacks[i]
		list = append(list, pageFault{a.Name, "attack", strings.Join(a.Targets, ", "), int64(a.From), until(a.Until)})
	}
	return list
}

func isTimer(r *sim.Record) bool {
	if r.Kind != sim.KindCore {
		return false
	}
	switch r.Event.Kind {
	case protocol.EventTimerArmed, protocol.EventTimerCancelled, protocol.EventTimerFired:
		return true
	}
	return false
}

// numbering takes the records away that only a page wants and closes the gaps in Seq, so that an event has the same
// number in all reports of a run.
type numbering struct{ skipped uint64 }

func (n *numbering) skips(r *sim.Record) bool {
	if r.Kind == sim.KindCore && HTMLTrace&r.Event.Kind.Mask() != 0 {
		n.skipped++
		return true
	}
	return false
}

func (n *numbering) number(r *sim.Record) { r.Seq -= n.skipped }

// WithoutTimers stands before an observer that must see a run that was made with [HTMLTrace] as if it had been made
// without: the same records with the same numbers.
func WithoutTimers(observe func(*sim.Record)) func(*sim.Record) {
	var n numbering
	return func(r *sim.Record) {
		if n.skips(r) {
			return
		}
		c := *r
		n.number(&c)
		observe(&c)
	}
}
