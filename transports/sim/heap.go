package sim

import "github.com/purewire/purewire/timers"

// evKind says what is to be done when an event comes up.
type evKind uint8

const (
	evCross     evKind = iota // datagram d has left the sender's line and is on the Internet
	evArrive                  // datagram d has come to the end of the line of segment who
	evTimeout                 // node who has a deadline, unless gen is old
	evJob                     // the first job in the pool of node who is done, if gen is its life
	evFlow                    // flow who sends; gen is for FlowBulk
	evFlowTimer               // flow who waited for something; gen says for what
	evFaultOver               // fault who ends
	evAction                  // action who of the timeline
	evAttack                  // attack who sends
	evJoin                    // node who arrives where it roams to; gen numbers the roaming
	evAwake                   // node who has slept long enough; gen numbers the sleep
	evBoot                    // node who starts again; gen numbers the restart
	evLeave                   // node who loses the oldest of its addresses: an overlap is over, unless gen is old
	evSync                    // node who learns the time after a boot; gen numbers the boots
	evLearn                   // the peers of node who learn its new public key; gen numbers the keys
	evMend                    // node who gets back what it lacked; gen numbers the times, and says what
	evHeal                    // all trouble ends
	evOwed                    // the direction number who must have recovered
	evNudge                   // node who is called without need
)

// event is one entry of the heap. Events at one moment come up in the order in which they were made.
type event struct {
	at   timers.Time
	seq  uint64
	kind evKind
	who  int32
	gen  uint32
	d    *datagram
}

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.seq < f.seq }

// eventHeap is a binary heap with the earliest event at 0.
type eventHeap struct {
	list []event
	seq  uint64
}

func (h *eventHeap) push(e event) {
	h.seq++
	e.seq = h.seq
	h.list = append(h.list, e)
	i := len(h.list) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&h.list[parent]) {
			break
		}
		h.list[i] = h.list[parent]
		i = parent
	}
	h.list[i] = e
}

func (h *eventHeap) pop() event {
	first := h.list[0]
	n := len(h.list) - 1
	e := h.list[n]
	h.list[n] = event{} // or the slice would keep the datagram alive
	h.list = h.list[:n]
	if n == 0 {
		return first
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h.list[c+1].before(&h.list[c]) {
			c++
		}
		if !h.list[c].before(&e) {
			break
		}
		h.list[i] = h.list[c]
		i = c
	}
	h.list[i] = e
	return first
}
