// Package explain says what happened to WireGuard tunnels in captures of real networks, and why one died.
//
//	report, err := explain.Explain([]explain.Source{{Name: "a.pcapng", Data: file}}, explain.Options{})
//	err = report.WriteText(os.Stdout)
//
// It works at three depths, and [Report.Depth] says which was reached:
//
//   - Without keys: types, indices, counters, sizes and times are in the clear. They show handshakes, repetitions,
//     keepalives, losses (counters are consecutive, so a gap is a loss before the tap), and when each side was silent
//     although it had to speak. Why a handshake was begun is inferred from times.
//   - With configurations of wg-quick: who sends an initiation, its timestamp, and whose key mac1 is made for.
//   - With a key log, from a file or the capture's own Decryption Secrets Block: everything.
//
// A capture is never asked for more than it can tell. What stands behind a [Finding] is its [Certainty], and what else
// fits is listed with it. A datagram seen at several taps is one message with several sightings; the taps' clocks
// are compared by them. The package imports nothing of the protocol core: it is an onlooker.
//
// docs/EXPLAIN.md lists the kinds of findings.
package explain
