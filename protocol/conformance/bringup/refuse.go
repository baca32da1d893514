package bringup

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// refuseQuestions are about what must not be answered: an implementation that takes everything passes those before.
var refuseQuestions = []Question{
	{ID: "refuse/mac1", Title: "A wrong mac1 is not answered", Rules: rules("COOKIE-02"), ask: askWrongMAC1},
	{ID: "refuse/forged", Title: "A static key without its private key is not answered", Rules: rules("HS-06"),
		ask: askForged},
	{ID: "refuse/replay", Title: "A timestamp that is not greater is not answered", Rules: rules("TAI-02"),
		ask: askReplay},
	{ID: "refuse/stranger", Title: "A key that is no peer's is not answered", Rules: rules("HS-05"), ask: askStranger},
	{ID: "refuse/low-order", Title: "An ephemeral key of low order is not answered", Rules: rules("CRYPTO-11"),
		ask: askLowOrder},
}

// moment is how long silence is watched where an answer would come at once.
const moment = 400 * time.Millisecond

// answers reports whether a datagram of a peer brings anything, which it gives.
func (l *lab) answers(p *conformance.Peer, b []byte) *conformance.Got {
	l.Wait(apart)
	l.p.Send(b)
	if got := l.wait(conformance.AnyDatagram.To(p), moment); len(got) > 0 {
		return got[0]
	}
	return nil
}

// refused fails with the diagnosis if a message is answered.
func (l *lab) refused(b []byte, d *Diagnosis) {
	if g := l.answers(l.p, b); g != nil {
		l.fail(d.of(b), g, "no answer", g.String())
	}
}

func askWrongMAC1(l *lab) {
	l.responded()
	at := mac1At(peer.InitiationLength)
	first, last := l.p.Initiate(peer.Spec{}).Bytes, l.p.Initiate(peer.Spec{}).Bytes
	first[at] ^= 1
	last[at+15] ^= 0x80
	l.refused(first, did("mac1-unchecked", "mac1 of initiations is not checked", "COOKIE-02"))
	l.refused(last, did("mac1-compared-in-part", "only the first bytes of mac1 are compared", "COOKIE-02"))
}

func askForged(l *lab) {
	l.responded()
	other := peer.NewPair(l.Random)
	other.Public = l.me().Static.Public
	i := l.p.Initiate(peer.Spec{Static: &other})
	l.refused(i.Bytes, did("timestamp-unauthenticated", "the tag of the encrypted timestamp is not checked, or ss is "+
		"not mixed in before it is: anybody can pass for this peer", "HS-06"))
}

func askReplay(l *lab) {
	// A moment whose last byte is zero, greater than all before and not of the future, which would spoil the peer's key on
	// a device that cannot be reset.
	begin := l.wall()
	when := begin.Truncate(time.Second).Add(time.Second + 0x10000000)
	l.Wait(when.Sub(begin) + 10*time.Millisecond)
	at := peer.TAI64N(when)
	first := l.p.Initiate(peer.Spec{Timestamp: &at})
	l.p.Send(first.Bytes)
	if g := l.first(); g == nil || g.Kind != peer.KindResponse {
		l.fail(nil, g, "a response, as before", l.describe(g))
	}
	same := l.answers(l.p, l.p.Initiate(peer.Spec{Timestamp: &at}).Bytes)
	older := at
	binary.BigEndian.PutUint64(older[:], binary.BigEndian.Uint64(at[:])-1)
	binary.BigEndian.PutUint32(older[8:], 0x0f000000)
	old := l.answers(l.p, l.p.Initiate(peer.Spec{Timestamp: &older}).Bytes)
	binary.BigEndian.PutUint32(older[8:], 0x0f0000ff)
	reversed := l.answers(l.p, l.p.Initiate(peer.Spec{Timestamp: &older}).Bytes)
	var d *Diagnosis
	switch {
	case old != nil:
		d = did("timestamp-unchecked", "timestamps are not compared with the greatest one that was accepted: initiations "+
			"can be replayed", "TAI-02")
	case same != nil:
		d = did("timestamp-equal", "an equal timestamp is taken: it has to be greater", "TAI-02")
	case reversed != nil:
		d = did("timestamp-compared-little-endian", "timestamps are compared from their last byte on: they are big-endian "+
			"numbers, as memcmp compares", "TAI-02")
	default:
		return
	}
	l.fail(d.of(first.Bytes), nil, "an answer to the first of an equal, an older and a greater timestamp only",
		fmt.Sprintf("equal answered: %t, older: %t, older with a greater last byte: %t", same != nil, old != nil,
			reversed != nil))
}

func askStranger(l *lab) {
	l.responded()
	own := l.p
	stranger := l.NewPeer(conformance.PeerOptions{Name: "stranger", Stranger: true})
	l.p = stranger
	l.refused(stranger.Initiate(peer.Spec{}).Bytes,
		did("stranger-answered", "it answers a static key that is none of its peers'", "HS-05"))
	l.p = own
}

func askLowOrder(l *lab) {
	l.responded()
	for _, point := range peer.LowOrderPoints()[:5] {
		pair := peer.LowOrderPair(point)
		i := l.p.Initiate(peer.Spec{Ephemeral: &pair})
		d := did("low-order", "a product of keys that is all zeros is not refused", "CRYPTO-11")
		d.Parting = &Parting{Step: "e", Name: "Ei", Actual: point[:]}
		l.refused(i.Bytes, d)
	}
}

// wall is the tester's wall clock.
func (l *lab) wall() time.Time { return l.Setup.Wall.Add(time.Duration(l.Now())) }
