// Package capture writes the datagrams of a simulated run as a pcapng file that Wireshark and tshark decrypt.
//
//	w, err := capture.New(file, scenario, seed)
//	s, err := sim.New(scenario, sim.Options{Seed: seed, Observe: w.Observe})
//	s.RunUntil(s.End())
//	err = w.Close()
//
// What is in the file:
//
//   - One interface per network, of link type raw IP. A datagram belongs to the network that it came from and is
//     shown as it enters the Internet: behind its sender's NAT, before any loss or damage. What an outsider sends
//     belongs to the interface "internet".
//   - Each datagram once. A copy that the network made is a comment on the datagram it was copied from: Wireshark
//     links one response to an initiation and would take a second one for undecipherable.
//   - A comment on each datagram that did not simply arrive: who lost or refused it, with the reason and the rule's
//     ID, which bits were flipped, that it was forged.
//   - The keys, in Decryption Secrets Blocks of type 0x57474b4c, each before the initiation that it serves; Wireshark
//     ignores keys that come later. The static keys come once, with the first handshake that needs them.
//   - Virtual time, in nanoseconds since the scenario's wall clock origin.
//
// The bytes depend on scenario and seed alone.
//
// Wireshark ties a session to one address per side, the last one it saw each side send from. A message to somewhere
// else, as there are a few after each move, it does not decrypt; [Writer] keeps the same books and says so
// in a comment.
package capture
