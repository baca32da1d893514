package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	src4, dst4 = netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.4.5.6")
	src6, dst6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:10.4.5.6")
)

// checksum is RFC 1071 over an IPv4 header whose checksum field counts as zero.
func checksum(h []byte) uint16 {
	sum := 0
	for i := 0; i < len(h); i += 2 {
		if i != 10 {
			sum += int(h[i])<<8 | int(h[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// packet4 is an IPv4 packet of n bytes, without options.
func packet4(n int) []byte {
	b := make([]byte, n)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	copy(b[12:], src4.AsSlice())
	copy(b[16:], dst4.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	return b
}

// packet6 is an IPv6 packet of n bytes.
func packet6(n int) []byte {
	b := make([]byte, n)
	b[0], b[6], b[7] = 0x60, 17, 64
	binary.BigEndian.PutUint16(b[4:], uint16(n-40))
	copy(b[8:], src6.AsSlice())
	copy(b[24:], dst6.AsSlice())
	return b
}

// with returns b with the 16-bit field at offset set.
func with(b []byte, offset int, v uint16) []byte {
	binary.BigEndian.PutUint16(b[offset:], v)
	return b
}

func TestInner(t *testing.T) {
	type test struct {
		why    string
		b      []byte
		src    netip.Addr
		length int
		p      InnerProblem
	}
	tests := []test{
		{"a plain packet", packet4(60), src4, 60, InnerOK},
		{"a plain packet", packet6(60), src6, 60, InnerOK},
		{"INNER-02 the smallest", packet4(20), src4, 20, InnerOK},
		{"INNER-02 the smallest", packet6(40), src6, 40, InnerOK},
		{"INNER-02 too short", packet4(20)[:19], netip.Addr{}, 0, InnerShort},
		{"INNER-02 too short", packet6(40)[:39], netip.Addr{}, 0, InnerShort},
		{"INNER-02 one byte", []byte{0x45}, netip.Addr{}, 0, InnerShort},
		{"INNER-02 nothing", nil, netip.Addr{}, 0, InnerShort},
		{"INNER-03 total length 0", with(packet4(60), 2, 0), netip.Addr{}, 0, InnerLength},
		{"INNER-03 total length 19", with(packet4(60), 2, 19), netip.Addr{}, 0, InnerLength},
		{"INNER-03 total length 20", with(packet4(60), 2, 20), src4, 20, InnerOK},
		{"INNER-04 one too many", with(packet4(60), 2, 61), netip.Addr{}, 0, InnerLength},
		{"INNER-04 one too many", with(packet6(60), 4, 21), netip.Addr{}, 0, InnerLength},
		{"INNER-04 the largest", with(packet4(60), 2, 65535), netip.Addr{}, 0, InnerLength},
		{"INNER-05 options", append([]byte{0x46}, packet4(60)[1:]...), src4, 60, InnerOK},
		{"INNER-05 an impossible header length", append([]byte{0x40}, packet4(60)[1:]...), src4, 60, InnerOK},
		{"INNER-06 wrong checksum", with(packet4(60), 10, 0x1234), src4, 60, InnerOK},
		{"INNER-08 jumbogram or no payload", with(packet6(60), 4, 0), src6, 40, InnerOK},
		{"INNER-08 fragment", with(packet4(60), 6, 0x2001), src4, 60, InnerOK},
		{"PAD-06 padding", append(packet4(60), make([]byte, 1000)...), src4, 60, InnerOK},
		{"PAD-06 padding", append(packet6(60), 0xff), src6, 60, InnerOK},
		{"the largest IPv6 packet", with(packet6(40+65535), 4, 65535), src6, 65575, InnerOK},
	}
	for payload := 65490; payload <= 65535; payload++ {
		tests = append(tests, test{"INNER-04 no 16-bit wrap", with(packet6(1420), 4, uint16(payload)), netip.Addr{}, 0,
			InnerLength})
	}
	for version := range 16 {
		if version != 4 && version != 6 {
			for _, n := range []int{1, 16, 60} {
				b := packet6(60)[:n]
				b[0] = byte(version<<4 | 5)
				tests = append(tests, test{fmt.Sprintf("INNER-01 version %d", version), b, netip.Addr{}, 0, InnerVersion})
			}
		}
	}
	for _, tt := range tests {
		if src, length, p := Inner(tt.b); src != tt.src || length != tt.length || p != tt.p {
			t.Errorf("%s: %v, %d, problem %d; want %v, %d, %d", tt.why, src, length, p, tt.src, tt.length, tt.p)
		}
	}
}

// TestInnerDestination is ROUTE-10, and ROUTE-09 for the mapped destination that packet6 has.
func TestInnerDestination(t *testing.T) {
	for _, tt := range []struct {
		why string
		b   []byte
		dst netip.Addr
	}{
		{"IPv4", packet4(60), dst4},
		{"IPv6 with a mapped destination", packet6(60), dst6},
		{"the smallest", packet4(20), dst4},
		{"the smallest", packet6(40), dst6},
		{"a total length that lies is the host's business", with(packet4(60), 2, 7), dst4},
		{"a payload length that lies is the host's business", with(packet6(60), 4, 60000), dst6},
		{"too short", packet4(20)[:19], netip.Addr{}},
		{"too short", packet6(40)[:39], netip.Addr{}},
		{"IPv4 length, version 6", append([]byte{0x60}, packet4(39)[1:]...), netip.Addr{}},
		{"version 5", append([]byte{0x55}, packet4(60)[1:]...), netip.Addr{}},
		{"version 0", make([]byte, 60), netip.Addr{}},
		{"nothing", nil, netip.Addr{}},
	} {
		if dst, ok := InnerDestination(tt.b); dst != tt.dst || ok != tt.dst.IsValid() {
			t.Errorf("%s: %v, %v, want %v", tt.why, dst, ok, tt.dst)
		}
	}
}

// TestInnerTOS writes each TOS byte where RFC 791 and RFC 8200 have it.
func TestInnerTOS(t *testing.T) {
	for tos := range 256 {
		v4, v6 := packet4(20), packet6(40)
		v4[1] = byte(tos)
		binary.BigEndian.PutUint32(v6, 6<<28|uint32(tos)<<20|0xfffff)
		if a, b := InnerTOS(v4), InnerTOS(v6); a != byte(tos) || b != byte(tos) {
			t.Errorf("TOS %#x reads as %#x in IPv4, %#x in IPv6", tos, a, b)
		}
	}
}

// TestSetInnerECN: over all headers the ECN bits and nothing else changes, and a right IPv4 checksum becomes exactly
// the one that a recomputation gives, options included.
func TestSetInnerECN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 60, 60).Draw(t, "packet")
		ecn := rapid.Byte().Draw(t, "ecn")
		is4 := rapid.Bool().Draw(t, "IPv4")
		want := make([]byte, 60)
		if is4 {
			words := rapid.IntRange(5, 15).Draw(t, "header words")
			b[0] = 0x40 | byte(words)
			binary.BigEndian.PutUint16(b[10:], checksum(b[:4*words]))
			copy(want, b)
			want[1] = b[1]>>2<<2 | ecn&3
			binary.BigEndian.PutUint16(want[10:], checksum(want[:4*words]))
		} else {
			b[0] = 0x60 | b[0]&15
			copy(want, b)
			first := binary.BigEndian.Uint32(b)
			binary.BigEndian.PutUint32(want, first&^(3<<20)|uint32(ecn&3)<<20)
		}
		SetInnerECN(b, ecn)
		if string(b) != string(want) {
			t.Fatalf("got %x, want %x", b, want)
		}
	})
}

// TestSetInnerECNCarries goes through every checksum there is, for the carries of RFC 1624 that random packets meet too
// rarely.
func TestSetInnerECNCarries(t *testing.T) {
	seen := map[uint16]bool{}
	for id := range 1 << 16 {
		for change := range uint8(16) {
			old, ecn := change/4, change%4
			b := with(packet4(20), 4, uint16(id))
			b[1] = old
			binary.BigEndian.PutUint16(b[10:], checksum(b))
			seen[checksum(b)] = true
			if SetInnerECN(b, ecn); binary.BigEndian.Uint16(b[10:]) != checksum(b) {
				t.Fatalf("id %#x, ECN %d to %d: checksum %x, want %#x", id, old, ecn, b[10:12], checksum(b))
			}
		}
	}
	if len(seen) != 1<<16-1 { // all but 0xffff, which the checksum of a header that is not all zero cannot be
		t.Fatalf("only %d checksums", len(seen))
	}
}

// TestSetInnerECNKeepsAWrongChecksumWrong: a repair would hide damage that happened before the tunnel.
func TestSetInnerECNKeepsAWrongChecksumWrong(t *testing.T) {
	for ecn := range uint8(4) {
		b := with(packet4(20), 10, checksum(packet4(20))+1)
		if SetInnerECN(b, ecn); binary.BigEndian.Uint16(b[10:]) == checksum(b) {
			t.Errorf("ECN %d repaired the checksum", ecn)
		}
	}
}

const notECT, ect1, ect0, ce = 0, 1, 2, 3

// TestOuterECN is QOS-02 and QOS-03 for every inner TOS byte.
func TestOuterECN(t *testing.T) {
	want := map[int]uint8{notECT: notECT, ect0: ect0, ect1: ect1, ce: ect0}
	for tos := range 256 {
		if got := OuterECN(uint8(tos)); got != want[tos&3] {
			t.Errorf("inner TOS %#x gives outer %#x, want %#x", tos, got, want[tos&3])
		}
	}
}

// TestDecapECN is QOS-04: only where a row says so does the inner packet change, whatever the DSCPs are.
func TestDecapECN(t *testing.T) {
	marked := map[[2]int]bool{{ce, ect0}: true, {ce, ect1}: true}
	for outer := range 256 {
		for inner := range 256 {
			wantECN, want := uint8(inner&3), marked[[2]int{outer & 3, inner & 3}]
			if want {
				wantECN = ce
			}
			if ecn, change := DecapECN(uint8(outer), uint8(inner)); ecn != wantECN || change != want {
				t.Fatalf("outer %#x, inner %#x: %d, %v, want %d, %v", outer, inner, ecn, change, wantECN, want)
			}
		}
	}
}

func BenchmarkInner(b *testing.B) {
	p := packet4(1420)
	for b.Loop() {
		if _, _, problem := Inner(p); problem != InnerOK {
			b.Fatal(problem)
		}
	}
}
