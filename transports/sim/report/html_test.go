package report

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

func writePage(t *testing.T, s sim.Scenario, o HTMLOptions) (file string, text []byte) {
	t.Helper()
	var out bytes.Buffer
	h := NewHTML(&out, &s, o)
	run, err := sim.New(s, sim.Options{Seed: o.Seed, Observe: h.Observe, Trace: HTMLTrace})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Run()
	if err := h.Finish(&r); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file, out.Bytes()
}

// busy is a hub with spokes behind lines that lose, which all send much.
func busy() sim.Scenario {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	line := sim.Line{Latency: 9 * time.Millisecond, Jitter: 9 * time.Millisecond, Loss: sim.Percent(1)}
	s := sim.Scenario{Name: "busy", About: "</script><script>throw 'escape'</script> & as much as a page holds",
		Duration: 10 * time.Minute,
		Networks: []sim.Network{{Name: "centre", Prefix: prefix("203.0.113.0/24"), Up: line, Down: line}},
		Hosts:    []sim.Host{{Name: "hub", Network: "centre", Inner: []netip.Addr{addr("10.0.0.1")}}},
		Faults: []sim.Fault{{Name: "storm", From: 2 * time.Minute, Until: 150 * time.Second,
			Rule: sim.Lose{Ratio: sim.Percent(30)}}}}
	for i := range 5 {
		name := fmt.Sprintf("spoke-%d", i+1)
		s.Hosts[0].Peers = append(s.Hosts[0].Peers, sim.Peer{Host: name})
		s.Hosts = append(s.Hosts, sim.Host{Name: name, Network: "centre",
			Inner: []netip.Addr{addr(fmt.Sprintf("10.0.0.%d", i+2))}, Peers: []sim.Peer{{Host: "hub", Endpoint: "hub"}}})
		s.Flows = append(s.Flows, sim.Flow{Kind: sim.FlowUDP, From: name, To: "hub", Interval: 60 * time.Millisecond})
	}
	return s
}

// dataOf reads back what the scripts of a page are given.
func dataOf(t *testing.T, page []byte) (p pageJSON) {
	t.Helper()
	_, rest, ok := bytes.Cut(page, []byte(`<script id="data" type="application/json">`))
	data, _, closed := bytes.Cut(rest, []byte("</script>"))
	if !ok || !closed {
		t.Fatal("the page has no data")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// numbers reads a column back.
func numbers(t *testing.T, column string, n int) []uint64 {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(column)
	if err != nil {
		t.Fatal(err)
	}
	var list []uint64
	for len(b) > 0 {
		v, k := binary.Uvarint(b)
		if k <= 0 {
			t.Fatal("a number is cut")
		}
		list, b = append(list, v), b[k:]
	}
	if len(list) != n {
		t.Fatalf("%d numbers in a column of %d rows", len(list), n)
	}
	return list
}

// census counts the rows of a page by kind and fate, and checks that they are in the order of time.
func census(t *testing.T, p *pageJSON) map[string]int {
	t.Helper()
	kinds, fates := numbers(t, p.Columns.Kind, p.Rows), numbers(t, p.Columns.Fate, p.Rows)
	count := map[string]int{}
	for i := range kinds {
		count[p.Strings[kinds[i]]+" "+p.Strings[fates[i]]]++
	}
	var at int64
	for _, d := range numbers(t, p.Columns.At, p.Rows) {
		if at += int64(d); at < 0 || at > p.Head.Duration {
			t.Fatalf("a row at %d", at)
		}
	}
	return count
}

func roaming(t *testing.T) sim.Scenario {
	t.Helper()
	return stored(t, "roaming")
}

// The page has each datagram once with its fate, as the result counts them, and the same run is the same page.
func TestPageIsTheRun(t *testing.T) {
	s := roaming(t)
	_, text := writePage(t, s, HTMLOptions{Seed: 7, Command: "wgsim run --seed 7"})
	_, again := writePage(t, s, HTMLOptions{Seed: 7, Command: "wgsim run --seed 7"})
	if !bytes.Equal(text, again) {
		t.Error("the same seed, another page")
	}
	_, other := writePage(t, s, HTMLOptions{Seed: 8, Command: "wgsim run --seed 7"})
	if bytes.Equal(text, other) {
		t.Error("another seed, the same page")
	}
	p := dataOf(t, text)
	if p.Head.Seed != 7 || p.Command != "wgsim run --seed 7" || p.Sampling != 1 || p.Omitted != 0 ||
		len(p.Moves) < 10 {
		t.Errorf("seed %d, command %q, sampling %d, %d omitted, %d moves", p.Head.Seed, p.Command, p.Sampling, p.Omitted,
			len(p.Moves))
	}
	rows := census(t, &p)
	for _, f := range p.Result.Fates {
		n := 0
		for _, kind := range []string{"initiation", "response", "cookie-reply", "transport", "keepalive", "junk"} {
			n += rows[kind+" "+f.Name]
		}
		if uint64(n) != f.Count {
			t.Errorf("%d datagrams %s in the page, %d in the result", n, f.Name, f.Count)
		}
	}
	for _, kind := range []string{"timer fired", "timer cancelled", "packet delivered", "key-slot ", "roamed ",
		"action "} {
		if rows[kind] == 0 {
			t.Errorf("no row of %s", kind)
		}
	}
	for _, secret := range []string{"PRIVATE", "PRESHARED", "EPHEMERAL"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s is in the page", secret)
		}
	}
}

// A run that is too long for its page is sampled: nothing but delivered data and cancelled timers gets fewer.
func TestPageIsBounded(t *testing.T) {
	s := roaming(t)
	_, text := writePage(t, s, HTMLOptions{Seed: 7})
	_, small := writePage(t, s, HTMLOptions{Seed: 7, MaxEvents: 2000})
	whole, p := dataOf(t, text), dataOf(t, small)
	if p.Rows > 2000 || p.Sampling < 2 || p.Omitted != 0 {
		t.Fatalf("%d rows, 1 of %d, %d omitted", p.Rows, p.Sampling, p.Omitted)
	}
	all, some := census(t, &whole), census(t, &p)
	for kind, n := range all {
		common := kind == "transport delivered" || kind == "keepalive delivered" || kind == "packet delivered" ||
			kind == "timer cancelled"
		if !common && some[kind] != n {
			t.Errorf("%d of %d rows of %s are left", some[kind], n, kind)
		}
		if expect := n / int(p.Sampling); common && n > 1000 && (some[kind] < expect/2 || some[kind] > expect*2) {
			t.Errorf("%d of %d rows of %s are left: this is not 1 of %d", some[kind], n, kind, p.Sampling)
		}
	}
	_, tiny := writePage(t, busy(), HTMLOptions{Seed: 7, MaxEvents: leastEvents})
	if p := dataOf(t, tiny); p.Rows > leastEvents || p.Omitted == 0 {
		t.Errorf("%d rows, %d omitted", p.Rows, p.Omitted)
	}
}

// What only the page asks for changes nothing for the others.
func TestOthersDoNotSeeTheTrace(t *testing.T) {
	write := func(trace protocol.EventMask, behind func(func(*sim.Record)) func(*sim.Record)) (string, string) {
		var whole, lines bytes.Buffer
		s := roaming(t)
		j, l := NewJSON(&whole, &s, 3), NewEvents(&lines)
		run, err := sim.New(s, sim.Options{Seed: 3, Trace: trace, Observe: behind(func(r *sim.Record) {
			j.Observe(r)
			l.Observe(r)
		})})
		if err != nil {
			t.Fatal(err)
		}
		r := run.Run()
		if err := errors.Join(j.Finish(&r), l.Finish()); err != nil {
			t.Fatal(err)
		}
		return whole.String(), lines.String()
	}
	same := func(o func(*sim.Record)) func(*sim.Record) { return o }
	whole, lines := write(0, same)
	traced, tracedLines := write(HTMLTrace, WithoutTimers)
	if whole != traced || lines != tracedLines {
		t.Error("a page beside them changes the JSON")
	}
	if open, _ := write(HTMLTrace, same); open == whole {
		t.Error("the trace adds nothing, so this test shows nothing")
	}
	n := 0
	for line := range strings.Lines(lines) {
		var e jsonEvent
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		if e.Kind == "datagram" && (e.Message == "" || e.Datagram == 0 || e.Bytes == 0) {
			t.Fatalf("a datagram without its message: %s", line)
		}
		if e.Kind == "secrets" || e.Kind == "key-log" {
			t.Fatalf("a secret: %s", line)
		}
		n++
	}
	if n < 5000 {
		t.Errorf("%d events", n)
	}
}

func readBack(t *testing.T, seed uint64, s sim.Scenario) *Run {
	t.Helper()
	var out bytes.Buffer
	j := NewJSON(&out, &s, seed)
	run, err := sim.New(s, sim.Options{Seed: seed, Observe: j.Observe})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Run()
	if err := j.Finish(&r); err != nil {
		t.Fatal(err)
	}
	back, err := ReadRun(&out)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestPageComparesTwoRuns(t *testing.T) {
	s := roaming(t)
	_, text := writePage(t, s, HTMLOptions{Seed: 7, Against: readBack(t, 7, s)})
	if v := dataOf(t, text).Versus; v == nil || !v.Same || v.First != nil || v.Here+v.There != 0 || v.Both == 0 {
		t.Errorf("a run is not as itself: %+v", v)
	}
	changed := s
	changed.Timeline = s.Timeline[:len(s.Timeline)-1]
	last := s.Timeline[len(s.Timeline)-1]
	_, text = writePage(t, s, HTMLOptions{Seed: 7, Against: readBack(t, 7, changed)})
	p := dataOf(t, text)
	v := p.Versus
	if v.Same || v.First == nil || v.First.At < int64(last.At) || v.First.Here == v.First.There || v.Here == 0 ||
		v.Both == 0 {
		t.Errorf("without the action at %s: %+v", last.At, v)
	}
	if uint64(len(v.OnlyThere)) != min(v.There, mostGhosts) {
		t.Errorf("%d of %d events of the other run", len(v.OnlyThere), v.There)
	}
	var only uint64
	for _, flag := range numbers(t, p.Columns.Flag, p.Rows) {
		only += flag & flagOnly / flagOnly
	}
	if only == 0 || only > v.Here {
		t.Errorf("%d rows are marked, of %d events", only, v.Here)
	}
}

func TestReadRunRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, say string }{
		"nothing":       {"", "does not start"},
		"a list":        {"[]", "does not start"},
		"something":     {`{"version":1}`, "digest"},
		"a later one":   {`{"version":2,"digest":"x"}`, "version 1"},
		"half a file":   {`{"version":1,"events":[{"seq":1}`, "broken at byte"},
		"a wrong list":  {`{"events":{}}`, "events is no list"},
		"a wrong field": {`{"version":1,"digest":"x","tunnels":7}`, "tunnels"},
	} {
		if _, err := ReadRun(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.say)
		}
	}
}

func TestPageGivesTheErrorOfWriting(t *testing.T) {
	h := NewHTML(broken{}, smallWorld(), HTMLOptions{})
	if err := h.Finish(someResult()); !errors.Is(err, errBroken) {
		t.Errorf("got error %v", err)
	}
}

// A timer is one row from being set to being done with.
func TestTimerIsOneRow(t *testing.T) {
	h := NewHTML(&bytes.Buffer{}, smallWorld(), HTMLOptions{})
	record := func(at time.Duration, kind protocol.EventKind, deadline time.Duration) {
		h.Observe(&sim.Record{Seq: 9, At: timers.Time(at), Kind: sim.KindCore, Host: "office", Peer: "laptop",
			Event: protocol.Event{Kind: kind, Timer: timers.NewHandshake, Deadline: timers.Time(deadline)}})
	}
	record(1, protocol.EventTimerArmed, 15)
	record(2, protocol.EventTimerArmed, 17)
	record(17, protocol.EventTimerFired, 17)
	record(18, protocol.EventTimerCancelled, 0) // nothing runs
	record(20, protocol.EventTimerArmed, 35)
	if len(h.rows.list) != 2 {
		t.Fatalf("%d rows", len(h.rows.list))
	}
	got := h.rows.list[0]
	want := []any{int64(1), int64(17), uint64(1), uint64(17), "fired", "TIMER-16"}
	have := []any{got.at, got.end, got.m, got.n, h.rows.strings.list[got.fate], h.rows.strings.list[got.note]}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("got %v, want %v", have, want)
	}
	if running := h.rows.list[1]; running.end != open || running.id != 2 {
		t.Errorf("the one that runs: %+v", running)
	}
}

// The names of messages are the core's, and so are their sizes.
func TestMessagesAreTheProtocols(t *testing.T) {
	sizes := map[wire.Type]int{wire.TypeInitiation: wire.InitiationSize, wire.TypeResponse: wire.ResponseSize,
		wire.TypeCookieReply: wire.CookieReplySize, wire.TypeTransport: wire.TransportMinSize + 16}
	for kind, size := range sizes {
		b := make([]byte, size)
		b[0] = byte(kind)
		at := 4
		if kind == wire.TypeResponse {
			at = 8 // behind the sender's
		}
		binary.LittleEndian.PutUint32(b[at:], 0x1a2b3c4d)
		if name, index := message(b); name != kind.String() || index != 0x1a2b3c4d {
			t.Errorf("%s is taken for %s with the index %#x", kind, name, index)
		}
		if name, _ := message(b[:len(b)-17]); name != "junk" {
			t.Errorf("%s that is too short is taken for %s", kind, name)
		}
	}
	if name, _ := message(append([]byte{4}, make([]byte, 31)...)); name != "keepalive" {
		t.Errorf("a keepalive is taken for %s", name)
	}
	for _, b := range [][]byte{nil, {0}, {5, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 148)} {
		if name, _ := message(b); name != "junk" {
			t.Errorf("%x is taken for %s", b, name)
		}
	}
}
