package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// planStep is a step of the plan as JSON has it.
type planStep struct {
	Case  string        `json:"case"`
	Lane  string        `json:"lane"`
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`
}

// plan prints how a run in real time would go on a target that can do everything but live in virtual time.
func (p *program) plan(o conformance.Options, c conformance.Capabilities, asJSON bool) error {
	c.Has &^= conformance.NeedVirtual
	plan := o.Plan(c)
	if asJSON {
		steps := []planStep{}
		for _, s := range plan.Steps {
			steps = append(steps, planStep{s.Case.ID, s.Lane, s.Start, s.End})
		}
		return writeJSON(p.stdout, struct {
			Profile string        `json:"profile"`
			End     time.Duration `json:"end_ns"`
			Steps   []planStep    `json:"steps"`
		}{string(o.Profile), plan.End, steps})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%8s  %8s  %-10s  %s\n", "start", "end", "lane", "case")
	for _, s := range plan.Steps {
		fmt.Fprintf(&b, "%8s  %8s  %-10s  %s\n", clock(s.Start), clock(s.End), s.Lane, s.Case.ID)
	}
	fmt.Fprintf(&b, "\n%d cases, %s ends after %s if nothing has to be repeated\n", len(plan.Steps), o.Profile,
		clock(plan.End))
	_, err := p.stdout.Write([]byte(b.String()))
	return err
}

// clock writes a time within a run as minutes and seconds.
func clock(d time.Duration) string {
	d = d.Round(100 * time.Millisecond)
	return fmt.Sprintf("%d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}
