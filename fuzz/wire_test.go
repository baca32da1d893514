package fuzz

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/purewire/purewire/protocol/wire"
)

// FuzzClassify: whatever is taken as a message can be read in full, and writing what was read gives the same bytes, so
// no byte of a message escapes the accessors (MSG-03 to MSG-08, MSG-13).
func FuzzClassify(f *testing.F) {
	for typ, size := range map[byte]int{1: 148, 2: 92, 3: 64, 4: 32} {
		f.Add(append([]byte{typ, 0, 0, 0}, make([]byte, size-4)...))
		f.Add(append([]byte{typ, 0, 0, 1}, make([]byte, size-4)...))
		f.Add(append([]byte{typ, 0, 0, 0}, make([]byte, size-5)...))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, problem := wire.Classify(b)
		want := len(b) >= 4 && b[1]|b[2]|b[3] == 0
		switch {
		case !want:
		case b[0] == 1:
			want = len(b) == 148
		case b[0] == 2:
			want = len(b) == 92
		case b[0] == 3:
			want = len(b) == 64
		default:
			want = b[0] == 4 && len(b) >= 32
		}
		if want != (problem == wire.OK) || want && byte(typ) != b[0] || !want && typ != wire.TypeInvalid {
			t.Fatalf("%x: %v, problem %d", b, typ, problem)
		}
		if !want {
			return
		}
		if again := rewrite(typ, b); !bytes.Equal(again, b) {
			t.Fatalf("read and written again: %x, was %x", again, b)
		}
	})
}

// rewrite copies a message field by field into a new one.
func rewrite(typ wire.Type, b []byte) []byte {
	out := bytes.Repeat([]byte{0xff}, len(b))
	switch typ {
	case wire.TypeInitiation:
		in, m := wire.AsInitiation(b), wire.AsInitiation(out)
		m.Init()
		m.SetSender(in.Sender())
		*m.Ephemeral(), *m.MAC1(), *m.MAC2() = *in.Ephemeral(), *in.MAC1(), *in.MAC2()
		copy(m.Static(), in.Static())
		copy(m.Timestamp(), in.Timestamp())
	case wire.TypeResponse:
		in, m := wire.AsResponse(b), wire.AsResponse(out)
		m.Init()
		m.SetSender(in.Sender())
		m.SetReceiver(in.Receiver())
		*m.Ephemeral(), *m.MAC1(), *m.MAC2() = *in.Ephemeral(), *in.MAC1(), *in.MAC2()
		copy(m.Empty(), in.Empty())
	case wire.TypeCookieReply:
		in, m := wire.AsCookieReply(b), wire.AsCookieReply(out)
		m.Init()
		m.SetReceiver(in.Receiver())
		*m.Nonce() = *in.Nonce()
		copy(m.Cookie(), in.Cookie())
	case wire.TypeTransport:
		wire.PutTransportHeader(out, wire.TransportReceiver(b), wire.TransportCounter(b))
		copy(out[wire.TransportHeaderSize:], b[wire.TransportHeaderSize:])
	}
	return out
}

// FuzzInner compares the inner parser with the rules said once more, and marks what is valid (INNER-01 to INNER-05,
// ROUTE-10, QOS-04).
func FuzzInner(f *testing.F) {
	v4 := append([]byte{0x45, 0, 0, 28}, make([]byte, 24)...)
	v6 := append([]byte{0x60, 0, 0, 0, 0, 8}, make([]byte, 42)...)
	wrap := slices.Clone(v6)
	wrap[4], wrap[5] = 0xff, 0xe0
	for _, b := range [][]byte{v4, v4[:20], v4[:19], v6, v6[:40], v6[:39], wrap, {0x50}, {}} {
		f.Add(b, uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, ecn uint8) {
		src, length, problem := wire.Inner(b)
		dst, routable := wire.InnerDestination(b)
		var wantSrc, wantDst netip.Addr
		total, least := 0, 1
		switch {
		case len(b) >= 20 && b[0]>>4 == 4:
			wantSrc, wantDst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
			total, least = int(b[2])<<8+int(b[3]), 20
		case len(b) >= 40 && b[0]>>4 == 6:
			wantSrc, wantDst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
			total, least = int(b[4])<<8+int(b[5])+40, 40
		}
		if dst != wantDst || routable != wantDst.IsValid() {
			t.Fatalf("%x goes to %v, %v, want %v", b, dst, routable, wantDst)
		}
		valid := total >= least && total <= len(b)
		if valid != (problem == wire.InnerOK) || valid && (src != wantSrc || length != total) ||
			!valid && (src.IsValid() || length != 0) {
			t.Fatalf("%x: %v, %d, problem %d; want %v, %d, valid %v", b, src, length, problem, wantSrc, total, valid)
		}
		if !valid {
			return
		}
		before, tos := slices.Clone(b), wire.InnerTOS(b)
		wire.SetInnerECN(b, ecn)
		if got, want := wire.InnerTOS(b), tos&^3|ecn&3; got != want {
			t.Fatalf("TOS is %#x, want %#x", got, want)
		}
		wire.SetInnerECN(b, tos)
		if b[0]>>4 == 4 && before[10] == 0xff && before[11] == 0xff {
			before[10], before[11] = 0, 0 // the other zero of one's complement; see RFC 1624 §3
		}
		if !bytes.Equal(b, before) {
			t.Fatalf("marked and unmarked: %x, was %x", b, before)
		}
	})
}
