// Package shimcheck tests a program that speaks the shim protocol (docs/SHIM.md) for how it speaks it: not whether the
// implementation behind it is right, but whether what the conformance suite finds out through it can be believed.
//
// Each check has a process of its own. What a check cannot see, because something before it fails or nothing happens,
// is not counted against the shim, but said.
package shimcheck
