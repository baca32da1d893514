package protocol_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Two devices in memory exchange a packet: the first one triggers a handshake and waits for it.
func Example() {
	var now timers.Time // nobody reads a clock: time is an argument
	var ends [2]*protocol.Device
	var worker protocol.Worker
	entropy := rand.NewChaCha8([32]byte{1}) // crypto/rand.Reader in real life
	ids := [2]protocol.Identity{
		protocol.NewIdentity(protocol.PrivateKey{1: 1}), protocol.NewIdentity(protocol.PrivateKey{1: 2})}
	at := [2]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("192.0.2.2:51820")}
	for i := range ends {
		var b protocol.Batch
		ends[i], _ = protocol.New(protocol.Config{Identity: ids[i], Entropy: entropy, MTU: 1420})
		ends[i].Up(now, &b)
		err := ends[i].Configure(now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: ids[1-i].PublicKey(),
			Endpoint: &at[1-i], AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(2 - i)}), 32)}}}, &b)
		if err != nil {
			panic(err)
		}
	}
	packet := make([]byte, 16+28+31) // headroom, IPv4 and UDP headers, tailroom
	copy(packet[16:], []byte{0x45, 0, 0, 28, 12: 10, 15: 1, 16: 10, 19: 2})
	var b protocol.Batch
	ends[0].HandlePackets(now, []protocol.Packet{{Buf: packet, Off: 16, Len: 28}}, &b)
	for side := 0; ; side = 1 - side {
		protocol.Finish(now, ends[side], &b, &worker)
		var arriving []protocol.Datagram
		for dg := range b.Outgoing() {
			fmt.Printf("%v sends %d bytes\n", at[side], dg.Len)
			dg.Buf, dg.Off = append([]byte(nil), dg.Bytes()...), 0
			arriving = append(arriving, protocol.Datagram{Packet: dg.Packet, Endpoint: protocol.Endpoint{Remote: at[side]}})
		}
		for _, d := range b.Deliveries {
			fmt.Printf("%v delivers %d bytes\n", at[side], d.Len)
		}
		if len(arriving) == 0 {
			break
		}
		b.Reset()
		ends[1-side].HandleDatagrams(now, arriving, &b)
	}
	// Output:
	// 192.0.2.1:51820 sends 148 bytes
	// 192.0.2.2:51820 sends 92 bytes
	// 192.0.2.1:51820 sends 64 bytes
	// 192.0.2.2:51820 delivers 28 bytes
}
