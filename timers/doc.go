// Package timers is WireGuard's timer state machine: five timers per peer, the eight hooks that move them, and one
// queue that knows which timer of which peer is due next. It contains no clock, no randomness, no keys and no
// packets: every method takes the time it happens at and answers what is to be done.
//
// Start with [Queue] and [Peer]. A user
//
//  1. adds each Peer to the Queue of its device and calls [Peer.Up];
//  2. reports what happens to a peer with the composite events ([Peer.DataSent], [Peer.ResponseReceived] …);
//  3. sleeps until the time [Queue.Next] returns, calls [Peer.Expire] with the kind it named, does what the
//     returned [Action] says, and asks again.
//
// Ages of sessions are not timers: they are compared when a packet is sent or received, by [Session] and
// [Peer.RekeyOnReceive], so an idle session never rekeys by itself (TIMER-21).
//
// The rule IDs in the comments (TIMER-xx, E1–E12, OPEN-x) are those of the project's list of protocol rules;
// § numbers are sections of the WireGuard paper.
//
// # Guarantees
//
//   - A timer never fires early, and one whose time would lie beyond the end of [Time] never fires.
//   - The answer of [Queue.Next] is exact: waking at each of its answers, or at those and at any number of
//     moments between, gives the same sequence of expiries.
//   - The sequence of expiries depends on the calls alone, ties included: earlier time first, then smaller peer
//     id, then smaller [Kind].
//   - Events allocate nothing, except that the first timer of a peer may grow the queue.
//   - Nothing is armed while a peer is down.
//
// A Queue and its Peers belong to one goroutine at a time.
package timers
