package report

import (
	"bytes"
	"encoding/binary"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at the difference after go test -update. Got:\n%s", file, got)
	}
}

func narrow(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// script makes records by hand, so that each sentence of the story can be had at will.
type script struct {
	at      timers.Time
	seq     uint64
	records []sim.Record
}

func (s *script) add(r sim.Record) {
	s.seq++
	r.Seq, r.At = s.seq, s.at
	s.records = append(s.records, r)
}

func (s *script) wait(d time.Duration) { s.at = s.at.Add(d) }

func (s *script) core(host, peer string, e protocol.Event) {
	e.At = s.at
	s.add(sim.Record{Kind: sim.KindCore, Host: host, Peer: peer, Event: e})
}

func (s *script) initiate(host, peer string, c protocol.Cause, index uint32) {
	s.core(host, peer, protocol.Event{Kind: protocol.EventInitiationSent, Cause: c, Local: index})
}

func (s *script) complete(host, peer string) {
	s.core(host, peer, protocol.Event{Kind: protocol.EventHandshakeComplete, Initiator: true})
}

// lose lets the network drop the initiation with an index.
func (s *script) lose(host string, index uint32, f sim.Fate, rule string) {
	data := binary.LittleEndian.AppendUint32([]byte{1, 0, 0, 0}, index)
	s.add(sim.Record{Kind: sim.KindFate, Host: host, Data: append(data, 0, 0, 0, 0), Fate: f, Rule: rule,
		Dst: netip.MustParseAddrPort("203.0.113.7:4001")})
}

func (s *script) refuse(host, to string, n uint64, reason protocol.DropReason, with func(*sim.Record)) {
	r := sim.Record{Kind: sim.KindFate, Datagram: n, Host: host, To: to, Fate: sim.FateRejected, Reason: reason}
	if with != nil {
		with(&r)
	}
	s.add(r)
}

func (s *script) inner(kind sim.Kind, host, peer string) {
	s.add(sim.Record{Kind: kind, Host: host, Peer: peer})
}

func (s *script) action(k sim.ActionKind, host, note string) {
	s.add(sim.Record{Kind: sim.KindAction, Action: k, Host: host, Note: note})
}

func (s *script) roamed(host, peer, from, to string) {
	e := protocol.Event{Kind: protocol.EventRoamed}
	e.Endpoint.Remote = netip.MustParseAddrPort(to)
	if from != "" {
		e.Previous.Remote = netip.MustParseAddrPort(from)
	}
	s.core(host, peer, e)
}

func smallWorld() *sim.Scenario {
	prefix := netip.MustParsePrefix
	return &sim.Scenario{
		Name: "small", About: "a world for tests", Duration: 12 * time.Minute,
		Networks: []sim.Network{
			{Name: "hq", Prefix: prefix("192.0.2.0/24"), Up: sim.Line{Latency: time.Millisecond}},
			{Name: "home", Prefix: prefix("10.0.0.0/8"), Up: sim.Line{Latency: 20 * time.Millisecond,
				Jitter: 5 * time.Millisecond, Loss: sim.Percent(2), Corrupt: sim.Ratio{Num: 1, Den: 1000}},
				NAT: &sim.NAT{Public: netip.MustParseAddr("198.51.100.1"), Timeout: 90 * time.Second}},
		},
		Hosts: []sim.Host{{Name: "office", Network: "hq"}, {Name: "laptop", Network: "home"}},
		Flows: []sim.Flow{{Kind: sim.FlowPing, From: "laptop", To: "office", Interval: time.Second},
			{Kind: sim.FlowUDP, From: "office", To: "laptop", IPv6: true, Interval: 250 * time.Millisecond}},
	}
}

// everything is a run in which all that has a sentence happens.
func everything() []sim.Record {
	const second = time.Second
	s := &script{}
	s.add(sim.Record{Kind: sim.KindStart, Note: "small"})
	s.initiate("laptop", "office", protocol.CausePacket, 1)
	s.inner(sim.KindInnerSent, "laptop", "office")
	s.lose("laptop", 1, sim.FateLost, "home up: loss")
	s.wait(5 * second)
	s.initiate("laptop", "office", protocol.CauseRetransmit, 2)
	s.lose("laptop", 2, sim.FateLost, "home up: loss")
	s.wait(5 * second)
	s.initiate("laptop", "office", protocol.CauseRetransmit, 3)
	s.wait(42 * time.Millisecond)
	s.complete("laptop", "office")
	s.roamed("office", "laptop", "", "198.51.100.1:4000")
	s.inner(sim.KindInnerDelivered, "office", "laptop")
	s.wait(second)
	s.roamed("office", "laptop", "198.51.100.1:4000", "198.51.100.1:4001")
	s.action(sim.ActionRoam, "laptop", "leaves home (10.0.0.1)")
	s.roamed("office", "laptop", "198.51.100.1:4001", "203.0.113.7:4001")
	s.wait(second)
	s.add(sim.Record{Kind: sim.KindDatagram, Host: "laptop", Datagram: 7})
	s.add(sim.Record{Kind: sim.KindDatagram, Host: "laptop", Datagram: 8, Original: 7})
	for range 3 { // only the first of a kind is told
		s.refuse("laptop", "office", 8, protocol.DropReplayed, func(r *sim.Record) { r.Original = 7 })
		s.refuse("laptop", "office", 7, protocol.DropReplayed, nil)
		s.refuse("laptop", "office", 9, protocol.DropTag, func(r *sim.Record) { r.Damaged = true })
		s.refuse("laptop", "office", 10, protocol.DropUnknownIndex, nil)
		s.refuse("mallory", "office", 11, protocol.DropMAC1, func(r *sim.Record) { r.Attack = sim.AttackBadMAC })
		s.refuse("mallory", "laptop", 12, protocol.DropType, func(r *sim.Record) { r.Attack = sim.AttackJunk })
		s.core("laptop", "", protocol.Event{Kind: protocol.EventDrop, Reason: protocol.DropStagedOverflow})
		s.add(sim.Record{Kind: sim.KindInnerRefused, Host: "office", Peer: "laptop", Reason: protocol.DropNoEndpoint})
	}
	s.wait(second)
	under := func(on bool) { s.core("office", "", protocol.Event{Kind: protocol.EventLoad, Under: on}) }
	under(true)
	s.core("laptop", "office", protocol.Event{Kind: protocol.EventCookieAccepted})
	for range 3 {
		s.wait(second)
		under(false)
		s.wait(second)
		under(true)
	}
	under(false)
	s.wait(6 * second)
	s.initiate("office", "laptop", protocol.CauseSilence, 20)
	s.wait(100 * time.Millisecond)
	s.initiate("laptop", "office", protocol.CauseRekeyTime, 21)
	s.wait(5 * second)
	s.initiate("office", "laptop", protocol.CauseRetransmit, 22)
	s.initiate("laptop", "office", protocol.CauseRetransmit, 23)
	s.complete("laptop", "office")
	s.core("office", "laptop", protocol.Event{Kind: protocol.EventHandshakeComplete})
	s.wait(second)
	s.initiate("office", "laptop", protocol.CauseKeepalive, 24)
	s.lose("office", 24, sim.FateNoAddress, "")
	s.wait(90 * second)
	s.core("office", "laptop", protocol.Event{Kind: protocol.EventGaveUp, Attempt: 20})
	s.wait(540 * second)
	s.core("office", "laptop", protocol.Event{Kind: protocol.EventKeysZeroed})
	s.core("office", "", protocol.Event{Kind: protocol.EventClock, Deadline: s.at.Add(-3 * second)})
	s.action(sim.ActionRebindNAT, "", "the NAT of home forgets its mappings")
	s.add(sim.Record{Kind: sim.KindViolation, Host: "office", Violation: sim.Violation{At: s.at, Host: "office",
		Checker: "once", Text: "packet 5 came out twice"}})
	s.add(sim.Record{Kind: sim.KindEnd})
	return s.records
}

func someResult() *sim.Result {
	r := &sim.Result{Scenario: "small", Seed: 5, Virtual: 12 * time.Minute, Datagrams: 4321}
	r.Tunnels = []sim.TunnelResult{{A: "office", B: "laptop", Handshakes: 2, GaveUp: 1, Roamed: 2,
		AtoB:     sim.DirectionSum{Sent: 1000, Delivered: 999, SentBytes: 84_000, DeliveredBytes: 83_916},
		BtoA:     sim.DirectionSum{Sent: 10, Delivered: 3, DeliveredBytes: 300, LongestOutage: 100 * time.Second},
		WireAtoB: 1_234_567_890, WireBtoA: 999}}
	r.Tunnels[0].Initiations[protocol.CauseRekeyTime] = 3
	r.Tunnels[0].Initiations[protocol.CauseRetransmit] = 4
	r.Hosts = []sim.HostResult{{Name: "office"}, {Name: "laptop"}}
	r.Hosts[0].Drops[protocol.DropReplayed] = 6
	r.Fates[sim.FateDelivered], r.Fates[sim.FateLost] = 4000, 321
	r.Checkers = []sim.CheckerResult{{Name: "once", Rule: "no inner packet comes out twice (REPLAY-01)", Checked: 1002,
		Violations: 1}, {Name: "pace", Rule: "not too often (HS-21)", Checked: 8}}
	r.Violations = []sim.Violation{{At: timers.Time(700 * time.Second), Host: "office", Checker: "once",
		Text: "packet 5 came out twice"}}
	r.Flows, r.Disturbances = someFlows()
	return r
}

func tell(t *testing.T, records []sim.Record, r *sim.Result, o Options) string {
	t.Helper()
	var out bytes.Buffer
	text := NewText(&out, smallWorld(), 5, o)
	for i := range records {
		text.Observe(&records[i])
	}
	if err := text.Finish(r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTextTellsEverything(t *testing.T) {
	got := tell(t, everything(), someResult(), Options{})
	golden(t, "story.txt", got)
	narrow(t, got, 100)
}

func TestTextKeepsToItsWidth(t *testing.T) {
	for _, width := range []int{leastWidth, defaultWidth, 140} {
		narrow(t, tell(t, everything(), someResult(), Options{Width: width}), width)
	}
}

// Colour adds nothing but escape sequences, and is never left on at the end of a line.
func TestTextInColourSaysTheSame(t *testing.T) {
	colour := tell(t, everything(), someResult(), Options{Color: true})
	if !strings.Contains(colour, "\x1b[1;31m") {
		t.Error("a broken checker is not red")
	}
	plain := colour
	for _, c := range colours {
		plain = strings.ReplaceAll(plain, "\x1b["+c+"m", "")
	}
	plain = strings.ReplaceAll(plain, "\x1b[0m", "")
	if want := tell(t, everything(), someResult(), Options{}); plain != want {
		t.Error("without its colours the story is another")
	}
	for line := range strings.Lines(colour) {
		if strings.Count(line, "\x1b[0m")*2 != strings.Count(line, "\x1b[") {
			t.Errorf("a colour goes on behind the end of a line: %q", line)
		}
	}
}
