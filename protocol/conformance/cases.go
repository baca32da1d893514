package conformance

import (
	"iter"
	"slices"
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
			if !yield(c) {
				return
			}
		}
	}
}
