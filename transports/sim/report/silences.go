package report

import (
	"time"

	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// remarkable is the silence that is worth a line: the time after which WireGuard itself retries (TIMER-01).
const remarkable = timers.RekeyTimeout

// silences notices when packets go into a tunnel and none comes out.
type silences struct {
	waiting map[direction]*silence // looked up only
}

type direction struct{ from, to string }

type silence struct {
	since  timers.Time // the first packet sent after a delivery
	sent   uint64      // with it
	length time.Duration
}

func newSilences() silences { return silences{map[direction]*silence{}} }

func (s *silences) sent(r *sim.Record) {
	d := direction{r.Host, r.Peer}
	w := s.waiting[d]
	if w == nil {
		w = &silence{}
		s.waiting[d] = w
	}
	if w.sent == 0 {
		w.since = r.At
	}
	w.sent++
}

// delivered reports a silence that is over and was remarkable.
func (s *silences) delivered(r *sim.Record) (over silence, told bool) {
	w := s.waiting[direction{r.Peer, r.Host}]
	if w == nil || w.sent == 0 {
		return silence{}, false
	}
	over = *w
	over.length = r.At.Sub(w.since)
	*w = silence{}
	return over, over.length >= remarkable
}
