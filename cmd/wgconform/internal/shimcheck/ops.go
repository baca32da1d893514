package shimcheck

import (
	"slices"
	"strings"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// uses are what must work with a capability, and must be unsupported without it.
var uses = []struct {
	word string
	ask  func(*instance) *proto.Request
}{
	{"inner", func(i *instance) *proto.Request {
		return &proto.Request{Op: proto.OpPackets, At: i.later(moment), Packets: []proto.Hex{outbound(newMate(1, false))}}
	}},
	{"configure", func(i *instance) *proto.Request {
		return &proto.Request{Op: proto.OpConfigure, At: i.later(moment),
			Change: &proto.Change{Peers: []proto.PeerChange{newMate(7, false).config(0)}}}
	}},
	{"interface", func(i *instance) *proto.Request {
		other := port + 1
		return &proto.Request{Op: proto.OpConfigure, At: i.later(moment), Change: &proto.Change{ListenPort: &other}}
	}},
	{"wall", func(i *instance) *proto.Request {
		return &proto.Request{Op: proto.OpWall, At: i.later(moment), Wall: proto.WallOf(wall.Add(time.Hour))}
	}},
	{"state", func(*instance) *proto.Request { return &proto.Request{Op: proto.OpState} }},
	{"uapi", func(*instance) *proto.Request {
		return &proto.Request{Op: proto.OpUAPI, Connection: 1, Text: new(proto.Text("get=1\n\n"))}
	}},
	{"addresses", func(i *instance) *proto.Request {
		r := &proto.Request{Op: proto.OpAddresses, At: i.later(moment)}
		r.Add = append(r.Add, prefix("10.111.0.77/16"))
		return r
	}},
	{"restart", func(i *instance) *proto.Request { return &proto.Request{Op: proto.OpRestart, At: i.later(moment)} }},
}

// opChecks are about what a shim says that it can and cannot do.
var opChecks = []check{
	{"capabilities/said", "what it says that it can do is not refused", func(b *bench) {
		b.process()
		for _, u := range uses {
			if !b.has(u.word) {
				continue
			}
			var i *instance
			b.premise(func() { i = b.open(u.word, 1, newMate(1, false).config(0)) })
			if r := i.ask(u.ask(i)); refused(r) {
				b.fail("it says that it has %q, but to %q it replies %s%s", u.word, u.ask(i).Op, r.Unsupported, r.Error)
			}
		}
	}},
	{"capabilities/unsaid", "what it says that it cannot do is unsupported, and changes nothing", func(b *bench) {
		b.process()
		lacking := 0
		for _, u := range uses {
			if b.has(u.word) || u.word == "interface" && !b.has("configure") {
				continue
			}
			lacking++
			var i *instance
			b.premise(func() { i = b.open(u.word, 1, newMate(1, false).config(0)) })
			was := i.now
			if r := i.ask(u.ask(i)); r.Unsupported == "" {
				b.fail("it says that it lacks %q, but to %q the reply is not unsupported", u.word, u.ask(i).Op)
			}
			b.still(i, was)
		}
		if lacking == 0 {
			b.note("it lacks none of them")
		}
	}},
	{"configure/peer", "configure makes peers and removes them; what it does not name stays", func(b *bench) {
		b.need("configure")
		i, m, s := connected(b)
		other := newMate(2, false)
		i.must(configuring(i, other.config(0)))
		b.premise(func() { i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)}) })
		r := i.must(i.sending(i.datagram(other, i.initiate(other).Bytes)))
		if len(to(other, peer.KindResponse, r.Outputs)) != 1 {
			b.fail("an initiation of a new peer brings %s", describe(r.Outputs))
		}
		i.must(configuring(i, proto.PeerChange{PublicKey: proto.Key(other.Static.Public), Remove: true}))
		i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)})
		if r := i.must(i.sending(i.datagram(other, i.initiate(other).Bytes))); len(r.Outputs) != 0 {
			b.fail("an initiation of a peer that was removed brings %s", describe(r.Outputs))
		}
		if !b.has("inner") {
			return
		}
		r = i.must(i.sending(i.datagram(m, s.Seal(pad(inbound(m))))))
		if !contains(r.Outputs, func(o proto.Output) bool { return o.Packet != nil }) {
			b.fail("after changes to another peer, a packet of the first brings %s", describe(r.Outputs))
		}
	}},
	{"restart/forgets", "restart loses sessions and keeps the configuration", func(b *bench) {
		b.need("restart")
		i, m, s := connected(b)
		i.must(&proto.Request{Op: proto.OpRestart, At: i.later(second)})
		if r := i.must(i.sending(i.datagram(m, s.Seal(pad(inbound(m)))))); len(r.Outputs) > 0 {
			b.fail("after it, a message of a session from before brings %s", describe(r.Outputs))
		}
		i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)})
		r := i.must(i.sending(i.datagram(m, i.initiate(m).Bytes)))
		if len(to(m, peer.KindResponse, r.Outputs)) != 1 {
			b.fail("after it, an initiation of a peer from before brings %s", describe(r.Outputs))
		}
	}},
	{"state/shows", "state tells keys, port and peers as they were configured, and counts", func(b *bench) {
		b.need("state")
		i, m, s := connected(b)
		i.must(i.sending(i.datagram(m, s.Seal(pad(inbound(m))))))
		if b.has("inner") {
			i.must(&proto.Request{Op: proto.OpPackets, At: i.later(moment), Packets: []proto.Hex{outbound(m)}})
		}
		r := i.must(&proto.Request{Op: proto.OpState})
		if r.State == nil {
			b.fail("there is no state in the reply")
		}
		st, err := r.State.State()
		switch {
		case err != nil:
			b.fail("%v", err)
		case r.State.PublicKey != proto.Key(i.key.Public) && r.State.PublicKey != (proto.Key{}):
			b.fail("publicKey is %x, of the private key it is %x", r.State.PublicKey, i.key.Public)
		case st.ListenPort != port:
			b.fail("listenPort is %d instead of %d", st.ListenPort, port)
		case len(st.Peers) != 1 || st.Peers[0].PublicKey != m.Static.Public:
			b.fail("there are %d peers, or another than the one that there is", len(st.Peers))
		case st.Peers[0].Received == 0 || st.Peers[0].Sent == 0 && b.has("inner"): // of what, the cases about STAT ask
			b.fail("after a packet each way rx is %d and tx is %d", st.Peers[0].Received, st.Peers[0].Sent)
		case st.Peers[0].LastHandshake.IsZero():
			b.fail("after a handshake lastHandshake is null")
		}
	}},
	{"wall/shown", "the wall clock of open and of wall is what the implementation reads", walls},
	{"uapi/talks", "uapi gives what is answered until more is waited for, on each connection for itself", talks},
	{"load/model", "with work an answer takes the time it is told, and without it a flood brings load", func(b *bench) {
		b.need("load")
		var i *instance
		m := newMate(1, false)
		const cost = timers.Time(5 * time.Millisecond)
		b.premise(func() {
			r, pair := opening("a", 1, m.config(0))
			r.HandshakeTime, r.HandshakeWorkers = int64(cost), 1
			i = &instance{b: b, name: "a", key: pair}
			i.see(b.must(r))
		})
		sent := i.now + moment
		i.must(i.sending(i.datagram(m, i.initiate(m).Bytes)))
		if !b.has(proto.Work) {
			if flood := flooded(i, 4000); len(flood) == 0 {
				b.fail("public-key work takes no time that it can be told, and 4000 initiations bring no cookie reply")
			}
			return
		}
		i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)})
		responses := to(m, peer.KindResponse, i.seen)
		if len(responses) != 1 || responses[0].At < sent+cost || responses[0].At > sent+10*cost {
			b.fail("public-key work is to take 5 ms and an initiation came at %d: %s", sent, describe(i.seen))
		}
	}},
}

// flooded sends initiations of nobody's at once, and gives the cookie replies.
func flooded(i *instance, n int) []proto.Output {
	m := newMate(9, false)
	flood := make([]proto.Datagram, n)
	for k := range flood {
		junk := make([]byte, peer.InitiationLength)
		junk[0] = byte(peer.KindInitiation)
		junk[8], junk[9] = byte(k), byte(k>>8)
		flood[k] = i.datagram(m, peer.Remac(junk, i.key.Public, nil))
	}
	return to(m, peer.KindCookieReply, i.must(i.sending(flood...)).Outputs)
}

func configuring(i *instance, peers ...proto.PeerChange) *proto.Request {
	return &proto.Request{Op: proto.OpConfigure, At: i.later(moment), Change: &proto.Change{Peers: peers}}
}

// walls reads the timestamps of initiations. An implementation may read its clock but once (TAI-09), and what it
// thinks of leap seconds is for the cases to judge (TAI-08).
func walls(b *bench) {
	b.need("wall")
	b.need("inner")
	for _, after := range []time.Duration{0, 1000 * time.Hour} {
		m := newMate(1, false)
		var i *instance
		b.premise(func() { i = b.open(after.String(), 1, m.config(0)) })
		if after > 0 {
			i.must(&proto.Request{Op: proto.OpWall, At: i.later(0), Wall: proto.WallOf(wall.Add(after))})
		}
		shown := stamped(b, i, m)
		if after > 0 && shown.Sub(wall) < after/2 && b.has("restart") {
			i.must(&proto.Request{Op: proto.OpRestart, At: i.later(0)})
			shown = stamped(b, i, m)
		}
		want := wall.Add(after + time.Duration(i.now))
		if shown.Sub(want).Abs() > time.Minute {
			b.fail("when the wall clock is to be %v, an initiation has the time %v", want, shown)
		}
	}
}

// stamped is the time in an initiation that an inner packet starts.
func stamped(b *bench, i *instance, m *mate) time.Time {
	r := i.must(&proto.Request{Op: proto.OpPackets, At: i.later(10 * second), Packets: []proto.Hex{outbound(m)}})
	sent := to(m, peer.KindInitiation, r.Outputs)
	if len(sent) != 1 {
		b.unseen("an inner packet for a peer without a session brings %s, and no initiation", describe(r.Outputs))
	}
	m.Remote = i.key.Public
	got, err := m.Read(sent[0].Datagram.Bytes)
	if err != nil {
		b.unseen("the initiation cannot be read: %v", err)
	}
	return got.Timestamp.Time().UTC()
}

// talks holds two conversations at once.
func talks(b *bench) {
	b.need("uapi")
	i, m, _ := connected(b)
	talk := func(connection int, text string) string {
		r := i.must(&proto.Request{Op: proto.OpUAPI, Connection: connection, Text: new(proto.Text(text))})
		if r.Text == nil {
			b.fail("there is no text in the reply to %q", text)
		}
		return string(*r.Text)
	}
	if got := talk(1, "get=1\n"); got != "" {
		b.fail("half a request, \"get=1\\n\", is answered by %.80q", got)
	}
	whole := talk(2, "get=1\n\n")
	if !strings.HasSuffix(whole, "\nerrno=0\n\n") || !slices.Contains(strings.Split(whole, "\n"),
		"public_key="+hexKey(m.Static.Public)) {
		b.fail("a get on another connection is answered by %.160q", whole)
	}
	if got := talk(1, "\n"); got != whole {
		b.fail("the other half, \"\\n\", is answered by %.160q instead of what the other connection said", got)
	}
	r := i.must(&proto.Request{Op: proto.OpUAPI, Connection: 1, Text: new(proto.Text("")), Close: true})
	if r.Text == nil || *r.Text != "" {
		b.fail("the end of a connection is answered by more than an empty text")
	}
}
