package program

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// The heart of the suite gets a core soon, because it needs so little of it. A program that does curves may wait for
// one while the heart beats: so the kernel is asked how long its threads waited.

const (
	keptWaits  = 4096
	waitedOver = int64(2 * time.Second) // before the end of a time: what was waited earlier made nothing late
)

// wait is how long the program's threads had waited for a core, all together, at a time on BOOTTIME.
type wait struct {
	at  int64
	sum time.Duration
}

// waited sums up how long the program's threads waited for a core so far.
func (m *machine) waited() (sum time.Duration) {
	for _, pid := range numbers(m.proc()) {
		if pid == "1" {
			continue
		}
		tasks := m.proc() + "/" + pid + "/task"
		for _, thread := range numbers(tasks) {
			text, err := os.ReadFile(tasks + "/" + thread + "/schedstat") // time run, time waited, turns
			if f := bytes.Fields(text); err == nil && len(f) == 3 {
				ns, _ := strconv.ParseInt(string(f[1]), 10, 64)
				sum += time.Duration(ns)
			}
		}
	}
	return sum
}

// mark remembers how long the program has waited so far.
func (s *Subject) mark() {
	s.waits = latest(append(s.waits, wait{boottime(), s.machine.waited()}), keptWaits)
}

// waitedSince is how long the program waited for a core from a time, or somewhat before it, until now.
func (s *Subject) waitedSince(from int64) time.Duration {
	for i := len(s.waits) - 1; i >= 0; i-- {
		if s.waits[i].at <= from || i == 0 {
			return max(s.machine.waited()-s.waits[i].sum, 0) // a thread that ended takes its share with it
		}
	}
	return 0
}
