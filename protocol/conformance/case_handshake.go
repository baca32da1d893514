package conformance

import (
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var handshakeCases = slices.Concat(
	bothFamilies(Case{
		ID: "handshake/response/answers", Rules: []string{"HS-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "A right initiation gets one response, where it came from",
		Why:   "This is how a tunnel begins. No answer, no tunnel; two answers, two sessions.",
		Run:   answersOnce,
	}),
	bothRoles(Case{
		ID: "handshake/session/carries-data", Rules: []string{"KEY-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "A new session carries packets both ways",
		Why:   "The handshake's only purpose: both ends have the same keys and use them.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Handshake()
			s.Deliver(p.Inbound())
			s.Fetch(p.Outbound())
		},
	}),
)

func answersOnce(t *T) {
	p := t.Peer()
	i := p.Initiate(peer.Spec{})
	p.Send(i.Bytes)
	g := p.Expect(Response, t.Soon())
	t.Equal("the address that is answered", g.Remote, p.Addr)
	t.Equal("the receiver index of the response", g.Receiver(), i.Index)
	t.Check(g.Session != nil, "a response that completes the handshake", "one that does not authenticate")
	p.Silence(Handshake, time.Second)
}
