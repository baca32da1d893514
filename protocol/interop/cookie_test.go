package interop_test

import (
	"bytes"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol"
)

// forged makes an initiation for the owner of key whose mac1 is right and nothing else is: mac1 needs no secret.
func forged(t testing.TB, key protocol.PublicKey) []byte {
	t.Helper()
	msg := make([]byte, 148)
	_, _ = rand.Read(msg) // never fails
	copy(msg, []byte{1, 0, 0, 0})
	label := blake2s.Sum256(append([]byte("mac1----"), key[:]...))
	mac, err := blake2s.New128(label[:])
	if err != nil {
		t.Fatal(err)
	}
	mac.Write(msg[:116])
	mac.Sum(msg[:116])
	clear(msg[132:])
	return msg
}

// flooder sends forged initiations from a socket of its own.
type flooder struct {
	conn *net.UDPConn
	to   netip.AddrPort
	msgs [][]byte
}

func newFlooder(t testing.TB, to netip.AddrPort, key protocol.PublicKey) *flooder {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	f := &flooder{conn: conn, to: to}
	for range 600 {
		f.msgs = append(f.msgs, forged(t, key))
	}
	return f
}

func (f *flooder) burst(t testing.TB, n int) {
	t.Helper()
	for _, msg := range f.msgs[:n] {
		if _, err := f.conn.WriteToUDPAddrPort(msg, f.to); err != nil {
			t.Fatal(err)
		}
	}
}

// handshakes records the initiations and cookie replies that pass our end.
type handshakes struct {
	mu             sync.Mutex
	sent, received [][]byte        // initiations
	answered       map[[4]byte]int // cookie replies that we sent, by receiver index
}

func (h *handshakes) tap(out bool, msg []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case msg[0] == 1 && out:
		h.sent = append(h.sent, bytes.Clone(msg))
	case msg[0] == 1:
		h.received = append(h.received, bytes.Clone(msg))
	case msg[0] == 3 && out:
		if h.answered == nil {
			h.answered = map[[4]byte]int{}
		}
		h.answered[[4]byte(msg[4:8])]++
	}
}

func (h *handshakes) lastSent() (msg []byte, count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sent) == 0 {
		return nil, 0
	}
	return h.sent[len(h.sent)-1], len(h.sent)
}

func hasMAC2(msg []byte) bool { return !bytes.Equal(msg[132:148], make([]byte, 16)) }

// TestUDPCookieFromThem: more than 128 queued initiations put wireguard-go under load. It answers our initiation,
// whose mac2 is zero, with a cookie reply, which does not make us hurry (COOKIE-09), and accepts the next one, whose
// mac2 is made with it (COOKIE-04, COOKIE-05, CRYPTO-09).
func TestUDPCookieFromThem(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(50), weKnow: true})
	var seen handshakes
	p.us.call(func() { p.us.tap = seen.tap })
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.them.port(t))
	f := newFlooder(t, to, public(p.keys.their))
	load := func() {
		t.Helper()
		// The state lasts a second beyond the last moment at which the queue was long.
		eventually(t, "wireguard-go is under load", func() bool {
			if p.them.dev.IsUnderLoad() {
				return true
			}
			f.burst(t, len(f.msgs))
			return p.them.dev.IsUnderLoad()
		})
	}

	// Any of our initiations may be lost in the flood. Then we are told to wait 6 s and try again.
	load()
	msg := p.ourPacket()
	p.us.send(msg)
	cookies := func() bool { return p.us.count(protocol.EventCookieAccepted) > 0 }
	for deadline := time.Now().Add(patience); !soon(cookies); p.advance(6 * time.Second) {
		if p.us.count(protocol.EventHandshakeComplete) > 0 || time.Now().After(deadline) {
			t.Fatal("wireguard-go demanded no cookie though it is under load")
		}
		load()
	}
	first, count := seen.lastSent()
	if hasMAC2(first) {
		t.Error("an initiation with a mac2 before there was a cookie")
	}
	if p.us.count(protocol.EventHandshakeComplete) > 0 || p.us.count(protocol.EventInitiationSent) != count {
		t.Error("the cookie reply was taken for more than it is")
	}

	complete := func() bool {
		load() // again, should the machine be so slow that the second is over
		return p.us.count(protocol.EventHandshakeComplete) > 0
	}
	for deadline := time.Now().Add(patience); ; {
		load()
		p.advance(6 * time.Second)
		if soon(complete) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no initiation with a cookie is accepted")
		}
	}
	if !p.them.dev.IsUnderLoad() {
		t.Error("wireguard-go is not under load any more: the test does not show what it should")
	}
	if last, n := seen.lastSent(); n <= count || !hasMAC2(last) || bytes.Equal(first[8:40], last[8:40]) {
		t.Errorf("accepted initiation %d, its mac2 is %x", n, last[132:])
	}
	p.them.inner.wants(t, "the packet that waited", msg)
	p.talk(t, false)
}

// soon polls for a fraction of the second for which a load state lasts.
func soon(ok func() bool) bool {
	for range 40 {
		if ok() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// TestUDPCookieFromUs: with a small Limits.HandshakesPerSecond two initiations put us under load. wireguard-go's
// initiation gets a cookie reply and no response; its next one, 5 s later, carries a mac2 that we accept while the
// load goes on (COOKIE-12, COOKIE-13, COOKIE-18, DOS-01).
func TestUDPCookieFromUs(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(51), theyKnow: true, limits: protocol.Limits{HandshakesPerSecond: 1}})
	var seen handshakes
	p.us.call(func() { p.us.tap = seen.tap })
	f := newFlooder(t, p.us.wire.addr(), public(p.keys.our))
	underLoad := func() (is bool) {
		p.us.call(func() { is = p.us.dev.UnderLoad(p.us.at) })
		return is
	}
	load := func() { // no more than it takes: cookie replies to one address have a budget, which is theirs too
		t.Helper()
		eventually(t, "we are under load", func() bool {
			if underLoad() {
				return true
			}
			f.burst(t, 3)
			return underLoad()
		})
	}
	load()
	msg := p.theirPacket()
	p.them.send(t, msg)
	own := func() (theirs [][]byte, answered int) { // the flood's initiations are known, all others are theirs
		seen.mu.Lock()
		defer seen.mu.Unlock()
		for _, m := range seen.received {
			if !f.made(m) {
				theirs = append(theirs, m)
				answered += seen.answered[[4]byte(m[4:8])]
			}
		}
		return theirs, answered
	}
	eventually(t, "a cookie reply to their initiation", func() bool {
		load()
		_, answered := own()
		return answered > 0
	})
	if theirs, answered := own(); len(theirs) != 1 || answered != 1 || hasMAC2(theirs[0]) {
		t.Errorf("%d cookie replies to %d initiations of theirs", answered, len(theirs))
	}
	if p.us.count(protocol.EventResponseSent) != 0 || p.us.drops(protocol.DropNoCookie) == 0 {
		t.Error("an initiation without a cookie was answered under load")
	}
	eventually(t, "their retransmission, accepted under load", func() bool {
		load()
		return p.us.count(protocol.EventHandshakeComplete) > 0
	})
	theirs, _ := own()
	if n := p.us.count(protocol.EventInitiationAccepted); n != 1 || len(theirs) != 2 || !hasMAC2(theirs[1]) {
		t.Errorf("%d initiations accepted, of %d that they sent", n, len(theirs))
	}
	if !underLoad() {
		t.Error("we are not under load any more")
	}
	p.us.inner.wants(t, "the packet that waited", msg)
	p.talk(t, true)
}

func (f *flooder) made(msg []byte) bool {
	for _, m := range f.msgs {
		if bytes.Equal(m, msg) {
			return true
		}
	}
	return false
}
