package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// datagram is n bytes that start with a type and reserved bytes and are otherwise not zero.
func datagram(n int, head ...byte) []byte {
	b := bytes.Repeat([]byte{0xa5}, n)
	copy(b, head)
	return b
}

func wantClass(t *testing.T, why string, b []byte, wantType Type, want Problem) {
	t.Helper()
	if got, p := Classify(b); got != wantType || p != want {
		t.Errorf("%s: %d bytes are %v with problem %d, want %v with %d", why, len(b), got, p, wantType, want)
	}
}

func TestClassify(t *testing.T) {
	type sized struct {
		size, max int
		want      Problem
	}
	exact := map[Type]sized{TypeInitiation: {148, 148, BadLength}, TypeResponse: {92, 92, BadLength},
		TypeCookieReply: {64, 64, BadLength}, TypeTransport: {32, 65507, TooShort}}
	for typ := TypeInitiation; typ <= TypeTransport; typ++ {
		e := exact[typ]
		for n := 4; n < 400; n++ {
			want, wantProblem := typ, OK
			if n < e.size || n > e.max {
				want, wantProblem = TypeInvalid, e.want
			}
			wantClass(t, "MSG-05..08", datagram(n, byte(typ), 0, 0, 0), want, wantProblem)
		}
		for bit := range 24 {
			b := datagram(e.size, byte(typ), 0, 0, 0)
			b[1+bit/8] = 1 << (bit % 8)
			wantClass(t, "MSG-03", b, TypeInvalid, BadReserved)
		}
	}
	for typ := range 256 {
		if typ == 0 || typ >= 5 {
			for _, n := range []int{4, 32, 64, 92, 148, 1452} {
				wantClass(t, "MSG-04", datagram(n, byte(typ), 0, 0, 0), TypeInvalid, BadType)
			}
		}
	}
	for n := range 4 {
		wantClass(t, "MSG-13", datagram(n, 4, 0, 0, 0), TypeInvalid, TooShort)
	}
	wantClass(t, "MSG-13", nil, TypeInvalid, TooShort)
	wantClass(t, "MSG-13", datagram(65507, 4, 0, 0, 0), TypeTransport, OK)
	wantClass(t, "MSG-13", datagram(65507, 1, 0, 0, 0), TypeInvalid, BadLength)
	wantClass(t, "MSG-12", datagram(148+148, 1, 0, 0, 0), TypeInvalid, BadLength)
	wantClass(t, "MSG-09", datagram(16+37, 4, 0, 0, 0), TypeTransport, OK)
}

func TestTypeString(t *testing.T) {
	want := []string{"invalid", "initiation", "response", "cookie-reply", "transport", "Type(5)"}
	for i, w := range want {
		if got := Type(i).String(); got != w {
			t.Errorf("Type(%d) is %q, want %q", i, got, w)
		}
	}
}

// field is one row of the layout table of rules.md §1.2.
type field struct {
	name           string
	offset, length int
	get            []byte
}

func wantFields(t *testing.T, whole []byte, fields []field) {
	t.Helper()
	next := 4
	for _, f := range fields {
		if f.offset != next && f.name[0] != '*' {
			t.Errorf("%s: the table has a hole before it", f.name)
		}
		if !bytes.Equal(f.get, whole[f.offset:f.offset+f.length]) {
			t.Errorf("%s is %x, want bytes %d to %d", f.name, f.get, f.offset, f.offset+f.length)
		}
		if f.name[0] != '*' {
			next = f.offset + f.length
		}
	}
	if next != len(whole) {
		t.Errorf("the fields end at %d of %d", next, len(whole))
	}
}

func le32(i uint32) []byte { return binary.LittleEndian.AppendUint32(nil, i) }

// TestLayouts is the table of rules.md §1.2, read from bytes that all differ from their neighbours.
func TestLayouts(t *testing.T) {
	b := make([]byte, 200)
	for i := range b {
		b[i] = byte(i)
	}
	i := AsInitiation(b)
	wantFields(t, b[:InitiationSize], []field{
		{"sender", 4, 4, le32(i.Sender())}, {"ephemeral", 8, 32, i.Ephemeral()[:]}, {"static", 40, 48, i.Static()},
		{"timestamp", 88, 28, i.Timestamp()}, {"mac1", 116, 16, i.MAC1()[:]}, {"mac2", 132, 16, i.MAC2()[:]},
	})
	r := AsResponse(b)
	wantFields(t, b[:ResponseSize], []field{
		{"sender", 4, 4, le32(r.Sender())}, {"receiver", 8, 4, le32(r.Receiver())},
		{"ephemeral", 12, 32, r.Ephemeral()[:]}, {"empty", 44, 16, r.Empty()}, {"mac1", 60, 16, r.MAC1()[:]},
		{"mac2", 76, 16, r.MAC2()[:]},
	})
	c := AsCookieReply(b)
	wantFields(t, b[:CookieReplySize], []field{
		{"receiver", 4, 4, le32(c.Receiver())}, {"nonce", 8, 24, c.Nonce()[:]}, {"cookie", 32, 32, c.Cookie()},
	})
	if InitiationMAC1Offset != 116 || InitiationMAC2Offset != 132 || ResponseMAC1Offset != 60 || ResponseMAC2Offset != 76 {
		t.Error("MAC offsets differ from rules.md §1.2")
	}
	for _, part := range [][]byte{i.Static(), i.Timestamp(), r.Empty(), c.Cookie()} {
		if cap(part) != len(part) {
			t.Error("an append to a field would write into the next one")
		}
	}
}

// TestRoundTrip: what is set is read back, lands in the caller's buffer, and leaves every other byte alone; Init clears
// what was there (COOKIE-04: mac2 is zero) and the result is a message again (MSG-01, MSG-02, MSG-11).
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, math.MaxUint32}), rapid.Uint32())
		sender, receiver := index.Draw(t, "sender"), index.Draw(t, "receiver")
		fill := rapid.Byte().Draw(t, "fill")
		buf := bytes.Repeat([]byte{fill}, 256)
		check := func(want Type, size int, set []byte) {
			head := slices.Concat([]byte{byte(want), 0, 0, 0}, set)
			rest := make([]byte, size-len(head))
			if !bytes.Equal(buf, slices.Concat(head, rest, bytes.Repeat([]byte{fill}, 256-size))) {
				t.Fatalf("%v: wrote %x", want, buf)
			}
			if got, p := Classify(buf[:size]); got != want || p != OK {
				t.Fatalf("wrote a %v with problem %d, want %v", got, p, want)
			}
			buf = bytes.Repeat([]byte{fill}, 256)
		}
		i := AsInitiation(buf)
		i.Init()
		i.SetSender(sender)
		check(TypeInitiation, 148, le32(sender))
		r := AsResponse(buf)
		r.Init()
		r.SetSender(sender)
		r.SetReceiver(receiver)
		if r.Sender() != sender || r.Receiver() != receiver || i.Sender() != sender {
			t.Fatal("an index changed")
		}
		check(TypeResponse, 92, append(le32(sender), le32(receiver)...))
		c := AsCookieReply(buf)
		c.Init()
		c.SetReceiver(receiver)
		if c.Receiver() != receiver {
			t.Fatal("an index changed")
		}
		check(TypeCookieReply, 64, le32(receiver))
	})
}

// TestTransportHeader is MSG-02 and MSG-10: 16 bytes, little-endian, and nothing behind them is touched.
func TestTransportHeader(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, 40)
	PutTransportHeader(b, 0x04030201, 0x0c0b0a0908070605)
	want := append([]byte{4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, bytes.Repeat([]byte{0xee}, 24)...)
	if !bytes.Equal(b, want) {
		t.Fatalf("wrote %x", b)
	}
	rapid.Check(t, func(t *rapid.T) {
		receiver, counter := rapid.Uint32().Draw(t, "receiver"), rapid.Uint64().Draw(t, "counter")
		PutTransportHeader(b, receiver, counter)
		if TransportReceiver(b) != receiver || TransportCounter(b) != counter {
			t.Fatalf("read %d, %d", TransportReceiver(b), TransportCounter(b))
		}
		wantType, p := Classify(b)
		if wantType != TypeTransport || p != OK {
			t.Fatalf("wrote a %v with problem %d", wantType, p)
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	messages := [][]byte{datagram(148, 1, 0, 0, 0), datagram(92, 2, 0, 0, 0), datagram(64, 3, 0, 0, 0),
		datagram(1452, 4, 0, 0, 0), datagram(9, 9), nil}
	v4, v6 := packet4(60), packet6(60)
	sum := 0
	n := testing.AllocsPerRun(100, func() {
		for _, b := range messages {
			switch typ, _ := Classify(b); typ {
			case TypeInitiation:
				m := AsInitiation(b)
				m.SetSender(7)
				sum += len(m.Static()) + len(m.MAC2()) + int(m.Ephemeral()[3])
			case TypeResponse:
				sum += int(AsResponse(b).Receiver()&1) + len(AsResponse(b).Empty())
			case TypeCookieReply:
				sum += int(AsCookieReply(b).Nonce()[0])
			case TypeTransport:
				PutTransportHeader(b, TransportReceiver(b), TransportCounter(b)+1)
			}
		}
		for _, b := range [][]byte{v4, v6, nil} {
			if _, length, p := Inner(b); p == InnerOK {
				dst, _ := InnerDestination(b)
				SetInnerECN(b, InnerTOS(b)+1)
				sum += length + dst.BitLen()
			}
		}
	})
	if n != 0 || sum == 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkClassify(b *testing.B) {
	d := datagram(1452, 4, 0, 0, 0)
	for b.Loop() {
		if typ, _ := Classify(d); typ != TypeTransport {
			b.Fatal(typ)
		}
	}
}
