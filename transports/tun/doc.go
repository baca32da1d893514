// Package tun is the inner end of a real tunnel: a TUN interface as a transports.Tunnel.
//
// On Linux it is written on system calls. The host hands over TCP and UDP data of up to 64 KiB as one super-packet with
// its checksum left to do; Read cuts it into packets where they will be sealed, which is the one copy, and sums each up
// while it is in the cache. Write puts consecutive packets of a flow together again, without a copy, so that the host's
// stack is passed once for all of them. Elsewhere it is an adapter of golang.zx2c4.com/wireguard/tun.
//
// What Write merges has had its checksums replaced by the host's promise to make them if they are needed. Nobody
// verifies the old ones: a packet that comes out of the cipher is bit for bit what the peer's host put in (INNER-06),
// and the kernel's WireGuard tells its stack the same. Packets that stay alone keep theirs.
package tun
