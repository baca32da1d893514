// Package defect lets tests make a core that is wrong in one known respect, so that a property, transcript,
// checker or conformance case can be seen to fail. A defect is a name that the Device holds, empty in every normal
// one, and compares at the decision point in question; protocoltest.Defects tells them all.
package defect

// Package protocol sets both when it is initialised; only package protocoltest calls them.
var (
	// Install gives a *protocol.Device the defect of that name, or with "" none.
	Install func(device any, name string)
	// SetSendCounter moves the send counter of a peer's current key pair, for the rules that nobody lives to see
	// (KEY-12, TIMER-09). It reports false if there is none.
	SetSendCounter func(device any, peer uint32, counter uint64) bool
)
