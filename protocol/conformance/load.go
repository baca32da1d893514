package conformance

import (
	"io"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// SlowHandshakes is the Setup of cases about load in virtual time: one processor that takes 5 ms for a handshake.
// In real time the subject is as slow as it is.
func SlowHandshakes(s *Setup) { s.HandshakeTime, s.HandshakeWorkers = 5*time.Millisecond, 1 }

// Junk makes an initiation of random bytes whose mac1 is right: nobody's, but work for the subject.
func (t *T) Junk() []byte {
	b := make([]byte, peer.InitiationLength)
	if _, err := io.ReadFull(t.Random, b); err != nil {
		t.Broken("no randomness: %v", err)
	}
	b[0], b[1], b[2], b[3] = byte(peer.KindInitiation), 0, 0, 0
	return peer.Remac(b, t.Key, nil)
}

// Flood sends n times Junk from a stranger's address, as fast as it goes. Their bytes are not in the trace.
func (t *T) Flood(n int) {
	p := t.flooder()
	in := make([]Datagram, n)
	for i := range in {
		in[i] = Datagram{Local: t.hostFor(p.Addr.Addr()), Remote: p.Addr, Bytes: t.Junk()}
	}
	t.Note("flood: %d initiations of random bytes with a right mac1, from %v", n, p.Addr)
	t.use(func(s Subject) { t.last = s.Input(s.Now(), in) })
}

func (t *T) flooder() *Peer {
	for _, p := range t.peers {
		if p.Name == "flood" {
			return p
		}
	}
	return t.peer(PeerOptions{Name: "flood", Stranger: true})
}

// worked lets a subject in real time work its queue off: what comes while that is full is lost. Load lasts longer.
func (t *T) worked(flooder *Peer) {
	for range 12 {
		if !t.Caps.Virtual {
			t.Wait(30 * time.Millisecond)
		}
		if len(t.Take(AnyDatagram.To(flooder))) == 0 || t.Caps.Virtual {
			return
		}
	}
}

// Overload brings the subject under load: it floods until a cookie reply shows that it is. Load goes away again
// within a second or two (DOS-01, DOS-02); ask again for more. If nothing helps the target cannot be judged by cases
// that need load.
func (t *T) Overload() {
	p := t.flooder()
	burst := 100
	for range 12 {
		t.Flood(burst)
		if t.Caps.Virtual {
			t.step(t.Now().Add(20 * time.Millisecond))
		} else { // a bigger flood than need be takes long to be worked off
			t.step(t.Now().Add(100 * time.Millisecond))
		}
		if got := t.Take(CookieReply.To(p)); len(got) > 0 {
			t.worked(p)
			return
		}
		burst = min(burst*2, 4000)
	}
	if t.Caps.Virtual { // its processors are modelled, and they are all busy
		t.Fail("cookie replies while thousands of handshakes wait for a processor", "none")
	}
	t.Unsupported("no flood that the suite can make brings it under load")
}
