// Package protocoltest runs real Devices in a world that a text file describes: a virtual clock, a wire on which
// every datagram can be seen, held, lost, damaged or repeated, and a log in plain English of all that happens.
//
// The files in testdata/script are such scripts together with the log that they gave. They are tests, and they are
// also the shortest way to learn the protocol: start with 01-handshake.txt and read on in order.
//
// # Scripts
//
// A script begins with a title comment. Then come blocks: command lines, a line of four dashes, and everything that
// happened, up to an empty line. Comments start with # and tell the story.
//
//	# One packet opens a tunnel.
//
//	device alice
//	device bob
//	peer alice bob
//	up alice bob
//	tun alice bob text="hello"
//	----
//	0.000  alice  …
//
// Every line of the log begins with the virtual time in seconds and the name of the device. Datagrams carry the
// number under which commands refer to them (#1, #2 …), inner packets theirs (packet 1 …), and a session index its
// owner's name and a number (alice.1), in place of 32 random bits.
//
// "go test ./protocol/protocoltest -update" writes the logs anew. A changed log is a changed protocol: commit one
// only if you can say which rule demands it.
//
// The commands are documented where they are told apart, in dispatch.go, with one file of handlers for each group.
// A command or an argument that does not exist is an error with file and line.
//
// # From Go
//
// [Run] runs the text of a script. [Env.Do] runs single commands and gives their log; [NewPair] is a shortcut to two
// connected devices for tests that need a tunnel and care about something else. The helpers [Entropy], [UDP], [Echo]
// and [Window] stand alone. This package does not import testing, so programs may use it too.
//
// An Env also watches for what must never happen, whatever a script does: an inner packet delivered twice, altered
// or never sent; a counter or an ephemeral key used twice; a timer that fires early; a deadline that does not move on.
// Any of these is an error, not a line of the log.
package protocoltest
