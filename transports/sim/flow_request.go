package sim

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// asking is the state of a FlowRequest: one question at a time, asked again if no answer comes, as a resolver does.
type asking struct {
	waiting bool
	seq     uint64 // of the question
	tries   int
	since   timers.Time // when it was asked first
	gen     uint32      // numbers the timeouts
}

const (
	askTimeout = time.Second
	askTries   = 3
)

// ask asks a question: a new one or the one before once more.
func (s *Sim) ask(f *flow, fresh bool) {
	a := f.asking
	if fresh {
		*a = asking{waiting: true, seq: f.next, since: s.now, gen: a.gen}
		f.next++
		f.round.send(s.now, 0)
	}
	a.tries++
	a.gen++
	timeout := f.cfg.Timeout
	if timeout == 0 {
		timeout = askTimeout
	}
	s.later(timeout, event{kind: evFlowTimer, who: int32(f.index), gen: a.gen})
	s.sendForth(f, InnerRequest, a.seq)
}

// unanswered comes up when the time for an answer is over.
func (s *Sim) unanswered(f *flow, gen uint32) {
	a := f.asking
	tries := f.cfg.Tries
	if tries == 0 {
		tries = askTries
	}
	switch {
	case !a.waiting || gen != a.gen:
	case a.tries < tries && f.from.awake():
		s.ask(f, false)
	default: // it has failed: a program that slept meanwhile finds that out when it wakes up
		a.waiting = false
		s.later(f.cfg.Interval, event{kind: evFlow, who: int32(f.index)})
	}
}

// answer answers a question, at the host that it is for.
func (s *Sim) answer(f *flow, in *Inner) {
	size := f.cfg.Reply
	if size == 0 {
		size = f.size
	}
	p := f.to.buffer(size)
	s.inners++
	spec{kind: InnerResponse, src: in.Dst, dst: in.Src, tos: f.cfg.TOS, id: s.inners, flow: f.index, seq: in.Seq,
		born: s.now}.build(p.window().Bytes())
	f.back.send(s.now, size)
	f.to.outbox = append(f.to.outbox, p)
}

// answered takes an answer. One to a question that has failed or was answered already is of no use.
func (s *Sim) answered(f *flow, in *Inner) {
	a := f.asking
	payload := payloadOf(in.Data)
	f.back.deliver(s.now, in.Delay, len(in.Data), payload)
	f.comeback.deliver(s.now, in.Born, s.troubles.ended)
	if !a.waiting || in.Seq != a.seq {
		return
	}
	a.waiting = false
	f.round.deliver(s.now, s.now.Sub(a.since), 0, payload)
	s.later(f.cfg.Interval, event{kind: evFlow, who: int32(f.index)})
}
