package bringup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// lab is what a question has in its hands: those of a case, one peer, and a place for the diagnosis.
type lab struct {
	*conformance.T
	p         *conformance.Peer
	diagnosis **Diagnosis
}

// patience is how long a subject has for an answer that is due at once, and apart is the time between two initiations:
// more than the 20 ms of the flood rule (HS-28).
const (
	patience = 1500 * time.Millisecond
	apart    = 60 * time.Millisecond
)

// me is the tester's end.
func (l *lab) me() *peer.Party { return &l.p.Party }

// fail ends the question with its diagnosis.
func (l *lab) fail(d *Diagnosis, g *conformance.Got, expected, actual string) {
	*l.diagnosis = d
	l.FailAt(g, expected, actual)
}

// wait gives what matches and is sent to the peer, as soon as there is something or when d is over.
func (l *lab) wait(m conformance.Match, d time.Duration) []*conformance.Got {
	for end := l.Now().Add(d + l.Caps.RTT); ; l.Wait(10 * time.Millisecond) {
		if got := l.Take(m); len(got) > 0 || l.Now() >= end {
			return got
		}
	}
}

// first is the first datagram to the peer; nil: there is none.
func (l *lab) first() *conformance.Got {
	if got := l.wait(conformance.AnyDatagram.To(l.p), patience); len(got) > 0 {
		return got[0]
	}
	return nil
}

// begin sends a right initiation and gives it with the subject's answer.
func (l *lab) begin() (*peer.Initiation, *conformance.Got) {
	i := l.p.Initiate(peer.Spec{})
	l.p.Send(i.Bytes)
	return i, l.first()
}

// responded is begin for questions that come after the one whether there is a response at all.
func (l *lab) responded() (*peer.Initiation, *conformance.Got) {
	i, g := l.begin()
	if g == nil || g.Kind != peer.KindResponse {
		l.fail(nil, g, "a response, as before", l.describe(g))
	}
	return i, g
}

func (l *lab) describe(g *conformance.Got) string {
	if g == nil {
		return fmt.Sprintf("nothing within %v", patience)
	}
	return g.String()
}

// index draws one.
func (l *lab) index() uint32 {
	var b [4]byte
	if _, err := io.ReadFull(l.Random, b[:]); err != nil {
		l.Broken("no randomness: %v", err)
	}
	return binary.LittleEndian.Uint32(b[:])
}

// A probe is a message with a mistake in it: whoever answers it makes the same one.
type probe struct {
	diagnosis *Diagnosis
	bytes     []byte
	index     uint32
	tunnel    *tunnel // of a response: what the tester receives with
}

// fresh begins an exchange of the tester's: what all probes of one question share.
func (l *lab) fresh() exchange {
	me := l.me()
	e := peer.NewPair(l.Random)
	return exchange{si: me.Static.Public, sr: me.Remote, ei: e.Public, psk: me.PSK, es: product(e.Private, me.Remote),
		ss: product(me.Static.Private, me.Remote)}
}

// initiationProbe makes an initiation with mistakes.
func (l *lab) initiationProbe(x exchange, m mistakes, r macRule) *probe {
	me := l.me()
	index := l.index()
	now := l.p.Timestamp()
	x.stamp = m.timestamp(now)
	wrong := &ladder{mistakes: m}
	wrong.initiation(&x)
	b := append(m.header(peer.KindInitiation, index), x.ei[:]...)
	b = append(append(append(b, x.static...), x.when...), make([]byte, 32)...)
	b = r.apply(b, me.Static.Public, me.Remote)
	made := x
	made.static, made.when, made.stamp = nil, nil, now[:]
	right := climb(nil, made, false)
	return &probe{diagnosis: l.probed(m, r, b, right.steps, wrong.steps), bytes: b, index: index}
}

// responseProbe makes a response with mistakes to an initiation of the subject.
func (l *lab) responseProbe(initiation []byte, m mistakes, r macRule) *probe {
	me := l.me()
	index, e := l.index(), peer.NewPair(l.Random)
	x := asResponder(me, initiation, e)
	wrong := &ladder{}
	wrong.initiation(&x)
	wrong.mistakes = m
	wrong.response(&x)
	b := append(m.header(peer.KindResponse, index, peer.Sender(initiation)), x.er[:]...)
	b = append(append(b, x.empty...), make([]byte, 32)...)
	b = r.apply(b, me.Static.Public, me.Remote)
	x.empty = nil
	right := climb(nil, x, true)
	keys := wrong.steps[len(wrong.steps)-1]
	return &probe{diagnosis: l.probed(m, r, b, right.steps, wrong.steps), bytes: b, index: index,
		tunnel: &tunnel{key: peer.Key(keys.T1), back: peer.Key(keys.T2), single: peer.Key(keys.T1)}}
}

// probed is the diagnosis if this probe is the one that is answered.
func (l *lab) probed(m mistakes, r macRule, b []byte, right, wrong []Step) *Diagnosis {
	const evidence = "it takes a message with this mistake in it, and not the right one"
	me := l.me()
	if m != nil {
		d := named(m, evidence)
		d.Parting, d.Steps = parting(right, wrong), right
		if m[0] == "timestamp-little-endian" || m[0] == "timestamp-unix" || m[0] == "timestamp-milliseconds" {
			d.Cause = "its reading of the timestamp: " + d.Cause
		}
		d.Probe = true
		return d.of(b)
	}
	code, text := r.diagnosis("mac1", mac1At(len(b)))
	at := mac1At(len(b))
	zero := macRule{}
	want := zero.sum(zero.macKey(me.Static.Public, me.Remote), b[:at])
	return (&Diagnosis{Codes: []string{code}, Cause: "its check of mac1: " + text, Evidence: evidence,
		Rules: []string{"COOKIE-01", "CRYPTO-03", "CRYPTO-05"}, Probe: true,
		Parting: &Parting{Step: "mac1", Formula: `mac1 = M(H("mac1----" ‖ public key of the receiver), message before mac1)`,
			Name: "mac1", Expected: want, Actual: bytes.Clone(b[at : at+16])}}).of(b)
}

// probeInitiations sends an initiation with each of the known mistakes and gives the diagnosis of the one that the
// subject answers; nil: of none.
func (l *lab) probeInitiations() *Diagnosis {
	sent, x := map[uint32]*probe{}, l.fresh()
	send := func(p *probe) {
		sent[p.index] = p
		l.p.Send(p.bytes)
		l.Wait(apart)
	}
	for _, c := range in(inStart, inTimestamp) {
		send(l.initiationProbe(x, mistakes{c.Code}, macRule{}))
	}
	send(l.initiationProbe(x, mistakes{"type-big-endian"}, macRule{}))
	for _, r := range macProbes(mac1At(peer.InitiationLength)) {
		send(l.initiationProbe(x, nil, r))
	}
	// Another hash is likely to be another one throughout.
	send(l.initiationProbe(x, mistakes{"hash-sha256"}, macRule{keyKind: "SHA-256"}))
	send(l.initiationProbe(x, mistakes{"hash-blake2b"}, macRule{keyKind: "BLAKE2b", function: "BLAKE2b"}))
	send(l.initiationProbe(x, mistakes{"hash-blake2b"}, macRule{keyKind: "BLAKE2b"}))
	for _, g := range l.wait(conformance.AnyDatagram.To(l.p), patience) {
		if p := answered(g.Bytes, sent); p != nil {
			return p.diagnosis
		}
	}
	return nil
}

// answered looks for the index of a probe where a message has its receiver index, or its sender's, in either order.
func answered(b []byte, sent map[uint32]*probe) *probe {
	for at := 4; at+4 <= min(len(b), 12); at += 4 {
		i := binary.LittleEndian.Uint32(b[at:])
		for _, index := range []uint32{i, swap32(i)} {
			if p := sent[index]; p != nil {
				return p
			}
		}
	}
	return nil
}

// probeResponses answers the initiation of the subject with each of the known mistakes and gives the diagnosis of the
// one that it takes; nil: none.
func (l *lab) probeResponses(initiation []byte) *Diagnosis {
	sent := map[uint32]*probe{}
	send := func(p *probe) {
		sent[p.index] = p
		l.p.Send(p.bytes)
	}
	for _, c := range in(inResponse, inStart) {
		if p := l.responseProbe(initiation, mistakes{c.Code}, macRule{}); p.diagnosis.Parting != nil {
			send(p)
		}
	}
	for _, c := range in(inHeader) {
		send(l.responseProbe(initiation, mistakes{c.Code}, macRule{}))
	}
	for _, r := range macProbes(mac1At(peer.ResponseLength)) {
		send(l.responseProbe(initiation, nil, r))
	}
	for _, g := range l.wait(conformance.AnyDatagram.To(l.p), patience) {
		if len(g.Bytes) > 0 && g.Bytes[0] == byte(peer.KindInitiation) {
			continue
		}
		if p := answered(g.Bytes, sent); p != nil {
			return p.diagnosis
		}
	}
	return nil
}
