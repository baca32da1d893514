// Package conformance is a test suite for implementations of WireGuard: any of them, seen only from outside.
//
// A [Subject] is an implementation under test. A [Case] plays its other side, with a second implementation of the
// protocol of its own (package peer) that can also do everything wrong, and judges what the subject sends, delivers
// and reports. Each case names the protocol rules (see docs/rules.txt) that its deciding assertion is
// about. The same case runs in virtual time, where the subject is a library that is told what time it is, and in real
// time, where it is a program or a device behind a network.
//
// [Run] runs cases and yields a [Result] for each; [Test] does so in go test. The suite never imports the
// implementation that it was written beside: that is one subject of many (package coretarget).
//
// # Testing an implementation
//
// Write a [Factory] that starts your implementation and says in its [Capabilities] what it can do. Optional parts of a
// Subject are interfaces of their own: [UAPISubject], [RealTimeSubject], [HostSubject]. Then
//
//	func TestConformance(t *testing.T) { conformance.Test(t, myFactory{}) }
//
// Capabilities.Kind picks what the implementation is granted where the protocol names a time: the table is in the
// reports and in [Capabilities.Tolerances]. A lower bound is relaxed only by [Tolerance].Early.
//
// # How a verdict comes about
//
// Every event is a [Stamp], an interval, and a bound is broken only if the whole difference of two stamps lies outside
// it. Stamps that are too uncertain, or a machine that stood still while something was due, make a case inconclusive.
// In virtual time a verdict is final. In real time what cannot be judged is repeated, twice at most; a failure is
// repeated once, and one that then passes is flaky, which counts as a failure. A repetition has an instance of its own;
// the last one of what cannot be judged has the machine for itself, or shares it with what waits as long.
// A cookie reply that nobody asked for means that the subject is under load: the case is repeated and nobody is blamed.
// When a shared subject dies, the cases that ran on it are repeated, each on an instance of its own, and the one of
// which it dies again fails.
//
// # Writing a case
//
// A case is an entry in the list of its area (case_AREA.go) with a function that takes a [T]:
//
//	{
//		ID: "timer/passive-keepalive/due", Rules: []string{"TIMER-12"}, Level: Must, Isolation: Shared,
//		Needs: NeedConfigure, Lasts: 12 * time.Second,
//		Title: "10 s after data that nothing answered, a keepalive is sent",
//		Why:   "Without it the sender of a one-way stream believes that the tunnel is dead.",
//		Run: func(t *T) {
//			p := t.Peer()                  // a peer of the subject: own key, own address, own inner addresses
//			s := p.Connect()               // it initiates, completes, confirms
//			at := s.Send(p.Inbound())      // a packet through the tunnel; when it arrived
//			p.Expect(Keepalive.On(s), t.Due(Passive, at))
//		},
//	}
//
// What is asked decides alone: preparation is a premise (T.Premise; Peer.Connect and its like are), so that a
// failure there is told apart. One case, one deciding assertion; what is decided is what its rules say, no more, for
// a subject that breaks another rule must not fail here.
//
// Isolation is Shared unless the case changes what all peers of the subject share (OwnInstance) or floods
// (QuietMachine). The Level is that of the strictest rule. Lasts bounds the subject's time, from which the plan is
// made: a case in virtual time that takes longer is an error. [T.Silence] states how long it waits and then shows that
// the subject could have spoken.
//
// Wrong messages are made in two ways: by a peer.Spec, where cryptography covers what is wrong, and otherwise by
// changing finished bytes, with Peer.Remac afterwards if the macs are to be right. Make one thing wrong at a time, and
// everything else right, or the subject may refuse the message for another reason than the one in question.
//
// Every case must be seen to fail. In kills_AREA_test.go stand, by case, the bad subjects that it catches: a known-bad
// core of protocoltest.Defects (core), or a good one with a wrapper around it (wrap, with the hooks of mangle). The
// kill matrix of go test shows what each bad subject fails: the cases that name it, with their own message, and not
// many others.
package conformance
