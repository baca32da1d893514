package conformance

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var wireCases = []Case{
	{
		ID: "wire/reserved/initiation", Rules: []string{"MSG-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 8 * time.Second,
		Title: "An initiation with a reserved bit set is dropped",
		Why: "The three bytes behind the type are kept for the future. A receiver that ignores them accepts messages " +
			"that a later version may mean differently, and gives an observer bits to mark packets with.",
		Run: reservedInitiation,
	},
}

func reservedInitiation(t *T) {
	p := t.Peer()
	for bit := range 24 {
		i := p.Initiate(peer.Spec{})
		i.Bytes[1+bit/8] |= 1 << (bit % 8)
		p.Send(p.Remac(i.Bytes)) // only the reserved bit is wrong
		t.Wait(30 * time.Millisecond)
		t.Note("reserved bit %d", bit)
	}
	p.Silence(Response, time.Second)
	// The same peer with the bits clear is answered: it was they.
	t.Premise(func() { p.Connect() })
	t.Measure("reserved bits tried", fmt.Sprint(24))
}
