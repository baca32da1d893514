// Package conformance is a test suite for implementations of WireGuard: any of them, seen only from outside.
//
// A [Subject] is an implementation under test. A [Case] plays its other side, with a second implementation of the
// protocol of its own (package peer) that can also do everything wrong, and judges what the subject sends, delivers
// and reports. Each case names the protocol rules (see docs/rules.txt) that its deciding assertion is about. The same
// case runs in virtual time, where the subject is a library that is told what time it is, and in real time, where it
// is a program or a device behind a network.
//
// [Run] runs cases and yields a [Result] for each; [Test] does so in go test. The suite never imports the
// implementation that it was written beside: that is one subject of many.
package conformance
