// Package model checks two real Devices exhaustively in a small world.
//
// Two hosts, connected by a wire that holds up to four datagrams, make every sequence of moves there is: any datagram
// in flight is delivered, dropped or duplicated, time goes on to the next moment at which something is due, either
// host sends a packet or loses all its state. The hosts are the shipped [protocol.Device]s with real keys and real
// bytes, cloned at every branch; the jitter of a handshake is none or all of 333 ms. Faults and packets are bounded per
// path; states that cannot be told apart from here on are merged.
//
// In each state the package looks for what must never be (safety), against a model of the key pair slots of its own,
// which follows the paper and not the code. And from each state it wants a way back (recovery): with no more faults
// what waits is delivered, and then a packet gets through both ways. docs/MODEL-CHECK.md says why merging is sound
// and what is out of reach.
//
// The package is as deterministic as the machine it drives: the same [Options] give the same [Report], on however many
// goroutines. Only Options.Stop can end a run at a different point.
//
// A state is two hosts, what is in flight, and a budget. A host is a Device at a moment, never changed again; what it
// makes of an input is worked out once, on a clone, and remembered (host.go, react.go). Moves put states together
// from that (moves.go), canon.go names them, explore.go searches, recovery.go looks for ways back, and pairs.go tries
// out whether merging was right.
package model
