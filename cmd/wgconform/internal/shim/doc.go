// Package shim is the shim protocol: JSON lines on standard input and output by which a program in any language shows
// an implementation of WireGuard to wgconform, with a clock that wgconform moves. docs/SHIM.md describes it; the
// types of its messages are here, and [Serve], which makes a shim of anything that is a conformance.Factory already.
//
// The other end, which turns a shim into a conformance.Factory, is package target/shim.
package shim
