package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// Format names the JSON form of a Document. It changes when a reader of the old form would misread the new one.
const Format = "wgconform-report/1"

// Document is all that a report says: one run, or several that are compared.
type Document struct {
	Format  string        `json:"format"` // Format
	Tool    string        `json:"tool"`   // name and version of the program that made it
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	Machine Machine       `json:"machine"`
	// Command is the command line that made the runs.
	Command string `json:"command"`
	// Profile is empty if all runs come from other documents.
	Profile string `json:"profile"`
	Seed    uint64 `json:"seed"`
	// Cases are those that have a result in a run, in the suite's order.
	Cases []CaseInfo `json:"cases"`
	// Rules are those that the cases name, in the order of docs/rules.txt.
	Rules []Rule `json:"rules"`
	Runs  []Run  `json:"runs"`
}

// Machine is where a run was made. Verdicts about time depend on it.
type Machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel,omitempty"`
}

// Run is what one target did.
type Run struct {
	// Name is the run's name in matrices and file names; it is unique in its document.
	Name string `json:"name"`
	// Target is the target as the user wrote it: "core", "exec:wireguard-go -f {if}".
	Target  string `json:"target"`
	Version string `json:"version,omitempty"`
	// Kind is the column of the tolerance table that was used.
	Kind string `json:"kind"`
	// HZ is how often a second a kernel looks at its timers, where that makes the column exact.
	HZ         int                  `json:"hz,omitempty"`
	Virtual    bool                 `json:"virtual"`
	Started    time.Time            `json:"started"`
	Took       time.Duration        `json:"took_ns"`
	Tolerances []ToleranceRow       `json:"tolerances,omitempty"`
	Counts     Counts               `json:"counts"`
	Lacks      []Lack               `json:"lacks,omitempty"`
	Results    []conformance.Result `json:"results"`
	// Origin is said of a run that was made for another document and added to this one.
	Origin *Origin `json:"origin,omitempty"`
}

// Origin is what the document that a run was made for said of all its runs.
type Origin struct {
	Tool    string  `json:"tool"`
	Machine Machine `json:"machine"`
	Command string  `json:"command"`
	Profile string  `json:"profile"`
	Seed    uint64  `json:"seed"`
}

// Add takes the runs of another document in, each with its origin. What they say of cases counts where this document
// knows nothing of them. Normalize is to be called afterwards.
func (d *Document) Add(from *Document) {
	known := map[string]bool{}
	for _, c := range d.Cases {
		known[c.ID] = true
	}
	for _, c := range from.Cases {
		if !known[c.ID] {
			d.Cases = append(d.Cases, c)
		}
	}
	for _, r := range from.Runs {
		if r.Origin == nil {
			r.Origin = &Origin{from.Tool, from.Machine, from.Command, from.Profile, from.Seed}
		}
		d.Runs = append(d.Runs, r)
	}
}

// Column names the column of the tolerance table for people.
func (r *Run) Column() string {
	if r.HZ > 0 {
		return fmt.Sprintf("%s, HZ=%d", r.Kind, r.HZ)
	}
	return r.Kind
}

// ToleranceRow is one line of the tolerance table of a run's kind of target (rules.md §0.4).
type ToleranceRow struct {
	Quantity string `json:"quantity"`
	Window   string `json:"window"` // "5.000 … 5.900 s"
	Why      string `json:"why,omitempty"`
}

// Lack is something that a target cannot do, and why.
type Lack struct {
	Need string `json:"need"`
	Why  string `json:"why"`
}

// CaseInfo is what is known of a case before it runs.
type CaseInfo struct {
	ID        string                `json:"id"`
	Rules     []string              `json:"rules"`
	Level     conformance.Level     `json:"level"`
	Isolation conformance.Isolation `json:"isolation"`
	Needs     []string              `json:"needs"`
	Title     string                `json:"title"`
	Why       string                `json:"why"`
	Bug       string                `json:"bug,omitempty"`
	Lasts     time.Duration         `json:"lasts_ns"`
}

// Describe gives the part of cases that can be written down.
func Describe(cases []conformance.Case) []CaseInfo {
	all := make([]CaseInfo, len(cases))
	for i, c := range cases {
		all[i] = CaseInfo{
			c.ID, slices.Clone(c.Rules), c.Level, c.Isolation, NeedNames(c.Needs), c.Title, c.Why, c.Bug, c.Lasts,
		}
	}
	return all
}

// needNames has a word for each need, in the order of their bits.
var needNames = []struct {
	need conformance.Need
	name string
}{
	{conformance.NeedInner, "inner"}, {conformance.NeedConfigure, "configure"},
	{conformance.NeedInterface, "interface"}, {conformance.NeedRestart, "restart"},
	{conformance.NeedState, "state"}, {conformance.NeedUAPI, "uapi"}, {conformance.NeedWall, "wall-clock"},
	{conformance.NeedVirtual, "virtual-time"}, {conformance.NeedLoad, "load"}, {conformance.NeedTOS, "tos"},
	{conformance.NeedOuter, "outer-headers"}, {conformance.NeedIPv6, "ipv6"}, {conformance.NeedHost, "host-stack"},
	{conformance.NeedSources, "many-sources"}, {conformance.NeedErrors, "icmp-errors"},
}

// NeedNames gives a word for each need of a set.
func NeedNames(set conformance.Need) []string {
	names := []string{}
	for _, n := range needNames {
		if set&n.need != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// Lacking lists what a target cannot do.
func Lacking(c conformance.Capabilities) (all []Lack) {
	for _, n := range needNames {
		if c.Has&n.need == 0 {
			all = append(all, Lack{n.name, cmp.Or(c.Lacks[n.need], "the target does not offer it")})
		}
	}
	return all
}

// Normalize completes a document: it sorts results into the suite's order, leaves out cases that no run has, adds
// what is missing about those that have only a result, counts, and collects the rules. A result is never left out.
func (d *Document) Normalize() {
	d.Format = Format
	known, used := map[string]bool{}, map[string]bool{}
	for _, c := range d.Cases {
		known[c.ID] = true
	}
	for i := range d.Runs {
		for j := range d.Runs[i].Results {
			r := &d.Runs[i].Results[j]
			if r.Rules == nil {
				r.Rules = []string{}
			}
			used[r.Case] = true
			if !known[r.Case] {
				known[r.Case] = true
				d.Cases = append(d.Cases, CaseInfo{ID: r.Case, Rules: slices.Clone(r.Rules), Level: r.Level,
					Isolation: conformance.Shared, Needs: []string{}, Title: r.Title})
			}
		}
	}
	d.Cases = slices.DeleteFunc(d.Cases, func(c CaseInfo) bool { return !used[c.ID] })
	rank := d.groupAreas()
	for i := range d.Runs {
		run := &d.Runs[i]
		slices.SortStableFunc(run.Results, func(a, b conformance.Result) int {
			return cmp.Compare(rank[a.Case], rank[b.Case])
		})
		run.Counts = Count(run.Results)
	}
	d.collectRules()
}

// groupAreas puts cases of one area side by side, areas in the order in which they first appear, and gives each
// case's place.
func (d *Document) groupAreas() map[string]int {
	areas := d.Areas()
	slices.SortStableFunc(d.Cases, func(a, b CaseInfo) int {
		return cmp.Compare(slices.Index(areas, Area(a.ID)), slices.Index(areas, Area(b.ID)))
	})
	rank := map[string]int{}
	for i, c := range d.Cases {
		rank[c.ID] = i
	}
	return rank
}

func (d *Document) collectRules() {
	named := map[string]bool{}
	for _, c := range d.Cases {
		for _, id := range c.Rules {
			named[id] = true
		}
	}
	d.Rules = []Rule{}
	for _, r := range Rules() {
		if named[r.ID] {
			d.Rules = append(d.Rules, r)
		}
	}
}

// Area is the part of the suite that a case belongs to: the first word of its ID.
func Area(id string) string {
	area, _, _ := strings.Cut(id, "/")
	return area
}

// Areas lists the areas of the document's cases in order.
func (d *Document) Areas() (all []string) {
	for _, c := range d.Cases {
		if a := Area(c.ID); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// Result gives the run's result of a case, nil if it has none.
func (r *Run) Result(id string) *conformance.Result {
	for i := range r.Results {
		if r.Results[i].Case == id {
			return &r.Results[i]
		}
	}
	return nil
}
