package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// An initiator makes valid initiations for one responder, ahead of time. It is a whole device of the protocol core on
// a clock of its own: it gets no answers, so that every retransmission is a fresh initiation with a later timestamp.
type initiator struct {
	source netip.Addr
	device *protocol.Device
	now    timers.Time
	batch  protocol.Batch
	worker protocol.Worker
	packet []byte
	ready  [][]byte // made and not yet sent
	cookie bool     // it has got one
}

// Sizes and types of handshake messages (paper §5.4).
const (
	initiationSize  = 148
	typeInitiation  = 1
	typeResponse    = 2
	typeCookieReply = 3
)

func newInitiator(private protocol.PrivateKey, responder protocol.PublicKey, at netip.AddrPort, source netip.Addr) (
	*initiator, error) {
	i := &initiator{source: source}
	var err error
	i.device, err = protocol.New(protocol.Config{
		Identity: protocol.NewIdentity(private), Entropy: rand.Reader, Wall: time.Now(), MTU: tunnelMTU,
		Limits: protocol.Limits{Jobs: 2, StagedPackets: 1}, Trace: protocol.EventCookieAccepted.Mask(),
	})
	if err != nil {
		return nil, err
	}
	i.device.Up(i.now, &i.batch)
	err = i.device.Configure(i.now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: responder, Endpoint: &at,
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}, &i.batch)
	i.packet = make([]byte, protocol.Headroom+20+protocol.Tailroom)
	copy(i.packet[protocol.Headroom:], []byte{0x45, 3: 20, 12: 10, 15: 1, 16: 10, 19: 2})
	return i, err
}

// initiate makes another initiation: it lets time pass until the next retransmission or, after the last, until a
// packet may start over.
func (i *initiator) initiate() ([]byte, error) {
	for range 64 {
		i.batch.Reset()
		if at, _, ok := i.device.Deadline(); ok && at <= i.now.Add(timers.RekeyTimeout+timers.MaxJitter) {
			i.now = max(i.now, at)
			i.device.HandleTimeout(i.now, &i.batch)
		} else {
			i.now = i.now.Add(timers.RekeyTimeout)
			i.device.HandlePackets(i.now,
				[]protocol.Packet{{Buf: i.packet, Off: protocol.Headroom, Len: 20}}, &i.batch)
		}
		protocol.Finish(i.now, i.device, &i.batch, &i.worker)
		for dg := range i.batch.Outgoing() {
			if b := dg.Bytes(); len(b) == initiationSize && b[0] == typeInitiation {
				return bytes.Clone(b), nil
			}
		}
	}
	return nil, errors.New("the protocol core makes no initiation")
}

// takeCookie gives the device a cookie reply to the initiation that it made last.
func (i *initiator) takeCookie(message []byte, from netip.AddrPort) {
	i.batch.Reset()
	i.device.HandleDatagrams(i.now, []protocol.Datagram{{Endpoint: protocol.Endpoint{Remote: from},
		Packet: protocol.Packet{Buf: message, Len: len(message)}}}, &i.batch)
	protocol.Finish(i.now, i.device, &i.batch, &i.worker)
	i.cookie = i.cookie || len(i.batch.Events) > 0
}

// senderOf gives the index that the maker of an initiation named itself by, and receiverOf the one that an answer
// is for.
func senderOf(initiation []byte) uint32 { return binary.LittleEndian.Uint32(initiation[4:]) }

func receiverOf(message []byte) (index uint32, ok bool) {
	switch {
	case len(message) == 92 && message[0] == typeResponse:
		return binary.LittleEndian.Uint32(message[8:]), true
	case len(message) == 64 && message[0] == typeCookieReply:
		return binary.LittleEndian.Uint32(message[4:]), true
	}
	return 0, false
}
