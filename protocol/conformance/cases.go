package conformance

import (
	_ "embed"
	"iter"
	"slices"
	"strings"
	"sync"
)

// The cases, area by area. Each list stands in its own file, in the order in which a reader would want to read them.
func areas() [][]Case {
	return [][]Case{
		wireCases,      // MSG, CRYPTO
		handshakeCases, // HS, TAI
		cookieCases,    // COOKIE, DOS
		keyCases,       // KEY, REPLAY
		timerCases,     // TIMER
		queueCases,     // QUEUE
		innerCases,     // PAD, INNER, ROUTE
		roamCases,      // ROAM, QOS
		quietCases,     // QUIET, STAT
		lifeCases,      // LIFE
		uapiCases,      // UAPI
		secCases,       // SEC
	}
}

// Cases yields all cases, always in the same order.
func Cases() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, c := range slices.Concat(areas()...) {
			c.Device = onDevice(c.ID)
			if !yield(c) {
				return
			}
		}
	}
}

// The cases that run on a device that is configured already: see Case.Device.
//
//go:embed device.txt
var deviceText string

var deviceCases = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(deviceText) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all[line] = true
		}
	}
	return all
})

func onDevice(id string) bool { return deviceCases()[id] }
