// Package program makes a userspace WireGuard program a subject of the conformance suite, in real time on Linux: the
// target exec:CMD of wgconform.
//
// Each [Subject] is a machine of its own: network, mount and process namespaces whose first process is a copy of this
// program (a binary that imports this package becomes it by its name in os.Args[0], see initName). The kernel ends
// that process when the runner dies in whatever way, and with it all that runs there; the namespaces, interfaces and
// sockets go with their last user. Nothing has a name outside, so nothing can be left behind.
//
//	subject's namespaces                                    tester's network namespace
//	  the program ── UDP socket ── veth0 ═══════════════════ veth1 ── frames of the suite
//	      │                          ║ tap
//	  TUN interface ─────────────────╨── packets of the suite
//
// The tester has no IP stack: its datagrams are frames written to veth1, so that it may send from any address of the
// subject's networks. veth0 needs no neighbours (NOARP) and has no offloads. One packet socket in the subject's
// namespace, the tap, sees both interfaces in both directions with the kernel's time stamps: when a datagram left the
// subject's host or arrived there, and when an inner packet was written or handed over.
//
// The program is configured by the text protocol of its UNIX socket, by a client of this package's own.
package program
