// Package realtime is what all targets in real time on this machine have in common: a [Subject] with network namespaces
// of its own, a cable to it, and eyes with the kernel's time stamps. A [Driver] says what runs there and how it is
// configured.
//
//	subject's network namespace                             tester's network namespace
//	  the implementation ── UDP socket ── veth0 ════════════ veth1 ── frames of the suite
//	      │                                 ║ tap
//	  its interface, wgc0 ──────────────────╨── packets of the suite
//
// The tester has no IP stack: its datagrams are frames written to veth1, so that it may send from any address of the
// subject's networks. veth0 needs no neighbours (NOARP) and has no offloads. One packet socket in the subject's
// namespace, the tap, sees both interfaces in both directions with the kernel's time stamps: when a datagram left the
// subject's host or arrived there, and when an inner packet was written or handed over.
package realtime
