package report

import (
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// tally counts what is too common to be told one by one. Its lists are in the order of first occurrence.
type tally struct {
	losses     []*tallied[loss]
	refusals   []*tallied[refusal]
	lossOf     map[loss]*tallied[loss] // the maps are looked up only
	refusalsOf map[refusal]*tallied[refusal]
}

// loss is a kind of datagram that reached no host.
type loss struct {
	fate sim.Fate
	rule string
}

// refusal is a kind of datagram or packet that a core dropped.
type refusal struct {
	host, what string
	reason     protocol.DropReason
}

type tallied[K any] struct {
	kind        K
	n           uint64
	first, last time.Duration
}

func newTally() tally {
	return tally{lossOf: map[loss]*tallied[loss]{}, refusalsOf: map[refusal]*tallied[refusal]{}}
}

func (t *tally) lose(k loss, at time.Duration) {
	l := t.lossOf[k]
	if l == nil {
		l = &tallied[loss]{kind: k, first: at}
		t.lossOf[k] = l
		t.losses = append(t.losses, l)
	}
	l.n, l.last = l.n+1, at
}

// refuse reports whether it was the first of its kind.
func (t *tally) refuse(k refusal, at time.Duration) bool {
	r := t.refusalsOf[k]
	if r == nil {
		r = &tallied[refusal]{kind: k, first: at}
		t.refusalsOf[k] = r
		t.refusals = append(t.refusals, r)
	}
	r.n, r.last = r.n+1, at
	return r.n == 1
}

// byKind puts together what different hosts refused for one reason, in the order of first occurrence. The names of
// the hosts stand in kind.host.
func (t *tally) byKind() (groups []*tallied[refusal]) {
	at := map[refusal]*tallied[refusal]{} // looked up only
	for _, r := range t.refusals {
		key := r.kind
		key.host = ""
		g := at[key]
		if g == nil {
			c := *r
			at[key], groups = &c, append(groups, &c)
			continue
		}
		g.n, g.last = g.n+r.n, max(g.last, r.last)
		g.kind.host += ", " + r.kind.host
	}
	return groups
}
