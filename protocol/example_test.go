package protocol_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Two devices in memory exchange a packet: the first one needs a handshake for it.
func Example() {
	var now timers.Time                     // time is an argument: nobody reads a clock
	entropy := rand.NewChaCha8([32]byte{1}) // crypto/rand.Reader in real life
	var devices [2]*protocol.Device
	batch, worker := new(protocol.Batch), new(protocol.Worker)
	keys := [2]protocol.Identity{
		protocol.NewIdentity(protocol.PrivateKey{1: 1}), protocol.NewIdentity(protocol.PrivateKey{1: 2})}
	at := [2]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("192.0.2.2:51820")}
	for i := range devices {
		devices[i], _ = protocol.New(protocol.Config{Identity: keys[i], Entropy: entropy, MTU: 1420})
		devices[i].Up(now, batch)
		allowed := netip.MustParsePrefix([]string{"10.0.0.2/32", "10.0.0.1/32"}[i])
		if err := devices[i].Configure(now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: keys[1-i].PublicKey(),
			Endpoint: &at[1-i], AllowedIPs: []netip.Prefix{allowed}}}, batch); err != nil {
			panic(err)
		}
	}
	packet := make([]byte, protocol.Headroom+20+protocol.Tailroom) // an IPv4 header, 10.0.0.1 to 10.0.0.2
	copy(packet[protocol.Headroom:], []byte{0x45, 3: 20, 12: 10, 15: 1, 16: 10, 19: 2})
	devices[0].HandlePackets(now, []protocol.Packet{{Buf: packet, Off: protocol.Headroom, Len: 20}}, batch)
	for i := 0; len(batch.Open)+len(batch.Handshakes) > 0; i = 1 - i {
		protocol.Finish(now, devices[i], batch, worker)
		var arriving []protocol.Datagram
		for dg := range batch.Outgoing() {
			fmt.Println(at[i], "sends", dg.Len, "bytes")
			arriving = append(arriving, protocol.Datagram{Endpoint: protocol.Endpoint{Remote: at[i]},
				Packet: protocol.Packet{Buf: bytes.Clone(dg.Bytes()), Len: dg.Len}})
		}
		for _, d := range batch.Deliveries {
			fmt.Println(at[i], "delivers", d.Len, "bytes")
		}
		batch.Reset()
		devices[1-i].HandleDatagrams(now, arriving, batch)
	}
	// Output:
	// 192.0.2.1:51820 sends 148 bytes
	// 192.0.2.2:51820 sends 92 bytes
	// 192.0.2.1:51820 sends 64 bytes
	// 192.0.2.2:51820 delivers 20 bytes
}
