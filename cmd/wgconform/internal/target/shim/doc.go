// Package shim makes a program that speaks the shim protocol (docs/SHIM.md) a subject of the conformance suite, in
// virtual time: the target shim:CMD of wgconform.
//
// A [Process] is such a program; [Factory] keeps one for each case that runs at the same time, and uses it for one
// instance after the other. Time that passes without anything happening costs nothing: the program says until when it
// will be silent, and is asked no sooner. What the program answers is held to the protocol; a breach of it is an error
// of the program, not a verdict on the implementation behind it.
package shim
