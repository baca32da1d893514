package shimcheck

import (
	"strings"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// story is what a shim said in the course of an ordinary life of an instance, for checks of form and of time: each
// looks at one thing in it.
type story struct {
	turns []turn
	ended string // why it could not go on; empty: it did
}

type turn struct {
	request *proto.Request
	line    string
	reply   *proto.Reply // nil: it cannot be read
	err     error
}

// life lets the story happen, once for all checks.
func (b *bench) life() *story {
	if *b.story == nil {
		s := &story{}
		*b.story = s
		teller := *b
		teller.p, teller.inside = nil, true
		func() {
			defer func() {
				if v, ok := recover().(verdict); ok {
					s.ended = v.reason
				}
				if teller.p != nil {
					_ = teller.p.Close()
				}
			}()
			s.tell(&teller)
		}()
	}
	if len((*b.story).turns) == 0 {
		b.unseen("nothing can be done with it: %s", (*b.story).ended)
	}
	return *b.story
}

// say is one request of the story.
func (s *story) say(b *bench, i *instance, r *proto.Request) *proto.Reply {
	b.id++
	r.ID, r.Instance = b.id, i.name
	line, err := proto.Encode(r)
	if err != nil {
		panic(err) // the request is ours
	}
	t := turn{request: r, line: b.line(r.Op, strings.TrimSuffix(string(line), "\n"))}
	reply := &proto.Reply{}
	if t.err = proto.Decode([]byte(t.line), reply, false); t.err == nil {
		t.reply = reply
		i.see(reply)
	}
	s.turns = append(s.turns, t)
	if t.reply == nil {
		return &proto.Reply{}
	}
	return reply
}

func (s *story) tell(b *bench) {
	quiet, loud := newMate(1, false), newMate(2, false)
	b.process()
	i := &instance{b: b, name: "story"}
	r, pair := opening(i.name, 7, loud.config(25))
	i.key = pair
	s.say(b, i, r)
	advance := func(d timers.Time, pause bool) *proto.Reply {
		return s.say(b, i, &proto.Request{Op: proto.OpAdvance, Until: i.later(d), Pause: pause})
	}
	advance(moment, false)
	if b.has("configure") {
		s.say(b, i, &proto.Request{Op: proto.OpConfigure, At: i.later(0),
			Change: &proto.Change{Peers: []proto.PeerChange{quiet.config(0)}}})
		started := i.initiate(quiet)
		got := s.say(b, i, i.sending(i.datagram(quiet, started.Bytes)))
		if responses := to(quiet, peer.KindResponse, got.Outputs); len(responses) > 0 {
			if session, err := started.Complete(responses[0].Datagram.Bytes); err == nil {
				s.say(b, i, i.sending(i.datagram(quiet, session.Seal(nil))))
				s.say(b, i, i.sending(i.datagram(quiet, session.Seal(pad(inbound(quiet))))))
			}
		}
	}
	if b.has("inner") {
		s.say(b, i, &proto.Request{Op: proto.OpPackets, At: i.later(moment), Packets: []proto.Hex{outbound(loud)}})
	}
	for end := i.now + 20*second; i.now < end; {
		before := i.now
		if got := advance(end-i.now, true); i.now <= before && len(got.Outputs) == 0 {
			break // it does not get on
		}
	}
	// To the moment before what it says comes next, and to that.
	for range 4 {
		last := s.turns[len(s.turns)-1].reply
		if last == nil || !last.Deadline.Known || last.Deadline.At == timers.Never || last.Deadline.At <= i.now+1 {
			break
		}
		d := last.Deadline.At - i.now
		advance(d-1, false)
		advance(1, false)
	}
	advance(30*second, false)
	if b.has("state") {
		s.say(b, i, &proto.Request{Op: proto.OpState})
	}
	s.say(b, i, &proto.Request{Op: proto.OpClose})
}

// pad pads a plaintext to 16 (PAD-01).
func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&15)...) }
