package protocol

import (
	"encoding/base64"
	"net/netip"
)

// KeySize is the size in bytes of public, private and preshared keys (paper §5.4).
const KeySize = 32

// PublicKey is a Curve25519 public key: who somebody is.
type PublicKey [KeySize]byte

// PrivateKey is a Curve25519 private key. It is clamped by [NewIdentity] (CRYPTO-13).
type PrivateKey [KeySize]byte

// PresharedKey is the optional symmetric key of a pair of peers; all zeros is "none", and is mixed in
// all the same (CRYPTO-14).
type PresharedKey [KeySize]byte

// String gives the key as wg(8) writes it: base64.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// PeerID numbers the peers of one Device 1, 2, 3… in the order in which they were added. An ID is never
// used again, so that it means the same peer all through a trace. 0 is no peer.
type PeerID uint32

// Endpoint is one end-to-end path of the outer network, as a value. For a received datagram Remote is
// its source and Local the address on which it arrived; for one to send, Remote is the destination and
// Local, if valid, the source address to prefer (ROAM-08). Remote and Local are unmapped (an IPv4
// address is never written as ::ffff:a.b.c.d) and carry no zone; a link-local scope is IfIndex (ROAM-11).
// Whoever makes an Endpoint sees to that.
type Endpoint struct {
	Remote  netip.AddrPort
	Local   netip.Addr
	IfIndex uint32
}

// IsValid reports whether there is somewhere to send to.
func (e Endpoint) IsValid() bool { return e.Remote.IsValid() }

// Packet is a window into a buffer of the caller's: Buf[Off:Off+Len]. The core never keeps Buf after the
// call that it was given to.
type Packet struct {
	Buf      []byte
	Off, Len int
}

// Bytes gives the window. It shares memory with Buf.
func (p Packet) Bytes() []byte { return p.Buf[p.Off : p.Off+p.Len] }

// Room that a packet given to [Device.HandlePackets] needs around its window if it is to be sealed in
// place: the 16 bytes of the transport header before it, up to 15 bytes of padding and the 16 of the tag
// behind it. A packet whose [SealJob.Dst] is set needs neither.
const (
	Headroom = 16
	Tailroom = 31
)

// Datagram is a UDP payload with its path. TOS is the outer header's whole TOS or traffic class byte
// (DSCP and ECN), in both directions (QOS-01 to QOS-04).
type Datagram struct {
	Packet
	Endpoint Endpoint
	TOS      uint8
}

// Delivery is a decrypted, checked and trimmed inner packet to be written to the tunnel.
type Delivery struct {
	Packet
	Peer PeerID
}

// Reject is an inner packet that cannot be sent for want of a route (Peer is 0) or of an endpoint. The
// tunnel's owner tells the sender with an ICMP unreachable (ROUTE-05, ROUTE-06). The window is the
// caller's own buffer.
type Reject struct {
	Packet
	Peer   PeerID
	Reason DropReason
}
