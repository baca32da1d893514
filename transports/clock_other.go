//go:build !linux

package transports

// SystemClock gives the best clock of the system; here that of package time.
func SystemClock() Clock { return GoClock() }
