package conformance

// Layer is how much of WireGuard a target is.
type Layer string

// The layers.
const (
	// LayerDevice is all of it: peers, routes between them, endpoints, an interface.
	LayerDevice Layer = "device"
	// LayerLibrary is the protocol with one peer: handshakes, keys, messages and timers. What surrounds it in a program
	// is its user's, and a shim of it does not make that up: rules about it cannot be tested.
	LayerLibrary Layer = "library"
)

// deviceRules are the rules that a library of the protocol leaves to the program around it, by ID or area, and why.
var deviceRules = []struct{ rules, why string }{
	{"ROUTE-*", "the choice of a peer by allowed IPs is made around a library"},
	{"ROAM-*", "endpoints are kept around a library, which is given bytes and gives bytes"},
	{"QOS-*", "the TOS byte and marks belong to the sockets and the interface, which are around a library"},
	{"UAPI-*", "the configuration socket is around a library"},
	{"MSG-16", "the socket is around a library"},
	{"MSG-17", "the socket is around a library"},
	{"MSG-18", "the socket is around a library"},
	{"COOKIE-17", "where answers are sent is decided around a library"},
	{"DOS-08", "the peers are kept around a library"},
	{"HS-23", "a library is made with a private key, and is not there without"},
	{"KEY-01", "that indices of several peers differ is the business of who keeps the peers"},
	{"LIFE-04", "the interface is around a library"},
	{"LIFE-05", "the machine's sleep is noticed around a library"},
	{"LIFE-06", "the machine's sleep is noticed around a library"},
	{"LIFE-08", "a peer's settings are kept around a library"},
	{"LIFE-09", "the port is the socket's, which is around a library"},
	{"LIFE-11", "the program is around a library"},
	{"PAD-02", "the MTU is the interface's, which is around a library"},
	{"PAD-03", "the MTU is the interface's, which is around a library"},
	{"QUEUE-04", "endpoints are kept around a library"},
	{"QUEUE-07", "the interface and the peers are around a library"},
	{"SEC-06", "who may see keys is decided around a library"},
	{"STAT-09", "what cannot be routed is counted around a library"},
	{"TIMER-24", "the source address is the socket's, which is around a library"},
}

// DeviceRules lists the rules that are beyond LayerLibrary: IDs, and globs of them.
func DeviceRules() (rules []string) {
	for _, d := range deviceRules {
		rules = append(rules, d.rules)
	}
	return rules
}

// Beyond says why a rule, by its ID, is none of a layer; empty: it is one of it.
func (l Layer) Beyond(rule string) (why string) {
	if l != LayerLibrary {
		return ""
	}
	for _, d := range deviceRules {
		if Glob(d.rules, rule) {
			return d.why
		}
	}
	return ""
}
