// Package coretarget makes the project's own core a subject of the conformance suite: a protocol.Device in virtual
// time, with what surrounds it modelled: addresses and a port, processors that do handshakes, a wall clock, the
// configuration socket over a pipe. The suite itself knows nothing of it.
package coretarget
