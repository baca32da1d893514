package report

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Tolerances is the tolerance table of a target in words, for Run.Tolerances.
func Tolerances(c conformance.Capabilities) (rows []ToleranceRow) {
	for _, t := range c.Tolerances() {
		row := ToleranceRow{Quantity: string(t.Quantity)}
		upper := (t.Nominal + t.Jitter + t.Late).Round(time.Millisecond)
		switch {
		case t.Quantity == conformance.Prompt:
			row.Window = "0 … " + seconds(upper)
		case t.Nominal == 0:
			least, most := "n", "n"
			if t.Early > 0 {
				least += " − " + seconds(t.Early)
			}
			if t.Eighth {
				most = "1.125 n"
			}
			row.Window = fmt.Sprintf("%s … %s + %s", least, most, seconds(t.Late))
		default:
			if t.Eighth {
				upper += t.Nominal / 8
			}
			row.Window = span(timers.Time(t.Nominal-t.Early), timers.Time(upper))
		}
		if t.Jitter > 0 {
			row.Why = join(row.Why, "jitter "+seconds(t.Jitter.Round(time.Millisecond)))
		}
		if t.Eighth {
			row.Why = join(row.Why, "a timer wheel: 1/8 of the time")
		}
		if t.Early > 0 {
			row.Why = join(row.Why, "counted from its own sending, which may leave late: "+seconds(t.Early))
		}
		if t.Late > 0 {
			row.Why = join(row.Why, "lateness of this kind and the way to it: "+seconds(t.Late))
		}
		rows = append(rows, row)
	}
	return rows
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
