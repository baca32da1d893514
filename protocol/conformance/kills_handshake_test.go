package conformance_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

var (
	answersTwice  = wrap("answers-twice", mangle{out: answerTwice})
	answersNobody = wrap("answers-nobody", mangle{out: editing(2, func(_ *mangled, d *conformance.SentDatagram) {
		d.Bytes[8] ^= 1 // the receiver index
	})})
	takesAnyResponse = wrap("takes-any-response", mangle{out: notesInitiations, in: func(m *mangled,
		d conformance.Datagram) []conformance.Datagram {
		if key := "open " + d.Remote.String(); kind(d, 2, peer.ResponseLength) {
			if m.memory[key] == 0 {
				m.say(d, append([]byte{4}, make([]byte, 31)...), 0)
			}
			m.memory[key] = 0
		}
		return []conformance.Datagram{d}
	}})
	stepsBack = remade("steps-back", func(n int, at time.Time) peer.Timestamp {
		return peer.TAI64N(at.Add(-time.Hour * time.Duration(n)))
	})
)

// notesInitiations remembers which initiations of the subject are under way, by address.
func notesInitiations(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 1 {
		r := d.Remote.String()
		m.memory["open "+r] = 1
		m.memory["sent at "+r] = int(m.Now())
		m.memory["older "+r+" "+string(m.store()["index "+r])] = 1
		m.store()["index "+r] = bytes.Clone(d.Bytes[4:8])
	}
	return kept(d)
}

// notesResponses remembers where responses went.
func notesResponses(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 2 {
		m.memory["responded "+d.Remote.String()] = 1
	}
	return kept(d)
}

var handshakeKills = killers{
	"handshake/response/answers/*": {answersTwice, answersNobody},
	"handshake/session/carries-data/*": {wrap("delivers-nothing", mangle{
		packetOut: func(*mangled, conformance.SentPacket) []conformance.SentPacket { return nil }})},
	"handshake/response/to-the-source/*":    {core("no-roam")},
	"handshake/response/families-in-turn":   {wrap("short-addresses", mangle{out: editing(2, shortAddress)})},
	"handshake/response/fresh-index":        {wrap("one-index-per-peer", mangle{out: oneIndex, in: realIndex})},
	"handshake/response/several":            {wrap("forgets-the-third", mangle{in: forgetsThird})},
	"handshake/refuse/stranger":             {replying("answers-strangers", isStranger).knowing()},
	"handshake/refuse/impostor":             {answersUnreadable},
	"handshake/refuse/changed":              {answersUnreadable},
	"handshake/refuse/leaves-no-trace":      {countsUnreadable()},
	"handshake/refuse/many":                 {losing("gives-up-after-40-errors", afterErrors)},
	"handshake/refuse/without-own-key":      {wrap("never-without-key", mangle{change: keepsKey})},
	"handshake/flood/within-20-ms":          {core("no-flood-limit")},
	"handshake/flood/after-20-ms":           {wrap("three-responses-in-100-ms", mangle{out: slowsDown})},
	"handshake/confirm/not-before":          {core("confirm-early")},
	"handshake/confirm/old-session-goes-on": {core("confirm-early")},
	"handshake/confirm/keepalive":           {core("keepalive-no-confirm")},
	"handshake/confirm/counter-zero": {wrap("zero-is-no-counter", mangle{out: notesResponses, in: func(m *mangled,
		d conformance.Datagram) []conformance.Datagram {
		if kind(d, 4, peer.TransportOverhead+1) && counterOf(d.Bytes) == 0 && m.memory["responded "+d.Remote.String()] != 0 {
			return nil
		}
		return []conformance.Datagram{d}
	}})},
	"handshake/confirm/flushes":                      {core("no-flush-on-confirm")},
	"handshake/confirm/flushes-after-own-initiation": {core("no-flush-on-confirm")},
	"handshake/confirm/nothing-waits": {wrap("talks-after-confirmation", saying(func(_ *mangled,
		d conformance.Datagram) bool {
		return kind(d, 4, 0) && len(d.Bytes) == peer.TransportOverhead && counterOf(d.Bytes) == 0
	}, func(m *mangled, d conformance.Datagram) {
		for range 2 {
			m.say(d, append([]byte{4}, make([]byte, 31)...), 1700*time.Millisecond)
		}
	}))},
	"handshake/confirm/empty-queue":               {wrap("begins-at-counter-1", mangle{out: noCounterZero})},
	"handshake/confirm/empty-queue-after-silence": {core("no-confirmation")},
	"handshake/confirm/by-the-queue": {wrap("loses-the-first-of-three", mangle{
		packetIn: countsPackets, out: losesFirst})},
	"handshake/confirm/no-empty-message":        {core("extra-keepalive")},
	"handshake/confirm/one-initiator-at-a-time": {core("no-initiation-limit")},

	"handshake/initiate/at-once/*": {wrap("hesitates-for-ipv6", mangle{
		packetIn: func(m *mangled, b []byte) [][]byte {
			if m.memory["hesitate"] = 0; b[0]>>4 == 6 {
				m.memory["hesitate"] = 1
			}
			return [][]byte{b}
		},
		out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			if d.Bytes[0] == 1 && m.memory["hesitate"] != 0 {
				return delayed(d, 500*time.Millisecond)
			}
			return kept(d)
		}})},
	"handshake/initiate/retries-differ": {core("reuse-ephemeral"), wrap("repeats-itself", mangle{out: editing(1,
		func(m *mangled, d *conformance.SentDatagram) {
			key := "first " + d.Remote.String()
			if m.store()[key] == nil {
				m.store()[key] = d.Bytes
			}
			d.Bytes = m.store()[key]
		})})},
	"handshake/initiate/spacing":                   {core("no-initiation-limit")},
	"handshake/initiate/fresh-timestamp-and-index": {core("reuse-ephemeral")},

	"handshake/accept/wrong-index": {wrap("ignores-receiver-index", mangle{out: notesInitiations, in: func(m *mangled,
		d conformance.Datagram) []conformance.Datagram {
		index := m.store()["index "+d.Remote.String()]
		if kind(d, 2, peer.ResponseLength) && index != nil && !bytes.Equal(d.Bytes[8:12], index) {
			d.Bytes = bytes.Clone(d.Bytes)
			copy(d.Bytes[8:], index)
			m.remac(d.Bytes)
		}
		return []conformance.Datagram{d}
	}})},
	"handshake/accept/unasked":         {takesAnyResponse},
	"handshake/accept/once":            {takesAnyResponse},
	"handshake/accept/after-forgeries": {core("failed-response-clears")},
	"handshake/accept/wrong-mac1":      {core("skip-mac1")},
	"handshake/accept/late": {wrap("impatient", mangle{out: notesInitiations, in: func(m *mangled,
		d conformance.Datagram) []conformance.Datagram {
		sent := m.memory["sent at "+d.Remote.String()]
		if kind(d, 2, 0) && time.Duration(m.Now())-time.Duration(sent) > 2*time.Second {
			return nil
		}
		return []conformance.Datagram{d}
	}})},
	"handshake/accept/superseded": {wrap("keeps-older-initiations", mangle{out: notesInitiations, in: takesOlder})},
	"handshake/accept/roams-when-authentic": {core("no-roam"), wrap("counts-any-response", mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if kind(d, 2, peer.ResponseLength) {
				m.memory["responses"]++
			}
			return []conformance.Datagram{d}
		},
		state: func(m *mangled, s *conformance.State) {
			for i := range s.Peers {
				s.Peers[i].Received += uint64(m.memory["responses"] * peer.ResponseLength)
			}
		}})},
	"handshake/crossing/own-is-dropped":           {core("keep-own-initiation")},
	"handshake/crossing/replay-is-no-crossing":    {wrap("replay-clears", mangle{in: replayClears})},
	"handshake/crossing/converges":                {wrap("gives-up-on-crossing", mangle{in: notesCrossing, out: givesUp})},
	"handshake/crossing/converges-on-a-slow-path": {core("crossing-stall")},
	"handshake/crossing/overtaken-response": {wrap("works-on-responses-first", mangle{out: notesInitiations,
		in: responsesFirst})},
}

func init() {
	for pattern, list := range timestampKills {
		handshakeKills[pattern] = list
	}
}

var timestampKills = killers{
	"handshake/timestamp/replay": {core("ignore-timestamp"), losing("coarse-comparison", func(m *mangled,
		d conformance.Datagram) bool {
		r := m.read(d.Bytes)
		if r == nil {
			return false
		}
		key := "greatest " + string(r.Static[:])
		same := bytes.Equal(m.store()[key], r.Timestamp[:9])
		m.store()[key] = r.Timestamp[:9]
		return same
	})},
	"handshake/timestamp/no-clock": {losing("compares-clocks", func(m *mangled, d conformance.Datagram) bool {
		r := m.read(d.Bytes)
		if r == nil {
			return false
		}
		off := r.Timestamp.Time().Sub(m.setup.Wall)
		return off > 50*365*24*time.Hour || off < -20*365*24*time.Hour
	})},
	"handshake/timestamp/per-peer": {losing("one-timestamp-for-all", func(m *mangled, d conformance.Datagram) bool {
		r := m.read(d.Bytes)
		if r == nil {
			return false
		}
		old := m.store()["greatest"]
		if bytes.Compare(r.Timestamp[:8], old) < 0 {
			return true
		}
		m.store()["greatest"] = r.Timestamp[:8]
		return false
	})},
	"handshake/timestamp/survives-rekey": {core("forget-timestamp-on-rekey")},
	"handshake/timestamp/survives-down": {replying("forgets-when-down", func(m *mangled, d conformance.Datagram) bool {
		_, seen := again(m, d)
		return seen && m.memory["down"] != 0
	}).with(mangle{change: func(m *mangled, c *conformance.Change) {
		if c.Up != nil && !*c.Up {
			m.memory["down"] = 1
		}
	}})},
	"handshake/timestamp/survives-erasure": {replying("forgets-after-540-s", func(m *mangled,
		d conformance.Datagram) bool {
		before, seen := again(m, d)
		return seen && before > 540*time.Second
	})},
	"handshake/timestamp/forgotten-with-the-peer": {losing("never-takes-back", func(m *mangled,
		d conformance.Datagram) bool {
		r := m.read(d.Bytes)
		return r != nil && m.memory["removed "+string(r.Static[:])] != 0
	}).with(mangle{change: func(m *mangled, c *conformance.Change) {
		for _, p := range c.Peers {
			if p.Remove {
				m.memory["removed "+string(p.PublicKey[:])] = 1
			}
		}
	}})},
	"handshake/timestamp/forgotten-by-restart": {losing("deaf-after-restart", func(m *mangled,
		d conformance.Datagram) bool {
		return kind(d, 1, 0) && m.memory["restarted"] != 0
	}).with(mangle{restart: func(m *mangled) error {
		m.memory["restarted"] = 1
		return m.Subject.Restart(m.Now(), time.Time{})
	}})},
	"handshake/timestamp/form": {core("timestamp-offset"), remade("nanoseconds-overflow", func(n int,
		at time.Time) peer.Timestamp {
		ts := peer.TAI64N(at.Add(time.Duration(n)))
		binary.BigEndian.PutUint32(ts[8:], 1_000_000_000+uint32(n))
		return ts
	})},
	"handshake/timestamp/epoch":          {core("timestamp-offset")},
	"handshake/timestamp/rises":          {stepsBack},
	"handshake/timestamp/coarse":         {core("precise-timestamp")},
	"handshake/timestamp/clock-set-back": {stepsBack},
}

// with adds a hook to a wrapper that has others.
func (b bad) with(m mangle) bad {
	if m.change != nil {
		b.change = m.change
	}
	if m.restart != nil {
		b.restart = m.restart
	}
	return b
}

func (b bad) knowing() bad { return b.with(mangle{change: knows}) }

// answerTwice sends every response twice.
func answerTwice(_ *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 2 {
		return []conformance.SentDatagram{d, d}
	}
	return kept(d)
}

// shortAddress sends each third response over IPv6 to an address of which only the beginning is right.
func shortAddress(m *mangled, d *conformance.SentDatagram) {
	if !d.Remote.Addr().Is6() {
		return
	}
	if m.memory["six"]++; m.memory["six"]%3 == 0 {
		a := d.Remote.Addr().As16()
		clear(a[8:])
		d.Remote = netip.AddrPortFrom(netip.AddrFrom16(a), d.Remote.Port())
	}
}

// oneIndex shows one index per address, behind which realIndex finds the newest.
func oneIndex(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 2 {
		m.store()["real "+d.Remote.String()] = bytes.Clone(d.Bytes[4:8])
		d.Bytes = bytes.Clone(d.Bytes)
		binary.LittleEndian.PutUint32(d.Bytes[4:], 1<<24+uint32(d.Remote.Port()))
	}
	return kept(d)
}

func realIndex(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if real := m.store()["real "+d.Remote.String()]; kind(d, 4, 16) && real != nil &&
		peer.Receiver(d.Bytes) == 1<<24+uint32(d.Remote.Port()) {
		d.Bytes = bytes.Clone(d.Bytes)
		copy(d.Bytes[4:], real)
	}
	return []conformance.Datagram{d}
}

// forgetsThird takes no data after three initiations in a row.
func forgetsThird(m *mangled, d conformance.Datagram) []conformance.Datagram {
	key := "row " + d.Remote.String()
	switch {
	case kind(d, 1, 0):
		m.memory[key]++
	case kind(d, 4, 0) && m.memory[key] == 3:
		return nil
	}
	return []conformance.Datagram{d}
}

func isStranger(m *mangled, d conformance.Datagram) bool {
	r := m.read(d.Bytes)
	return r != nil && m.memory["peer "+string(r.Static[:])] == 0
}

func countsUnreadable() bad {
	return wrap("counts-before-authentication", mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if unreadable(m, d) {
				m.memory["unreadable"] += peer.InitiationLength
			}
			return []conformance.Datagram{d}
		},
		state: func(m *mangled, s *conformance.State) {
			for i := range s.Peers {
				s.Peers[i].Received += uint64(m.memory["unreadable"])
			}
		}})
}

func afterErrors(m *mangled, d conformance.Datagram) bool {
	if !kind(d, 1, peer.InitiationLength) || len(d.Bytes) != peer.InitiationLength {
		return false
	}
	if !peer.CheckMAC1(d.Bytes, m.own().Public) || m.read(d.Bytes) == nil {
		m.memory["errors"]++
	}
	return m.memory["errors"] > 40
}

func keepsKey(_ *mangled, c *conformance.Change) {
	if c.PrivateKey != nil && *c.PrivateKey == (conformance.Key{}) {
		c.PrivateKey = nil
	}
}

// slowsDown sends no fourth response to an address within 100 ms.
func slowsDown(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] != 2 {
		return kept(d)
	}
	n := m.memory["responses "+d.Remote.String()]
	m.memory["responses "+d.Remote.String()]++
	at := func(n int) string { return fmt.Sprint("response ", n, " ", d.Remote) }
	m.memory[at(n)] = int(m.Now())
	if n >= 3 && time.Duration(m.Now())-time.Duration(m.memory[at(n-3)]) < 100*time.Millisecond {
		return nil
	}
	return kept(d)
}

// countsPackets and losesFirst lose the first message of a session if exactly three packets waited for it.
func countsPackets(m *mangled, b []byte) [][]byte {
	m.memory["waiting"]++
	return [][]byte{b}
}

func losesFirst(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] != 4 {
		return kept(d)
	}
	lost := counterOf(d.Bytes) == 0 && m.memory["waiting"] == 3
	m.memory["waiting"] = 0
	if lost {
		return nil
	}
	return kept(d)
}

// noCounterZero loses the keepalive that confirms a session.
func noCounterZero(_ *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 4 && len(d.Bytes) == peer.TransportOverhead && counterOf(d.Bytes) == 0 {
		return nil
	}
	return kept(d)
}

func takesOlder(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if kind(d, 2, peer.ResponseLength) && m.memory["older "+d.Remote.String()+" "+string(d.Bytes[8:12])] != 0 {
		m.say(d, append([]byte{4}, make([]byte, 31)...), 0)
	}
	return []conformance.Datagram{d}
}

func replayClears(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if _, seen := again(m, d); seen {
		m.memory["cleared "+d.Remote.String()] = 1
	}
	if kind(d, 2, 0) && m.memory["cleared "+d.Remote.String()] != 0 {
		return nil
	}
	return []conformance.Datagram{d}
}

// notesCrossing and givesUp: after an initiation that crossed its own the subject initiates no more.
func notesCrossing(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if kind(d, 1, 0) && m.memory["open "+d.Remote.String()] != 0 {
		m.memory["crossed "+d.Remote.String()] = 1
	}
	return []conformance.Datagram{d}
}

func givesUp(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 1 && m.memory["crossed "+d.Remote.String()] != 0 {
		return nil
	}
	return notesInitiations(m, d)
}

// responsesFirst keeps an initiation that crosses the subject's own back until the response to that has come, where
// public-key work is slow.
func responsesFirst(m *mangled, d conformance.Datagram) []conformance.Datagram {
	slow, key := m.setup.HandshakeTime > 100*time.Millisecond, "held "+d.Remote.String()
	switch held := m.store()[key]; {
	case slow && kind(d, 1, 0) && m.memory["open "+d.Remote.String()] != 0 && held == nil:
		m.store()[key] = d.Bytes
		return nil
	case kind(d, 2, 0) && held != nil:
		first := d
		first.Bytes = held
		return []conformance.Datagram{d, first}
	}
	return []conformance.Datagram{d}
}
