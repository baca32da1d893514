package scenario

import "time"

const ms = Duration(time.Millisecond)

// Links are the lines that every file may refer to: what people have. A file that defines one of the same name
// overrides it.
func Links() []Link {
	return []Link{
		{Name: "fibre", Latency: 4 * ms, Jitter: ms},
		{Name: "cable", Latency: 9 * ms, Jitter: 3 * ms, Loss: Ratio{1, 1000}},
		{Name: "wifi", Latency: 12 * ms, Jitter: 25 * ms, Loss: Ratio{1, 100}},
		{Name: "cell", Latency: 35 * ms, Jitter: 30 * ms, Loss: Ratio{5, 1000}},
		{Name: "satellite", Latency: 300 * ms, Jitter: 20 * ms, Loss: Ratio{5, 1000}},
		{Name: "perfect"},
	}
}

// NATs are the kinds of NAT that every file may refer to.
func NATs() []NAT {
	s := Duration(time.Second)
	return []NAT{
		{Name: "home", Filtering: "address-port", Ports: "preserve", Timeout: 120 * s},
		{Name: "guest", Mapping: "address-port", Filtering: "address-port", Timeout: 60 * s},
		{Name: "carrier", Mapping: "address", Filtering: "address-port", Timeout: 30 * s},
		{Name: "full-cone", Timeout: 120 * s},
	}
}
