// Package protocol is WireGuard as a deterministic state machine: handshakes, key pairs, cookies, timers,
// roaming and cryptokey routing in one [Device], without a socket, a clock, a random source, a goroutine, a
// lock or a log line. It takes events and a time; it gives packets, a deadline, and work.
//
// # The short way
//
// Make a [Device] with [New], tell it about peers with [Device.Configure], bring it [Device.Up]. Then, for
// everything that happens:
//
//	batch.Reset()
//	device.HandlePackets(now, packets, &batch)     // or HandleDatagrams, or HandleTimeout
//	protocol.Finish(now, device, &batch, &worker)  // all the crypto, here and now
//	for dg := range batch.Outgoing() { … }         // send dg.Bytes() to dg.Endpoint
//	for _, d := range batch.Deliveries { … }       // write d.Bytes() to the tunnel
//	at, _, ok := device.Deadline()                 // and call HandleTimeout then
//
// # The fast way
//
// Finish is a convenience. Jobs may be handed to as many goroutines as there are cores, each with a [Worker] of
// its own: decide (a Handle call), compute (a Worker), commit (HandleOpened, HandleShaken). Only the first and the
// last need the Device, and they do no cipher or public-key work: a MAC per handshake message, and the opening
// of a 16-byte cookie, is all.
//
// # The caller's duties, and what the core promises
//
//  1. A Device and a Batch belong to one goroutine at a time. Jobs may be worked on anywhere, each by one Worker.
//  2. The core never keeps a caller's buffer after the call. Packets that wait for a handshake are copied into a
//     bounded store.
//  3. Memory that a Batch lends out is good until its Reset, which overwrites it. Handshake jobs are not in the
//     Batch's memory and may outlive it.
//  4. A message's counter is assigned when its SealJob is made: send sealed messages in the order of their jobs.
//     Replay window, key confirmation, roaming, source check and timers move only in HandleOpened, so hand the
//     OpenJobs back in order too. A job that has become stale is dropped there, with a reason. Packets that a new
//     session lets go come out as seal jobs of the same batch.
//  5. Time does not go backwards: an older now is raised to the latest one and, by the calls that have a Batch,
//     reported as EventClock.
//  6. Unauthenticated input changes no protocol state and allocates nothing in a Handle call. (The first message
//     under load makes the two source tables, once per Device.)
//  7. An outstanding job keeps the key that it needs, even if the session is dropped meanwhile. How well keys are
//     wiped is told by SECURITY.md.
//  8. Entropy is read in full or not at all. When it fails the action is dropped as DropNoEntropy and its timer
//     tries again; nothing leaves with partial randomness.
//  9. The order of the Handle calls and the values given to them are all the input there is. The same
//     configuration, entropy and inputs give byte-identical batches, on every platform, for ever. An Identity
//     outside the process is an input too: its results must be recorded to be replayed.
//
// Input from the network never yields an error: it is dropped under a [DropReason], counted and, if asked for,
// reported as an [Event]. Errors are for the control plane. The core panics for a packet without the room that it
// promised, and for a bug of its own.
//
// Comments cite the paper ("§5.4.2") and the rules of docs/CONFORMANCE.md ("HS-21").
package protocol
