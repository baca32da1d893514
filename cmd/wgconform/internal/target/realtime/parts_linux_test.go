package realtime

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
)

var (
	subject4 = netip.MustParseAddrPort("192.0.2.1:51820")
	subject6 = netip.MustParseAddrPort("[2001:db8::1]:51820")
	tester4  = netip.MustParseAddrPort("192.0.2.200:4321")
	tester6  = netip.MustParseAddrPort("[2001:db8::abcd:1]:4321")
)

// Fragments in any order, mixed with those of another packet, give the packet; a missing one does not.
func TestFragments(t *testing.T) {
	for _, way := range [][2]netip.AddrPort{{subject4, tester4}, {subject6, tester6}} {
		var parts [2][][]byte
		d := conformance.Datagram{Local: way[0], Remote: way[1]}
		for i := range parts {
			d.Bytes = bytes.Repeat([]byte{byte(i + 1)}, 4000)
			parts[i] = packets(&d, tag(i))
			if len(parts[i]) != 3 {
				t.Fatalf("%d fragments", len(parts[i]))
			}
		}
		var r reassembly
		done := 0
		for _, at := range [][2]int{{0, 2}, {1, 1}, {0, 0}, {1, 2}, {0, 1}} {
			o, ok := takeApart(parts[at[0]][at[1]])
			if !ok || !o.fragment {
				t.Fatalf("fragment %v is none", at)
			}
			whole, ok := r.add(&o)
			if !ok {
				continue
			}
			done++
			from, to, payload, ok := ports(whole.payload)
			if !ok || at[0] != 0 || from != way[1].Port() || to != way[0].Port() ||
				!bytes.Equal(payload, bytes.Repeat([]byte{1}, 4000)) {
				t.Errorf("after %v: %d bytes", at, len(payload))
			}
		}
		if done != 1 || len(r.waiting) != 1 {
			t.Errorf("%d packets are whole and %d wait", done, len(r.waiting))
		}
		for id := range uint32(2 * reassemblyLimit) {
			o, _ := takeApart(parts[0][0])
			o.id = 1000 + id
			r.add(&o)
		}
		if len(r.waiting) != reassemblyLimit || len(r.order) != reassemblyLimit {
			t.Errorf("%d packets wait", len(r.waiting))
		}
	}
}

// What a program joined is taken apart into what it was.
func TestSegments(t *testing.T) {
	for _, way := range [][2]netip.AddrPort{{subject4, tester4}, {subject6, tester6}} {
		for _, kind := range []uint8{gsoUDP, gsoTCP4} {
			var want [][]byte
			for n := range 3 {
				want = append(want, streamPacket(way, kind, n, []int{100, 100, 7}[n]))
			}
			first, _ := takeApart(want[0])
			head := len(first.head)
			above := udpHeader
			if kind == gsoTCP4 {
				above = 20
				want[0][head+13], want[1][head+13] = 0x10, 0x10 // PSH is the last one's
				fixSums(want[0], kind)
				fixSums(want[1], kind)
			}
			joined := slices.Clone(want[2][:head+above])
			for _, p := range want {
				joined = append(joined, p[head+above:]...)
			}
			copy(joined, want[0][:head+min(above, 13)])
			if joined[0]>>4 == 4 {
				binary.BigEndian.PutUint16(joined[2:], uint16(len(joined)))
			} else {
				binary.BigEndian.PutUint16(joined[4:], uint16(len(joined)-head))
			}
			got := segments(virtio{flags: needsCheck, gso: kind, size: 100}, joined)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("kind %d:\n% x\nwant\n% x", kind, got, want)
			}
			// One whose checksum is to be computed only.
			open := slices.Clone(want[0])
			place := map[uint8]int{gsoUDP: 6, gsoTCP4: 16}[kind]
			o, _ := takeApart(open)
			sum := pseudo(o.from, o.to, o.proto, len(o.payload))
			binary.BigEndian.PutUint16(open[head+place:], ^checksum(nil, sum))
			v := virtio{flags: needsCheck, checkStart: uint16(head), checkPlace: uint16(place)}
			if got := segments(v, open); len(got) != 1 || !bytes.Equal(got[0], want[0]) {
				t.Errorf("kind %d, one packet:\n% x\nwant\n% x", kind, got, want[0])
			}
		}
	}
}

// streamPacket is number n of a stream of packets with 100 bytes each.
func streamPacket(way [2]netip.AddrPort, kind uint8, n, size int) []byte {
	body := bytes.Repeat([]byte{byte('a' + n)}, size)
	d := conformance.Datagram{Local: way[0], Remote: way[1], Bytes: body}
	p := packets(&d, 40+tag(n))[0]
	if p[0]>>4 == 6 {
		p = packets(&d, 40)[0]
	}
	if kind == gsoUDP {
		return p
	}
	head := len(p) - size - udpHeader
	tcp := make([]byte, 20)
	copy(tcp, p[head:head+4])
	binary.BigEndian.PutUint32(tcp[4:], uint32(7000+100*n))
	tcp[12], tcp[13] = 5<<4, 0x18
	p = slices.Concat(p[:head], tcp, body)
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		p[9] = 6
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-head))
		p[6] = 6
	}
	fixSums(p, kind)
	return p
}

// fixSums makes the checksums right.
func fixSums(p []byte, kind uint8) {
	o, _ := takeApart(p)
	if p[0]>>4 == 4 {
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], checksum(o.head, 0))
	}
	place := map[uint8]int{gsoUDP: 6, gsoTCP4: 16}[kind]
	o.payload[place], o.payload[place+1] = 0, 0
	binary.BigEndian.PutUint16(o.payload[place:], checksum(o.payload, pseudo(o.from, o.to, o.proto, len(o.payload))))
}

// A configuration survives a restart as it was built up.
func TestConfigMerge(t *testing.T) {
	a, b := conformance.Key{1}, conformance.Key{2}
	n := func(text string) netip.Prefix { return netip.MustParsePrefix(text) }
	port, seconds := uint16(7), uint16(25)
	var c config
	for _, change := range []conformance.Change{
		{Peers: []conformance.PeerChange{{PublicKey: conformance.Key{9}, AllowedIPs: []netip.Prefix{n("10.9.0.0/16")}}}},
		{ReplacePeers: true, PrivateKey: &a, Peers: []conformance.PeerChange{
			{PublicKey: a, AllowedIPs: []netip.Prefix{n("10.1.2.3/8"), n("fd00::/8")}}, {PublicKey: b}}},
		{ListenPort: &port, Peers: []conformance.PeerChange{
			{PublicKey: b, Keepalive: &seconds, AllowedIPs: []netip.Prefix{n("10.0.0.0/8")}},
			{PublicKey: conformance.Key{3}, UpdateOnly: true, Keepalive: &seconds},
			{PublicKey: conformance.Key{4}}}},
		{Peers: []conformance.PeerChange{{PublicKey: conformance.Key{4}, Remove: true},
			{PublicKey: conformance.Key{5}, Remove: true}}},
	} {
		c.merge(&change)
	}
	want := conformance.Change{PrivateKey: &a, ListenPort: &port, ReplacePeers: true, Peers: []conformance.PeerChange{
		{PublicKey: a, ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{n("fd00::/8")}},
		{PublicKey: b, ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{n("10.0.0.0/8")}, Keepalive: &seconds},
	}}
	if got := c.all(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := c.allowed(); !slices.Equal(got, []netip.Prefix{n("fd00::/8"), n("10.0.0.0/8")}) {
		t.Errorf("allowed IPs: %v", got)
	}
}

func TestPortray(t *testing.T) {
	d := conformance.Datagram{Local: subject6, Remote: tester6, Bytes: []byte("x")}
	for want, ip := range map[string][]byte{
		"UDP from [2001:db8::abcd:1]:4321 to [2001:db8::1]:51820, 49 bytes": packets(&d, 1)[0],
		"3 bytes that are no IP packet: 01 02 03":                           {1, 2, 3},
	} {
		if got := portray(ip); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
