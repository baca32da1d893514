// Package udp is the outer end of a real tunnel: UDP sockets for IPv4 and IPv6 on one port, as a transports.Link.
//
// On Linux it is written on system calls, because what makes a tunnel fast lies in their options: runs of equal-sized
// messages leave as one segmented send, coalesced ones arrive as one and are split where they lie, and control
// messages carry the source address (ROAM-08) and the TOS (QOS-01 to QOS-04) of each. Waiting is left to the Go
// runtime's poller, so that a waiting source costs no thread and Close ends it. Elsewhere it is an adapter of
// a conn.Bind (golang.zx2c4.com/wireguard/conn; its own on Windows, a plain one on others), which carries no TOS and
// no source addresses.
//
// The kernel may fragment what is sent (MSG-17): a tunnel over a path with a small MTU is slow rather than dead.
package udp

// Options switch off what a kernel or a network card may do wrong. The zero value is what to use.
type Options struct {
	// NoSegments sends each message by itself (no UDP_SEGMENT).
	NoSegments bool
	// NoCoalescing receives each message by itself (no UDP_GRO).
	NoCoalescing bool
}
