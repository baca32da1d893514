package report

import "github.com/purewire/purewire/transports/sim"

// recoveries tells, of a scenario with a Heal, what each direction owed after all trouble had ended, and why by then
// (docs/RECOVERY-BOUND.md).
func (t *Text) recoveries(r *sim.Result) {
	if len(r.Liveness) == 0 {
		return
	}
	t.heading("Recovery after all trouble has ended")
	var rows [][]string
	for i := range r.Liveness {
		l := &r.Liveness[i]
		row := []string{l.From + " → " + l.To, "–", "–", "owes none: " + l.Exempt}
		if l.Exempt == "" {
			row[2], row[3] = span(l.Bound), l.Why
		}
		if l.Took >= 0 {
			row[1] = span(l.Took)
		}
		rows = append(rows, row)
	}
	t.table([]string{"direction", ">took", ">bound", "how the bound comes about"}, rows)
}
