package main

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// What an initiator makes ahead of time is answered in that order, far beyond the attempts after which a device gives
// up: every message has a fresh index and a later timestamp.
func TestInitiatorIsAnswered(t *testing.T) {
	var ours, theirs protocol.PrivateKey
	ours[1], theirs[1] = 1, 2
	here, there := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2")
	i, err := newInitiator(ours, protocol.NewIdentity(theirs).PublicKey(), there, here.Addr())
	if err != nil {
		t.Fatal(err)
	}
	d, err := protocol.New(protocol.Config{Identity: protocol.NewIdentity(theirs), Entropy: rand.Reader,
		Wall: time.Now(), MTU: tunnelMTU})
	if err != nil {
		t.Fatal(err)
	}
	var batch protocol.Batch
	var worker protocol.Worker
	d.Up(0, &batch)
	if err := d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer,
		Peer: protocol.NewIdentity(ours).PublicKey()}}, &batch); err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	for n := range 150 { // beyond 540 s, after which keys are wiped
		m, err := i.initiate()
		if err != nil {
			t.Fatal(err)
		}
		if index := senderOf(m); seen[index] {
			t.Fatalf("initiation %d: index %08x was there before", n, index)
		}
		seen[senderOf(m)] = true
		batch.Reset()
		now := timers.Time(0).Add(time.Duration(n+1) * time.Second)
		d.HandleDatagrams(now, []protocol.Datagram{{Endpoint: protocol.Endpoint{Remote: here},
			Packet: protocol.Packet{Buf: m, Len: len(m)}}}, &batch)
		protocol.Finish(now, d, &batch, &worker)
		answered := false
		for dg := range batch.Outgoing() {
			index, ok := receiverOf(dg.Bytes())
			answered = answered || ok && index == senderOf(m) && dg.Bytes()[0] == typeResponse
		}
		if !answered {
			t.Fatalf("initiation %d was not answered; drops: %v", n, d.Drops())
		}
	}
}

// The checksum of an echo request is right if the sum over all of it is all ones (RFC 1071).
func TestEchoRequest(t *testing.T) {
	for _, seq := range []uint16{0, 1, 0xa898, 0xffff} {
		var sum uint32
		m := echoRequest(seq)
		for k := 0; k < len(m); k += 2 {
			sum += uint32(m[k])<<8 | uint32(m[k+1])
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		if sum != 0xffff || m[0] != 8 {
			t.Errorf("sequence %d: sum %04x, type %d", seq, sum, m[0])
		}
	}
}
