package conformance

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// decode fills in what the test's peers can tell of an output, writes it to the trace and looks at the invariants.
func (t *T) decode(g *Got) {
	switch {
	case g.Packet != nil:
		g.entry = t.record(TraceEntry{Kind: "packet-out", Text: describePacket(g.Packet), Bytes: g.Packet,
			TOS: TOS(g.Packet)}, g.At)
		return
	case g.Other != nil:
		g.entry = t.record(TraceEntry{Kind: "outer-out", Text: describePacket(g.Other), Bytes: g.Other}, g.At)
		return
	}
	d := g.Datagram
	g.Bytes, g.TOS, g.Local, g.Remote = d.Bytes, d.TOS, d.Local, d.Remote
	g.Kind, g.Peer = peer.KindOf(g.Bytes), t.owner[d.Remote]
	if g.Peer != nil {
		g.Peer.read(g)
	}
	g.entry = t.record(TraceEntry{Kind: "datagram-out", Text: g.text(), Local: d.Local.String(),
		Remote: d.Remote.String(), Bytes: g.Bytes, TOS: d.TOS, Fields: peer.Fields(g.Bytes)}, g.At)
	t.watch(g)
}

func (p *Peer) read(g *Got) {
	switch g.Kind {
	case peer.KindInitiation:
		g.MAC1 = peer.CheckMAC1(g.Bytes, p.Party.Static.Public)
		if r, err := p.Party.Read(g.Bytes); err == nil {
			g.Initiation = r
		}
	case peer.KindResponse:
		g.MAC1 = peer.CheckMAC1(g.Bytes, p.Party.Static.Public)
		if i := p.pending[g.Receiver()]; i != nil {
			g.Answers = i
			if s, err := i.Complete(g.Bytes); err == nil {
				g.Session = p.learn(s, g.At)
			}
		}
	case peer.KindCookieReply:
		if m := p.sent[g.Receiver()]; m != nil {
			if c, err := peer.OpenCookieReply(g.Bytes, p.Party.Remote, peer.MAC1(m)); err == nil {
				g.Cookie = c
			}
		}
	case peer.KindTransport:
		g.Counter = peer.Counter(g.Bytes)
		for i := len(p.sessions) - 1; i >= 0; i-- {
			s := p.sessions[i]
			if plain, err := s.Open(g.Bytes); err == nil {
				g.Session, g.Opened, g.Plain, g.Inner = s, true, plain, trim(plain)
				return
			}
		}
	}
}

// learn keeps a session that a response of the subject made, once: a copy of the response makes no other.
func (p *Peer) learn(s *peer.Session, made Stamp) *Session {
	for _, old := range p.sessions {
		if old.Local == s.Local && old.SendKey == s.SendKey {
			return old
		}
	}
	p.sessions = append(p.sessions, &Session{Session: s, Peer: p, Made: made})
	return p.Session()
}

// watch notes broken invariants: what holds for every message of every subject, whatever the case is about.
func (t *T) watch(g *Got) {
	breach := func(format string, args ...any) {
		s := fmt.Sprintf(format, args...)
		t.breach = append(t.breach, s)
		t.trace[g.entry].Text += " — " + s
	}
	switch {
	case g.Kind == peer.Malformed:
		breach("MSG-01: %s", peer.Fault(g.Bytes))
		return
	case g.Peer == nil:
		t.notes = append(t.notes, fmt.Sprintf("a datagram to %v, where nobody is: %s", g.Remote, g.text()))
		return
	}
	switch g.Kind {
	case peer.KindInitiation, peer.KindResponse:
		if !g.MAC1 {
			breach("COOKIE-01: mac1 of the %v is wrong", g.Kind)
		}
		if g.Kind == peer.KindResponse && g.Answers == nil {
			breach("HS-07: a response to %08x, which is no initiation of ours", g.Receiver())
		}
	case peer.KindTransport:
		if !g.Opened {
			breach("MSG-15: a transport message of no session")
			return
		}
		s := g.Session
		if s.seen == nil {
			s.seen = map[uint64]bool{}
		}
		if s.seen[g.Counter] {
			breach("MSG-14: counter %d is used twice", g.Counter)
		} else if g.Counter > s.next {
			breach("MSG-14: counter %d comes after %d", g.Counter, s.next)
		}
		s.seen[g.Counter] = true
		s.next = max(s.next, g.Counter+1)
	}
}

// react lets the peers do what they are told to do while time passes, and finds out whether the case is disturbed.
func (t *T) react(g *Got) {
	p := g.Peer
	if p == nil {
		return
	}
	if g.Kind == peer.KindInitiation && p.answers && g.Initiation != nil {
		r, s := p.Respond(g, peer.Spec{})
		t.busy = false // what the response brings is dealt with in turn by process
		s.Made = p.SendFrom(g.Remote, r.Bytes)
		t.busy = true
	}
	// A cookie reply to a right message says that others have the subject under load: nobody's fault. One to a
	// message whose mac1 is wrong is a finding, which is left to the case.
	if m := p.sent[g.Receiver()]; g.Kind == peer.KindCookieReply && !t.Caps.Virtual && t.Case.Needs&NeedLoad == 0 &&
		m != nil && peer.CheckMAC1(m, p.Party.Remote) {
		panic(&outcome{verdict: disturbed, reason: "a cookie reply came: the subject is under load", at: g})
	}
}

func (t *T) describeSent(b []byte) string { return describeDatagram(b) }

// keyLog gives Wireshark's lines for the keys of the test's peers and of their ephemerals.
func (t *T) keyLog() []string {
	var lines []string
	add := func(name string, k Key) {
		lines = append(lines, name+"="+base64.StdEncoding.EncodeToString(k[:]))
	}
	for _, p := range t.peers {
		add("LOCAL_STATIC_PRIVATE_KEY", p.Party.Static.Private)
		add("REMOTE_STATIC_PUBLIC_KEY", p.Party.Remote)
		for _, i := range p.drawn {
			add("LOCAL_EPHEMERAL_PRIVATE_KEY", i)
			add("PRESHARED_KEY", p.Party.PSK)
		}
	}
	return lines
}

// hasText reports whether a packet carries the mark of a case's texts, for demultiplexing what has no address.
func hasText(packet []byte, caseID string, number int) bool {
	return strings.Contains(string(packet), fmt.Sprintf("%s #%d.", caseID, number))
}
