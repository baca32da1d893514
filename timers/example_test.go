package timers_test

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/timers"
)

// A peer that got data and has nothing to say tells so after ten seconds; then its own data goes unanswered.
func Example() {
	var queue timers.Queue
	var peer timers.Peer
	queue.Add(&peer, 1)
	peer.Up(0)

	var now timers.Time
	peer.ResponseReceived(now) // a handshake we began is complete
	peer.KeepaliveSent(now)    // and confirmed
	peer.DataReceived(now)
	for range 4 {
		p, kind, at, _ := queue.Next()
		now = at // a real caller sleeps until then
		action := p.Expire(now, kind)
		fmt.Println(time.Duration(now), kind, "→", action)
		switch action {
		case timers.ActKeepalive:
			p.KeepaliveSent(now)
			p.DataSent(now, 50*time.Millisecond)
		case timers.ActNewHandshake, timers.ActRetry:
			retry := action == timers.ActRetry
			if p.WantInitiation(now, retry) {
				p.InitiationSent(now, 200*time.Millisecond, retry)
			}
		}
	}
	// Output:
	// 10s send-keepalive → keepalive
	// 25.05s new-handshake → new-handshake
	// 30.25s retransmit-handshake → retry
	// 35.45s retransmit-handshake → retry
}
