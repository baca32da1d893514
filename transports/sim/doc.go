// Package sim is a discrete-event simulator of networks of WireGuard hosts. Its hosts run the real protocol core; its
// networks, NATs, clocks and applications are models. It has no clock, no goroutine and no socket, and the same
// scenario and seed give the same records, byte for byte, on every platform.
//
//	s, err := sim.New(scenario, sim.Options{Seed: 1, Observe: show})
//	...
//	result := s.Run()
//
// What to know before reading further:
//
//   - A [Scenario] says what there is and what happens; package gallery has some, each with a
//     question that it answers.
//
//   - A [Record] is what an observer sees; [Result] sums it up. A [CaptureOrder] helps writers of captures.
//
//   - The checkers ([Checkers]) watch every run. They see the wire, the inner packets and, through keys of their own
//     derivation, what the wire carries; they never see the inside of the core that they judge.
//
//   - A datagram goes from its host through the NAT of its network, over that network's line up, over the other
//     network's line down, through the other NAT, to the other host. Captures show it between the first NAT and the
//     first line.
//
//   - A fault is a [Rule] that gives a [Verdict] on each datagram of a line.
//
//   - Everything that is random comes from a stream ([Rand]) that follows from the seed and a name.
//
//   - Each kind of trouble has a permanent name ([FaultKinds]) and is counted where it takes effect (Result.Effects).
//
//   - A scenario with a Heal has a second phase without trouble, in which who owes it must recover ([Liveness]).
//
// It does not model ICMP errors beyond what [MTU] says, TCP carriers, or hosts that lose a part of their memory only.
package sim
