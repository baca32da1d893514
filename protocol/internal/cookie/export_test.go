package cookie

import "github.com/purewire/purewire/timers"

// Len returns how many addresses have a live entry at now.
func (s *Sources) Len(now timers.Time) int {
	live := 0
	for i := range s.table {
		if s.table[i].full > now {
			live++
		}
	}
	return live
}
