package explain

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// wantSession checks that a handshake and ten messages were understood.
func wantSession(t *testing.T, r *Report) {
	t.Helper()
	if len(r.Tunnels) != 1 || len(r.Tunnels[0].Sessions) != 1 {
		t.Fatalf("want one tunnel with one session, got:\n%s", show(r))
	}
	s := &r.Tunnels[0].Sessions[0]
	if s.Flow[0].Messages != 5 || s.Flow[1].Messages != 5 || s.Flow[0].Missing+s.Flow[1].Missing != 0 || !s.Confirmed ||
		s.RoundTrip != int64(10*ms) {
		t.Errorf("the session was not understood: %+v\n%s", s, show(r))
	}
	if len(r.Findings)+len(r.Deviations) > 0 {
		t.Errorf("nothing is wrong here:\n%s", show(r))
	}
}

func TestLinkTypes(t *testing.T) {
	ethernet := func(tags ...byte) func([]byte) []byte {
		return func(ip []byte) []byte {
			return slices.Concat(make([]byte, 12), tags, []byte{8, 0}, ip)
		}
	}
	head := func(b ...byte) func([]byte) []byte {
		return func(ip []byte) []byte { return slices.Concat(b, ip) }
	}
	sll := append(make([]byte, 14), 8, 0)
	sll2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 3}, make([]byte, 12)...)
	for _, l := range []struct {
		name string
		link layers.LinkType
		wrap func([]byte) []byte
	}{
		{"raw", linkRaw, nil},
		{"raw IPv4", linkIPv4, nil},
		{"ethernet", linkEthernet, ethernet()},
		{"VLAN", linkEthernet, ethernet(0x81, 0, 0, 7)},
		{"two VLAN tags", linkEthernet, ethernet(0x88, 0xa8, 0, 7, 0x81, 0, 0, 8)},
		{"Linux cooked", linkSLL, head(sll...)},
		{"Linux cooked 2", linkSLL2, head(sll2...)},
		{"loopback", linkNull, head(2, 0, 0, 0)},
	} {
		t.Run(l.name, func(t *testing.T) {
			s, a, b := newStage(t)
			s.link, s.wrap = l.link, l.wrap
			quietly(s, a, b, 0)
			wantSession(t, s.explain())
		})
	}
}

// The header of a cooked capture says which side the tap is at.
func TestCookedDirection(t *testing.T) {
	s, a, b := newStage(t)
	s.link = linkSLL
	s.wrap = func(ip []byte) []byte {
		kind := byte(0)
		if ip[12] == 192 {
			kind = 4
		}
		return slices.Concat([]byte{0, kind}, make([]byte, 12), []byte{8, 0}, ip)
	}
	quietly(s, a, b, 0)
	r := s.explain()
	wantSession(t, r)
	if r.Tunnels[0].Place != "at 192.0.2.1:1111" {
		t.Errorf("the tap is said to be %q", r.Tunnels[0].Place)
	}
}

func TestOldPcap(t *testing.T) {
	s, a, b := newStage(t)
	quietly(s, a, b, 0)
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, f := range s.frames {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0).Add(f.at), CaptureLength: len(f.data), Length: len(f.data)}
		if err := w.WritePacket(ci, f.data); err != nil {
			t.Fatal(err)
		}
	}
	whole := out.Bytes()
	r, err := Explain([]Source{{"x.pcap", bytes.NewReader(whole)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantSession(t, r)
	// A file that ends in the middle of a packet is used up to there.
	r, err = Explain([]Source{{"x.pcap", bytes.NewReader(whole[:len(whole)-5])}}, Options{})
	if err != nil || r.Tunnels[0].Sessions[0].Flow[1].Messages != 4 {
		t.Errorf("a cut file: %v\n%s", err, show(r))
	}
}

func TestSuperFrames(t *testing.T) {
	s, a, b := newStage(t)
	h := s.initiate(0, a, b).respond(10 * ms)
	var large []byte
	for i := range 5 {
		size := 1424
		if i == 4 {
			size = 64 // the last of a super-frame may be shorter
		}
		large = append(large, h.message(a, inner(a, size))...)
	}
	s.send(20*ms, a, b, large)
	for i := range 5 {
		h.data(time.Duration(30+i)*ms, b, 64)
	}
	r := s.explainAll(0, true, Options{})
	wantSession(t, r)
	if !strings.Contains(strings.Join(r.Notes, "\n"), "1 packets are segmentation super-frames") || r.Depth != DepthFull {
		t.Errorf("the super-frame is not mentioned, or was not decrypted:\n%s", show(r))
	}
	s.snap = 200 // the other segments' headers are cut off, and still there is one session
	if r = s.explain(); len(r.Tunnels[0].Sessions) != 1 {
		t.Errorf("a cut super-frame:\n%s", show(r))
	}
}

func TestFragments(t *testing.T) {
	build := func(skipSecond int) *Report {
		s, a, b := newStage(t)
		h := s.initiate(0, a, b).respond(10 * ms)
		for i := range 5 {
			at := time.Duration(20+i) * time.Second / 10
			ip := s.ipv4(a.at, b.at, 60, h.message(a, inner(a, 1408)))
			first, second := slices.Clone(ip[:20+800]), append(slices.Clone(ip[:20]), ip[820:]...)
			binary.BigEndian.PutUint16(first[2:], 820)
			binary.BigEndian.PutUint16(first[4:], uint16(i+1))
			first[6] = 0x20
			binary.BigEndian.PutUint16(second[2:], uint16(len(second)))
			binary.BigEndian.PutUint16(second[4:], uint16(i+1))
			binary.BigEndian.PutUint16(second[6:], 100)
			if i != skipSecond {
				s.raw(at, 0, second) // out of order
			}
			s.raw(at+ms, 0, first)
			if i == skipSecond+1 && skipSecond >= 0 {
				s.raw(at+2*ms, 0, slices.Clone(first)) // a copy changes nothing
			}
			h.data(at+5*ms, b, 64)
		}
		h.data(9*time.Second, b, 64)
		return s.explainAll(0, true, Options{})
	}
	r := build(-1)
	if s := r.Tunnels[0].Sessions[0]; s.Flow[0].Messages != 5 || s.Flow[0].Bytes != 5*1440 || r.Depth != DepthFull {
		t.Errorf("fragments were not put together:\n%s", show(r))
	}
	if r = build(2); r.Tunnels[0].Sessions[0].Flow[0].Missing != 1 {
		t.Errorf("want one message missing:\n%s", show(r))
	}
}

func TestCutPackets(t *testing.T) {
	s, a, b := newStage(t)
	s.snap = 60 // 28 of headers: neither mac1 nor the tag of data are there
	quietly(s, a, b, 0)
	r := s.explain(a.conf("a"), b.conf("b"))
	wantSession(t, r)
	if r.Depth != DepthNoKeys || !strings.Contains(strings.Join(r.Notes, "\n"), "12 packets were cut") {
		t.Errorf("depth and notes do not tell of the cut:\n%s", show(r))
	}
}

func TestMidSession(t *testing.T) {
	s, a, b := newStage(t)
	quietly(s, a, b, 0)
	s.frames = s.frames[4:]
	r := s.explain()
	x := &r.Tunnels[0].Sessions[0]
	if len(r.Tunnels[0].Sessions) != 1 || !x.Assumed || x.Initiator != "?" || x.Flow[0].Missing+x.Flow[1].Missing != 0 {
		t.Errorf("one session under way is wanted:\n%s", show(r))
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "is assumed") || !strings.Contains(notes, "under "+
		"way") {
		t.Errorf("the notes do not say what is assumed:\n%s", show(r))
	}
}

func TestSeveralTunnels(t *testing.T) {
	s, a, b := newStage(t)
	quietly(s, a, b, 0)
	c := s.actor("192.0.2.77:1111", 0)
	c.believe = b.static.Public
	again(s, 0, c, b, 5, nil)
	s.send(time.Second, a, &actor{at: c.at}, []byte("no WireGuard at all, and rather short"))
	r := s.explain()
	if len(r.Tunnels) != 2 || len(r.Findings) != 1 || r.Findings[0].Tunnel != 2 || r.Findings[0].Kind != "no-answer" {
		t.Errorf("want two tunnels, the second without an answer:\n%s", show(r))
	}
}

// Two taps with clocks that differ: the offset is found, and what is lost between them is certain.
func TestTwoTaps(t *testing.T) {
	const way, skew = 20 * time.Millisecond, -90 * time.Second
	s, a, b := newStage(t)
	s.ttl[0] = 64
	pass := func(by, to *actor, at time.Duration, m []byte, through bool) {
		taps := []int{0, 1}
		if by == b {
			taps = []int{1, 0}
		}
		s.send(at, by, to, m, taps[0])
		if through {
			s.send(at+way, by, to, m, taps[1])
		}
	}
	h := s.initiate(0, a, b)
	s.send(way, a, b, s.frames[0].data[28:], 1)
	h.respond(way+ms, 1)
	s.send(way+way+ms, b, a, s.frames[2].data[28:], 0)
	for i := range 40 {
		at := 50*ms + time.Duration(i)*time.Second
		pass(a, b, at, h.message(a, inner(a, 64)), true)
		pass(b, a, at+way+ms, h.message(b, inner(b, 64)), i < 12 || i >= 24)
	}
	r := s.explainAll(skew, false, Options{})
	if len(r.Clocks) != 1 || !r.Clocks[0].Corrected || abs(r.Clocks[0].Offset-int64(skew)) > int64(way) ||
		r.Clocks[0].Within > int64(way) {
		t.Fatalf("the clock of the second tap: %+v", r.Clocks)
	}
	f := &r.Findings[0]
	if f.Kind != "replies-lost" || f.Certainty != Certain || !strings.Contains(f.Text, "12 messages of "+
		"203.0.113.1:51820 in a row") ||
		!strings.Contains(f.Text, "11 messages of 192.0.2.1:1111 went through") {
		t.Errorf("want the loss between the taps:\n%s", show(r))
	}
	if len(r.Findings) != 1 {
		t.Errorf("one thing is wrong, and one is to be said:\n%s", show(r))
	}
}

func TestBadInput(t *testing.T) {
	k := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, c := range []struct {
		want string
		data string
		o    Options
	}{
		{"x: it is no capture: only 0 bytes long", "", Options{}},
		{"x: it is neither pcap nor pcapng: unknown magic 20656874", "the quick brown fox jumps over it", Options{}},
		{"a.conf:2: PrivateKey: it is no key", "", Options{Configs: []Config{{"a.conf", "[Interface]\nPrivateKey = x\n"}}}},
		{"a.conf:1: PrivateKey: it is missing", "", Options{Configs: []Config{{"a.conf", "[Interface]\n"}}}},
		{"a.conf:1: there is no section [Inter]", "", Options{Configs: []Config{{"a.conf", "[Inter]\n"}}}},
		{"a.conf:3: PublicKey: it is missing", "",
			Options{Configs: []Config{{"a.conf", "[Interface]\nPrivateKey = " + k + "\n[Peer]\n"}}}},
		{"log:2: no line of a key log", "", Options{KeyLogs: []Config{{"log", "# x\nhello\n"}}}},
		{"log:1: SECRET is no type of key", "", Options{KeyLogs: []Config{{"log", "SECRET=" + k + "\n"}}}},
	} {
		_, err := Explain([]Source{{"x", strings.NewReader(c.data)}}, c.o)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("want error %q, got %v", c.want, err)
		}
	}
}
