package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
)

// DefaultWall is the wall clock at the start of a scenario that does not say.
var DefaultWall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Scenario is everything about a run but its seed. It is a plain value: the same Scenario may be run many times.
// Times in it count from the start of the run. Names tie its parts together; [New] checks them.
type Scenario struct {
	Name  string
	About string // one line
	// Duration is how long the run lasts. Flows without Stop end [DrainTime] earlier, so that what is under
	// way at the end is not taken for lost.
	Duration time.Duration
	Wall     time.Time // the wall clock at the start; zero: DefaultWall
	Networks []Network
	Hosts    []Host
	Flows    []Flow
	Timeline []Action
	Faults   []Fault
	Attacks  []Attack
	// NoStranger leaves out the attack "stranger", which otherwise sends something unwelcome to every host that has
	// an address of its own on the Internet, every [StrangerInterval], for the silence checker.
	NoStranger bool
}

// DrainTime is how long before the end of a run a Flow without Stop ends.
const DrainTime = 5 * time.Second

// StrangerInterval is the time between two datagrams of the built-in stranger.
const StrangerInterval = 15 * time.Second

// Ratio is a probability Num/Den. The zero Ratio is never.
type Ratio struct{ Num, Den uint32 }

// Percent is n in a hundred.
func Percent(n uint32) Ratio { return Ratio{n, 100} }

// Network is where hosts are: a home, a café, a data centre. Its hosts reach each other directly, and the Internet
// through the network's NAT, if it has one, and then its line.
type Network struct {
	Name     string
	Prefix   netip.Prefix // of its hosts' addresses
	NAT      *NAT         // nil: hosts have public addresses
	Up, Down Line         // towards the Internet and from it
}

// Line is what happens to datagrams on one direction of a network's line.
type Line struct {
	Latency   time.Duration
	Jitter    time.Duration // up to so much is added, drawn anew for each datagram: so datagrams overtake each other
	Loss      Ratio
	Duplicate Ratio // a copy follows, with a jitter of its own
	Corrupt   Ratio // one to three bits of the UDP payload are flipped
}

// Dependence is how narrowly a NAT maps and filters (RFC 4787 §4.1 and §5).
type Dependence uint8

// The kinds of dependence.
const (
	EndpointIndependent   Dependence = iota // on nothing but the inside address and port
	AddressDependent                        // also on the outside address
	AddressPortDependent                    // also on the outside port ("symmetric")
	invalidFromDependence                   // the end of the list
)

// PortChoice is how a NAT picks the outside port of a new mapping.
type PortChoice uint8

// The choices.
const (
	PortRandom     PortChoice = iota // any free port from 1024 on, but not the one it had before
	PortSequential                   // the next free one
	PortPreserve                     // the inside port if it is free, else as PortRandom
	invalidFromPortChoice
)

// NAT translates addresses between a network and the Internet.
type NAT struct {
	Public         netip.Addr
	Mapping        Dependence
	Filtering      Dependence
	Ports          PortChoice
	Timeout        time.Duration // of an idle mapping; zero: never
	InboundRefresh bool          // traffic from outside keeps a mapping alive too
	Hairpin        bool          // hosts inside reach each other by their outside addresses
}

// Host is a machine with a WireGuard interface, in terms of wg(8). Its private key follows from the seed and its name.
type Host struct {
	Name    string
	Network string
	Address netip.Addr // outer address; zero: the next free one of the network
	Port    uint16     // listen port; zero: 51820
	Inner   []netip.Addr
	MTU     int // zero: 1420
	Peers   []Peer
	Forward bool // passes inner packets on that are not for itself
	// JobTime is how long one handshake job takes; zero: no time. Workers is how many jobs run at once; zero: 1.
	JobTime time.Duration
	Workers int
	Limits  protocol.Limits // zero Jobs: 32, so that a host costs little memory
}

// Peer is a peer of a Host, in terms of wg(8).
type Peer struct {
	Host       string
	AllowedIPs []netip.Prefix // nil: exactly the peer's Inner addresses
	Endpoint   string         // "": none; a host's name: the address it has at that moment; or "address:port"
	Keepalive  uint16         // persistent keepalive in seconds; 0: off
	PSK        string         // "": none; the preshared key follows from the seed and this word
}

// FlowKind is what a Flow sends.
type FlowKind uint8

// The kinds of flows.
const (
	FlowPing FlowKind = iota // ICMP echo requests; To answers
	FlowUDP                  // numbered UDP datagrams, one way
	invalidFromFlowKind
)

// Flow is inner traffic: a packet of Size every Interval from Start until Stop.
type Flow struct {
	Name     string // "": made from the other fields
	Kind     FlowKind
	From, To string
	IPv6     bool // use the hosts' IPv6 addresses
	Start    time.Duration
	Stop     time.Duration // zero: DrainTime before the end
	Interval time.Duration
	Size     int   // of the whole inner packet; zero: 84 for IPv4 and 104 for IPv6
	TOS      uint8 // of the inner header
	// Source, if valid, is written as the inner source instead of From's own address: a peer that lies.
	Source netip.Addr
}

// ActionKind is what happens at a point of the timeline.
type ActionKind uint8

// The actions. Behind each stand the fields of Action that it reads, besides At, Kind and Host.
const (
	ActionNone       ActionKind = iota
	ActionRoam                  // Network, Address, For: leave, be nowhere for a while, join (even the same network)
	ActionSleep                 // For, if not zero: then wake
	ActionWake                  //
	ActionRestart               // For: stop without a word, lose all state, start anew
	ActionInterface             // On: interface down or up
	ActionEndpoint              // Peer, Text: as Peer.Endpoint
	ActionKeepalive             // Peer, Number: seconds
	ActionPSK                   // Peer, Text: as Peer.PSK
	ActionRemovePeer            // Peer
	ActionAddPeer               // Peer: as the scenario has it
	ActionWallClock             // For: the wall clock jumps by this much, back if negative
	ActionRebindNAT             // Network; no Host: the NAT forgets all its mappings
	NumActionKinds
)

var actionNames = [NumActionKinds]string{"none", "roam", "sleep", "wake", "restart", "interface", "endpoint",
	"keepalive", "psk", "remove-peer", "add-peer", "wall-clock", "rebind-nat"}

// String gives the action's permanent name.
func (k ActionKind) String() string {
	if k < NumActionKinds {
		return actionNames[k]
	}
	return "invalid"
}

// Action is one point of the timeline.
type Action struct {
	At      time.Duration
	Kind    ActionKind
	Host    string
	Peer    string
	Network string
	Address netip.Addr // zero: the next free one
	For     time.Duration
	On      bool
	Number  uint16
	Text    string
}

// Fault is a rule about datagrams that holds for some of the time and some of the lines.
type Fault struct {
	Name        string
	Network     string // "": on every network's line
	Up, Down    bool   // both false: both directions
	From, Until time.Duration
	Rule        Rule
}

// AttackKind is what an attacker sends.
type AttackKind uint8

// The kinds of attacks.
const (
	AttackNone       AttackKind = iota
	AttackJunk                  // random bytes of random length
	AttackBadMAC                // an initiation with a wrong mac1
	AttackGoodMAC               // an initiation with a right mac1 and nothing else right
	AttackIndex                 // a transport message to a random index
	AttackReplay                // a datagram that the target took before
	AttackSlipCookie            // a cookie reply to nothing
	NumAttackKinds
)

var attackNames = [NumAttackKinds]string{"none", "junk", "bad-mac1", "good-mac1", "random-index", "replay",
	"stray-cookie"}

// String gives the attack's permanent name.
func (k AttackKind) String() string {
	if k < NumAttackKinds {
		return attackNames[k]
	}
	return "invalid"
}

// Attack is somebody without a key who sends datagrams to a host from an address of his own on the Internet.
type Attack struct {
	Name        string
	Address     netip.Addr // where from
	Targets     []string   // hosts, one after the other
	Kinds       []AttackKind
	From, Until time.Duration // zero Until: the end
	Interval    time.Duration // between two datagrams
}
