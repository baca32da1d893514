// Package program makes a userspace WireGuard program a subject of the conformance suite, in real time on Linux: the
// target exec:CMD of wgconform.
//
// Each [Subject] is a machine of its own: network, mount and process namespaces whose first process is a copy of this
// program (a binary that imports this package becomes it by its name in os.Args[0], see initName). The kernel ends
// that process when the runner dies in whatever way, and with it all that runs there; the namespaces, interfaces and
// sockets go with their last user. Nothing has a name outside, so nothing can be left behind.
//
// What is around the program, and sees what it does, is package realtime.
//
// The program is configured by the text protocol of its UNIX socket, by a client of this package's own.
package program
