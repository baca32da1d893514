// Package interop holds tests and nothing else: our Device against the real wireguard-go, in one process.
//
// Two kinds of test share the same two ends:
//
//   - over UDP on loopback, with the sockets that wireguard-go itself uses. Its clock is the real one; ours is
//     the real one plus an offset that a test may advance, so that a rekey of ours needs no waiting;
//   - in a testing/synctest bubble over a wire in memory, where both sides live on the same fake clock and hours
//     pass in seconds.
//
// A test that fails prints what our Device reported (its events) and what wireguard-go logged.
package interop
