package shim

import (
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// needWords are the names that capabilities have in hello. What is not here no shim can have: a virtual clock every
// shim has, and outer headers and a host around the interface none.
var needWords = []struct {
	word string
	need conformance.Need
}{
	{"inner", conformance.NeedInner},
	{"configure", conformance.NeedConfigure},
	{"interface", conformance.NeedInterface},
	{"restart", conformance.NeedRestart},
	{"state", conformance.NeedState},
	{"uapi", conformance.NeedUAPI},
	{"wall", conformance.NeedWall},
	{"load", conformance.NeedLoad},
	{"tos", conformance.NeedTOS},
	{"ipv6", conformance.NeedIPv6},
	{"sources", conformance.NeedSources},
}

// Capabilities that no case needs as a whole.
const (
	// Addresses is the op of its name.
	Addresses = "addresses"
	// Repeats is that the same seed and the same requests give the same bytes at the same times.
	Repeats = "seed"
	// Work is that public-key work costs what handshakeTime and handshakeWorkers say. A shim that has load without it
	// comes under load by a flood, as a program does.
	Work = "work"
)

// Words lists all names of capabilities.
func Words() (words []string) {
	for _, n := range needWords {
		words = append(words, n.word)
	}
	return append(words, Addresses, Repeats, Work)
}

// NeedOf gives what a word stands for; 0 for what no case needs and for words that nobody knows.
func NeedOf(word string) conformance.Need {
	for _, n := range needWords {
		if n.word == word {
			return n.need
		}
	}
	return 0
}

// Greet describes a target to the runner.
func Greet(c conformance.Capabilities, o *Options) *Greeting {
	g := &Greeting{Protocol: Version, Name: c.Name, Version: c.Version, Layer: string(c.Layer), Kind: c.Kind,
		Capabilities: []string{}, Lacks: map[string]string{}}
	if g.Layer == "" {
		g.Layer = string(conformance.LayerDevice)
	}
	for _, n := range needWords {
		switch {
		case c.Has&n.need != 0:
			g.Capabilities = append(g.Capabilities, n.word)
		case c.Lacks[n.need] != "":
			g.Lacks[n.word] = c.Lacks[n.need]
		}
	}
	g.Capabilities = append(g.Capabilities, o.Has...)
	maps.Copy(g.Lacks, o.Lacks)
	return g
}

// setup is how an instance is to start.
func (r *Request) setup() conformance.Setup {
	var seed Seed
	if r.Seed != nil {
		seed = *r.Seed
	}
	return conformance.Setup{
		Name: r.Instance, Seed: uint64(seed), Wall: r.Wall.Time(), Local4: r.Local4, Local6: r.Local6,
		Config: r.Config.change(), HandshakeTime: time.Duration(r.HandshakeTime), HandshakeWorkers: r.HandshakeWorkers,
	}
}

// Opening is the request that makes an instance.
func Opening(instance string, s conformance.Setup) *Request {
	return &Request{Op: OpOpen, Instance: instance, Seed: new(Seed(s.Seed)), Wall: WallOf(s.Wall), Local4: s.Local4,
		Local6: s.Local6, Config: ChangeOf(s.Config), HandshakeTime: int64(s.HandshakeTime),
		HandshakeWorkers: s.HandshakeWorkers}
}

func (c *Change) change() (out conformance.Change) {
	if c == nil {
		return out
	}
	out = conformance.Change{PrivateKey: (*conformance.Key)(c.PrivateKey), ListenPort: c.ListenPort, Mark: c.Mark,
		MTU: c.MTU, Up: c.Up, ReplacePeers: c.ReplacePeers}
	for _, p := range c.Peers {
		out.Peers = append(out.Peers, conformance.PeerChange{PublicKey: conformance.Key(p.PublicKey), Remove: p.Remove,
			UpdateOnly: p.UpdateOnly, PresharedKey: (*conformance.Key)(p.PresharedKey), Endpoint: p.Endpoint,
			Keepalive: p.Keepalive, ReplaceAllowedIPs: p.ReplaceAllowedIPs, AllowedIPs: p.AllowedIPs})
	}
	return out
}

// ChangeOf writes a change.
func ChangeOf(c conformance.Change) *Change {
	out := &Change{PrivateKey: (*Key)(c.PrivateKey), ListenPort: c.ListenPort, Mark: c.Mark, MTU: c.MTU, Up: c.Up,
		ReplacePeers: c.ReplacePeers}
	for _, p := range c.Peers {
		out.Peers = append(out.Peers, PeerChange{PublicKey: Key(p.PublicKey), Remove: p.Remove, UpdateOnly: p.UpdateOnly,
			PresharedKey: (*Key)(p.PresharedKey), Endpoint: p.Endpoint, Keepalive: p.Keepalive,
			ReplaceAllowedIPs: p.ReplaceAllowedIPs, AllowedIPs: p.AllowedIPs})
	}
	return out
}

// StateOf writes a state.
func StateOf(s conformance.State) *State {
	out := &State{PublicKey: Key(s.PublicKey), ListenPort: s.ListenPort, Mark: s.Mark, Peers: []PeerState{}}
	for _, p := range s.Peers {
		q := PeerState{PublicKey: Key(p.PublicKey), PresharedKey: Key(p.PresharedKey), Received: p.Received, Sent: p.Sent,
			LastHandshake: WallOf(p.LastHandshake), Keepalive: p.Keepalive,
			AllowedIPs: append([]netip.Prefix{}, p.AllowedIPs...)}
		if p.Endpoint.IsValid() {
			q.Endpoint = p.Endpoint.String()
		}
		out.Peers = append(out.Peers, q)
	}
	return out
}

// State reads a state. The error names the field.
func (s *State) State() (out conformance.State, err error) {
	out = conformance.State{PublicKey: conformance.Key(s.PublicKey), ListenPort: s.ListenPort, Mark: s.Mark}
	for _, p := range s.Peers {
		q := conformance.PeerState{PublicKey: conformance.Key(p.PublicKey), PresharedKey: conformance.Key(p.PresharedKey),
			Received: p.Received, Sent: p.Sent, LastHandshake: p.LastHandshake.Time(), Keepalive: p.Keepalive,
			AllowedIPs: p.AllowedIPs}
		if p.Endpoint != "" {
			if q.Endpoint, err = netip.ParseAddrPort(p.Endpoint); err != nil {
				return out, &FieldError{"state.peers.endpoint", strings.TrimPrefix(err.Error(), "netip: ")}
			}
		}
		out.Peers = append(out.Peers, q)
	}
	return out, nil
}
