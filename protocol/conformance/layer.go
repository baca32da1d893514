package conformance

// Layer is how much of WireGuard a target is.
type Layer string

// The layers.
const (
	// LayerDevice is all of it: peers, routes between them, endpoints, an interface.
	LayerDevice Layer = "device"
	// LayerLibrary is the protocol with one peer: handshakes, keys, messages and timers. What surrounds it in a program
	// is its user's.
	LayerLibrary Layer = "library"
)
