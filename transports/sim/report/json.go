package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// SchemaVersion is the number in the field "version". It goes up when a field goes away or changes its meaning, not
// when one is added.
const SchemaVersion = 1

// JSON writes a run as one JSON object; see the package documentation for its fields. It is an observer: give
// Observe all records, then the result to Finish. Events are written as they come, one per line, so that a long run
// needs no memory.
type JSON struct {
	w      io.Writer
	start  timers.Time
	digest hash.Hash
	buf    bytes.Buffer
	enc    *json.Encoder
	first  bool
	err    error
}

type jsonHead struct {
	Version  int        `json:"version"`
	Seed     uint64     `json:"seed"`
	Scenario string     `json:"scenario"`
	About    string     `json:"about,omitempty"`
	Duration int64      `json:"duration_ns"`
	Wall     string     `json:"wall"`
	Networks []jsonLine `json:"networks"`
}

type jsonLine struct {
	Name   string   `json:"name"`
	Prefix string   `json:"prefix"`
	NAT    string   `json:"nat,omitempty"`
	Hosts  []string `json:"hosts"`
}

type jsonEvent struct {
	Seq       uint64     `json:"seq"`
	At        int64      `json:"at_ns"`
	Kind      string     `json:"kind"`
	Host      string     `json:"host,omitempty"`
	Peer      string     `json:"peer,omitempty"`
	Action    string     `json:"action,omitempty"`
	Note      string     `json:"note,omitempty"`
	Cause     string     `json:"cause,omitempty"`
	Attempt   int        `json:"attempt,omitempty"`
	Initiator bool       `json:"initiator,omitempty"`
	Under     bool       `json:"under,omitempty"`
	Timer     string     `json:"timer,omitempty"`
	Deadline  int64      `json:"deadline_ns,omitempty"`
	From      string     `json:"from,omitempty"`
	To        string     `json:"to,omitempty"`
	Local     uint32     `json:"local,omitempty"`
	Remote    uint32     `json:"remote,omitempty"`
	Endpoint  string     `json:"endpoint,omitempty"`
	Previous  string     `json:"previous,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Rule      string     `json:"rule,omitempty"`
	Bytes     int        `json:"bytes,omitempty"`
	Datagram  uint64     `json:"datagram,omitempty"`
	Original  uint64     `json:"original,omitempty"`
	Fate      string     `json:"fate,omitempty"`
	LostBy    string     `json:"lost_by,omitempty"`
	Attack    string     `json:"attack,omitempty"`
	Damaged   bool       `json:"damaged,omitempty"`
	Src       string     `json:"src,omitempty"`
	Dst       string     `json:"dst,omitempty"`
	Inner     *jsonInner `json:"inner,omitempty"`
	Checker   string     `json:"checker,omitempty"`
	Message   string     `json:"message,omitempty"`
	Delay     int64      `json:"delay_ns,omitempty"`
}

type jsonInner struct {
	Kind  string `json:"kind"`
	Flow  string `json:"flow,omitempty"`
	Seq   uint64 `json:"seq"`
	Src   string `json:"src"`
	Dst   string `json:"dst"`
	Bytes int    `json:"bytes"`
}

// NewJSON writes the head of the object and gives an observer for the rest.
func NewJSON(w io.Writer, s *sim.Scenario, seed uint64) *JSON {
	j := &JSON{w: w, digest: sha256.New(), first: true}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	b := j.encode(headOf(s, seed))
	j.write(b[:len(b)-1]) // without its brace: the object goes on
	j.write([]byte(",\n\"events\":["))
	return j
}

// headOf tells what the run starts from.
func headOf(s *sim.Scenario, seed uint64) jsonHead {
	wall := s.Wall
	if wall.IsZero() {
		wall = sim.DefaultWall
	}
	head := jsonHead{Version: SchemaVersion, Seed: seed, Scenario: s.Name, About: s.About, Duration: int64(s.Duration),
		Wall: wall.UTC().Format(time.RFC3339Nano), Networks: []jsonLine{}}
	for i := range s.Networks {
		n := &s.Networks[i]
		l := jsonLine{Name: n.Name, Prefix: n.Prefix.String(), Hosts: []string{}}
		if n.NAT != nil {
			l.NAT = n.NAT.Public.String()
		}
		for k := range s.Hosts {
			if s.Hosts[k].Network == n.Name {
				l.Hosts = append(l.Hosts, s.Hosts[k].Name)
			}
		}
		head.Networks = append(head.Networks, l)
	}
	return head
}

// encode gives v as JSON without the newline behind it. It is good until the next call.
func (j *JSON) encode(v any) []byte {
	j.buf.Reset()
	if err := j.enc.Encode(v); err != nil && j.err == nil {
		j.err = err
	}
	return bytes.TrimRight(j.buf.Bytes(), "\n")
}

func (j *JSON) write(b []byte) {
	if j.err == nil {
		_, j.err = j.w.Write(b)
	}
}

// Observe takes the next record. All of them go into the digest, the telling ones into the list of events.
func (j *JSON) Observe(r *sim.Record) {
	if r.Kind == sim.KindStart {
		j.start = r.At
	}
	j.digestOf(r)
	e, tell := j.event(r)
	if !tell {
		return
	}
	if j.first {
		j.write([]byte("\n"))
	} else {
		j.write([]byte(",\n"))
	}
	j.first = false
	j.write(j.encode(e))
}

// digestOf makes the digest depend on the kind, time, place and bytes of each record.
func (j *JSON) digestOf(r *sim.Record) {
	var n [8]byte
	number := func(v uint64) {
		binary.LittleEndian.PutUint64(n[:], v)
		j.digest.Write(n[:])
	}
	text := func(b []byte) {
		number(uint64(len(b)))
		j.digest.Write(b)
	}
	number(r.Seq)
	number(uint64(r.At.Sub(j.start)))
	number(uint64(r.Kind)<<32 | uint64(r.Event.Kind)<<16 | uint64(r.Fate))
	text([]byte(r.Host))
	text([]byte(r.Peer))
	text([]byte(r.Src.String()))
	text([]byte(r.Dst.String()))
	text(r.Data)
	text(r.Inner.Data)
}

func (j *JSON) event(r *sim.Record) (jsonEvent, bool) {
	e := jsonEvent{Seq: r.Seq, At: int64(r.At.Sub(j.start)), Kind: r.Kind.String(), Host: r.Host, Peer: r.Peer,
		Note: r.Note}
	switch r.Kind {
	case sim.KindStart, sim.KindEnd:
	case sim.KindAction:
		e.Action = r.Action.String()
	case sim.KindCore:
		if r.Event.Kind == protocol.EventSecrets {
			return e, false
		}
		j.core(&e, &r.Event)
	case sim.KindFate:
		if r.Fate == sim.FateDelivered {
			return e, false
		}
		fate(&e, r)
	case sim.KindInnerRefused:
		e.Reason, e.Rule, e.Inner = r.Reason.String(), r.Reason.Rule(), inner(&r.Inner)
	case sim.KindViolation:
		e.Host, e.Checker, e.Note = r.Violation.Host, r.Violation.Checker, r.Violation.Text
	default:
		return e, false
	}
	return e, true
}

// core fills in what the kind of event has; the zero values of the rest are left out.
func (j *JSON) core(e *jsonEvent, c *protocol.Event) {
	e.Kind = c.Kind.String()
	if c.Cause != protocol.CauseNone {
		e.Cause = c.Cause.String()
	}
	if c.Timer != timers.None {
		e.Timer = c.Timer.String()
	}
	if c.Kind == protocol.EventKeySlot {
		e.From, e.To = c.From.String(), c.To.String()
	}
	if c.Reason != protocol.DropNone {
		e.Reason, e.Rule = c.Reason.String(), c.Reason.Rule()
	}
	if c.Deadline != 0 {
		e.Deadline = int64(c.Deadline.Sub(j.start))
	}
	e.Attempt, e.Initiator, e.Under, e.Bytes = c.Attempt, c.Initiator, c.Under, c.Length
	e.Local, e.Remote = c.Local, c.Remote
	e.Endpoint, e.Previous = address(c.Endpoint.Remote), address(c.Previous.Remote)
}

func fate(e *jsonEvent, r *sim.Record) {
	e.Datagram, e.Original, e.Fate, e.LostBy, e.To = r.Datagram, r.Original, r.Fate.String(), r.Rule, r.To
	e.Src, e.Dst, e.Damaged, e.Bytes = address(r.Src), address(r.Dst), r.Damaged, len(r.Data)
	if r.Attack != sim.AttackNone {
		e.Attack = r.Attack.String()
	}
	if r.Reason != protocol.DropNone {
		e.Reason, e.Rule = r.Reason.String(), r.Reason.Rule()
	}
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func inner(p *sim.Inner) *jsonInner {
	return &jsonInner{Kind: p.Kind.String(), Flow: p.Flow, Seq: p.Seq, Src: p.Src.String(), Dst: p.Dst.String(),
		Bytes: len(p.Data)}
}

type jsonTail struct {
	Digest       string            `json:"digest"`
	OK           bool              `json:"ok"`
	Virtual      int64             `json:"virtual_ns"`
	Datagrams    uint64            `json:"datagrams"`
	Fates        []jsonCount       `json:"fates"`
	Tunnels      []jsonTunnel      `json:"tunnels"`
	Hosts        []jsonHost        `json:"hosts"`
	Checkers     []jsonChecker     `json:"checkers"`
	Violations   []jsonViolation   `json:"violations"`
	Flows        []jsonFlow        `json:"flows"`
	Disturbances []jsonDisturbance `json:"disturbances"`
	// Expectations is left out if there are none.
	Expectations []jsonExpectation `json:"expectations,omitempty"`
}

type jsonExpectation struct {
	Text string `json:"text"`
	Met  bool   `json:"met"`
	Got  string `json:"got"`
}

type jsonCount struct {
	Name  string `json:"name"`
	Rule  string `json:"rule,omitempty"`
	Count uint64 `json:"count"`
}

type jsonTunnel struct {
	A           string        `json:"a"`
	B           string        `json:"b"`
	Handshakes  uint64        `json:"handshakes"`
	Initiations []jsonCount   `json:"initiations"`
	GaveUp      uint64        `json:"gave_up"`
	Roamed      uint64        `json:"roamed"`
	AtoB        jsonDirection `json:"a_to_b"`
	BtoA        jsonDirection `json:"b_to_a"`
}

type jsonDirection struct {
	Sent           uint64 `json:"sent"`
	Delivered      uint64 `json:"delivered"`
	Lost           uint64 `json:"lost"`
	SentBytes      uint64 `json:"sent_bytes"`
	DeliveredBytes uint64 `json:"delivered_bytes"`
	WireBytes      uint64 `json:"wire_bytes"`
	LongestOutage  int64  `json:"longest_outage_ns"`
	DelayP50       int64  `json:"delay_p50_ns"`
	DelayP90       int64  `json:"delay_p90_ns"`
	DelayP99       int64  `json:"delay_p99_ns"`
	DelayMax       int64  `json:"delay_max_ns"`
}

type jsonHost struct {
	Name  string      `json:"name"`
	Drops []jsonCount `json:"drops"`
}

type jsonChecker struct {
	Name       string `json:"name"`
	Rule       string `json:"rule"`
	Checked    uint64 `json:"checked"`
	Violations uint64 `json:"violations"`
}

type jsonViolation struct {
	At      int64  `json:"at_ns"`
	Host    string `json:"host"`
	Checker string `json:"checker"`
	Text    string `json:"text"`
}

// Finish ends the object with what the run came to, and gives the first error of all writing.
func (j *JSON) Finish(r *sim.Result) error {
	tail := tailOf(r, hex.EncodeToString(j.digest.Sum(nil)), j.start)
	j.write([]byte("\n],\n"))
	j.write(j.encode(tail)[1:]) // without its brace: the object is open
	j.write([]byte("\n"))
	return j.err
}

// tailOf tells what the run came to.
func tailOf(r *sim.Result, digest string, start timers.Time) jsonTail {
	tail := jsonTail{Digest: digest, OK: r.OK() && r.Met(), Virtual: int64(r.Virtual),
		Datagrams: r.Datagrams, Fates: []jsonCount{}, Tunnels: []jsonTunnel{}, Hosts: []jsonHost{},
		Checkers: []jsonChecker{}, Violations: []jsonViolation{}, Flows: flowsJSON(r),
		Disturbances: disturbancesJSON(r)}
	for f := range sim.NumFates {
		if r.Fates[f] > 0 {
			tail.Fates = append(tail.Fates, jsonCount{Name: f.String(), Count: r.Fates[f]})
		}
	}
	for i := range r.Tunnels {
		tail.Tunnels = append(tail.Tunnels, tunnel(&r.Tunnels[i]))
	}
	for i := range r.Hosts {
		h := jsonHost{Name: r.Hosts[i].Name, Drops: []jsonCount{}}
		for reason, n := range r.Hosts[i].Drops {
			if d := protocol.DropReason(reason); n > 0 {
				h.Drops = append(h.Drops, jsonCount{d.String(), d.Rule(), n})
			}
		}
		tail.Hosts = append(tail.Hosts, h)
	}
	for _, c := range r.Checkers {
		tail.Checkers = append(tail.Checkers, jsonChecker(c))
	}
	for _, v := range r.Violations {
		tail.Violations = append(tail.Violations, jsonViolation{int64(v.At.Sub(start)), v.Host, v.Checker, v.Text})
	}
	for _, e := range r.Expectations {
		tail.Expectations = append(tail.Expectations, jsonExpectation(e))
	}
	return tail
}

func tunnel(u *sim.TunnelResult) jsonTunnel {
	t := jsonTunnel{A: u.A, B: u.B, Handshakes: u.Handshakes, Initiations: []jsonCount{}, GaveUp: u.GaveUp,
		Roamed: u.Roamed, AtoB: oneWay(&u.AtoB, u.WireAtoB), BtoA: oneWay(&u.BtoA, u.WireBtoA)}
	for c := range protocol.NumCauses {
		if u.Initiations[c] > 0 {
			t.Initiations = append(t.Initiations, jsonCount{Name: c.String(), Count: u.Initiations[c]})
		}
	}
	return t
}

func oneWay(d *sim.DirectionSum, wire uint64) jsonDirection {
	return jsonDirection{Sent: d.Sent, Delivered: d.Delivered, Lost: d.Lost(), SentBytes: d.SentBytes,
		DeliveredBytes: d.DeliveredBytes, WireBytes: wire, LongestOutage: int64(d.LongestOutage),
		DelayP50: int64(d.Delay.P50), DelayP90: int64(d.Delay.P90), DelayP99: int64(d.Delay.P99),
		DelayMax: int64(d.Delay.Max)}
}
