package conformance

import (
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var cookieCases = []Case{
	{
		ID: "cookie/mac1/wrong-is-silent", Rules: []string{"COOKIE-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 10 * time.Second,
		Title: "An initiation with a wrong bit in mac1 is not answered at all",
		Why: "mac1 shows that the sender knows the public key. Whoever answers without it can be found by scanning, " +
			"and can be made to work by anybody.",
		Run: func(t *T) {
			p := t.Peer()
			for bit := range 128 {
				i := p.Initiate(peer.Spec{})
				i.Bytes[116+bit/8] ^= 1 << (bit % 8)
				p.Send(i.Bytes)
				t.Wait(25 * time.Millisecond)
			}
			p.Silence(AnyDatagram, time.Second)
		},
	},
	{
		ID: "cookie/load/no-cookie-no-response", Rules: []string{"COOKIE-12", "COOKIE-18"}, Level: Must,
		Isolation: QuietMachine, Needs: NeedConfigure | NeedLoad, Lasts: 12 * time.Second, Setup: SlowHandshakes,
		Title: "Under load an initiation without mac2 gets a cookie, and with it a response",
		Why: "Public-key work is dear. Under load it is done only for those who can receive at the address that " +
			"they claim to have, or a flood of forged addresses stops all handshakes.",
		Run: loadCookie,
	},
}

func loadCookie(t *T) {
	p := t.Peer()
	t.Overload()
	i := p.Initiate(peer.Spec{})
	p.Send(i.Bytes)
	g := p.Expect(Match{"cookie reply, and no response", func(g *Got) bool {
		return CookieReply.Is(g) || Response.Is(g)
	}}, t.Soon())
	if g.Kind == peer.KindResponse {
		t.FailAt(g, "no response to an initiation without cookie under load", g.String())
	}
	t.Check(len(g.Cookie) == 16, "a cookie of 16 bytes under the mac1 that was sent", "one that does not authenticate")
	again := p.Initiate(peer.Spec{Cookie: g.Cookie})
	p.Send(again.Bytes)
	// The queue before it has to be worked off first.
	p.Expect(Response, t.Between(t.Last(), 0, 5*time.Second))
}
