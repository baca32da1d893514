package capture

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

var (
	home   = netip.MustParseAddrPort("198.51.100.7:1111")
	cafe   = netip.MustParseAddrPort("203.0.113.9:2222")
	office = netip.MustParseAddrPort("192.0.2.1:51820")
	thief  = netip.MustParseAddrPort("192.0.2.66:666")
)

// message makes something that looks like a WireGuard message on the outside.
func message(kind uint32, size int, first, second uint32, src, dst netip.AddrPort) *entry {
	data := binary.LittleEndian.AppendUint32(nil, kind)
	data = binary.LittleEndian.AppendUint32(data, first)
	data = binary.LittleEndian.AppendUint32(data, second)
	return &entry{data: append(data, make([]byte, size-len(data))...), src: src, dst: dst}
}

func initiation(index uint32, src, dst netip.AddrPort) *entry {
	return message(1, 148, index, 0, src, dst)
}

func response(index, to uint32, src, dst netip.AddrPort) *entry {
	return message(2, 92, index, to, src, dst)
}

func transport(to uint32, src, dst netip.AddrPort) *entry { return message(4, 64, to, 0, src, dst) }

func TestBooksFollowASession(t *testing.T) {
	steps := []struct {
		why  string
		m    *entry
		want bool
	}{
		{"no session yet", transport(7, home, office), false},
		{"an initiation", initiation(1, home, office), true},
		{"not answered, so nothing can be decrypted", transport(1, office, home), false},
		{"a response to another address is none", response(7, 1, office, cafe), true},
		{"so still nothing", transport(7, home, office), false},
		{"the response", response(7, 1, office, home), true},
		{"data to the responder", transport(7, home, office), true},
		{"data to the initiator", transport(1, office, home), true},
		{"the responder cannot know yet that the other moved", transport(1, office, cafe), false},
		{"the initiator shows where it is", transport(7, cafe, office), true},
		{"now it is known there", transport(1, office, cafe), true},
		{"and no more at the old place", transport(1, office, home), false},
		{"a replay from elsewhere misleads the books", transport(7, thief, office), true},
		{"as it does Wireshark", transport(1, office, cafe), false},
		{"until the initiator speaks", transport(7, cafe, office), true},
		{"again", transport(1, office, cafe), true},
		{"an index that nobody has", transport(9, cafe, office), false},
		{"a keepalive is a message like others", message(4, 32, 7, 0, cafe, office), true},
		{"too short to be one", message(4, 31, 9, 0, cafe, office), true},
	}
	b := newBooks()
	for _, s := range steps {
		if got := b.follow(s.m); got != s.want {
			t.Errorf("%s: followed %v, want %v", s.why, got, s.want)
		}
	}
}

func TestBooksGiveACookieReplyItsInitiation(t *testing.T) {
	b := newBooks()
	b.follow(initiation(1, home, office))
	b.follow(message(3, 64, 1, 0, office, home))
	b.follow(response(7, 1, office, home))
	if b.follow(transport(7, home, office)) {
		t.Error("an initiation that got a cookie reply took a response too")
	}
	b.follow(initiation(2, home, office))
	b.follow(response(8, 2, office, home))
	if !b.follow(transport(8, home, office)) {
		t.Error("the next initiation did not take its response")
	}
}

func TestBooksTakeTheLatestOfTwoSessionsWithOneIndex(t *testing.T) {
	b := newBooks()
	b.follow(initiation(1, home, office))
	b.follow(response(7, 1, office, home))
	b.follow(initiation(1, home, office)) // a copy, or the same index drawn again
	if !b.follow(transport(1, office, home)) {
		t.Error("an unanswered initiation hides the session before it")
	}
	b.follow(response(8, 1, office, home))
	if !b.follow(transport(8, home, office)) {
		t.Error("the second initiation did not take the second response")
	}
}
