package report

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// load is the time in which a host was under load, with interruptions of up to calmTime: a flood makes the state come
// and go every second, because a host that asks for cookies has little to do.
type load struct {
	host         string
	since, until timers.Time
	under        bool
}

const calmTime = 5 * time.Second

// load takes a change of a host's state and tells of the first.
func (t *Text) load(host string, under bool) {
	for _, l := range t.loads {
		if l.host == host {
			l.under, l.until = under, t.now
			return
		}
	}
	if under {
		t.loads = append(t.loads, &load{host: host, since: t.now, under: true})
		t.say(host, alarm, "is under load: asks whoever wants a handshake for a cookie (DOS-01)")
	}
}

// calm tells of hosts that are not under load any more, at the end of the run without waiting.
func (t *Text) calm(end bool) {
	kept := t.loads[:0]
	for _, l := range t.loads {
		if l.under || !end && t.since(l.until) < calmTime {
			kept = append(kept, l)
			continue
		}
		t.say(l.host, good, "has not been under load for %s; before, it was for %s", span(t.since(l.until)),
			span(l.until.Sub(l.since)))
	}
	t.loads = kept
}
