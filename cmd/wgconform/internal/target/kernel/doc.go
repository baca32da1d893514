// Package kernel makes the WireGuard of the running Linux kernel a subject of the conformance suite, in real time: the
// target kernel of wgconform.
//
// Each subject is an interface of type wireguard in a network namespace of its own, configured by netlink (wgctrl).
// Nothing has a name outside, so the kernel removes all of it when the runner ends, in whatever way. What surrounds the
// interface and sees what it does is package realtime.
//
// Some things are one for all of the kernel, and therefore for all subjects: whether it is under load, the limiter of
// handshakes under load, the wall clock. Cases that ask for load run alone anyway.
package kernel
