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
	// Heal, if not zero, is when all trouble ends: faults, attacks and whatever makes lines lose, damage or hold up
	// stop; who sleeps wakes, who is down starts, who has its interface down takes it up. No point of the Timeline may
	// lie behind it. From then on the checker "recovery" holds each pair that owes it to recover; see [Liveness].
	Heal time.Duration
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
	Firewall *Firewall    // nil: everything passes; it stands between the NAT and the line
	// Behind names the network in which this one's NAT is (carrier-grade, double NAT): NAT.Public is then an address
	// of that network, and what leaves goes over this network's line and then through that one's. "": the Internet.
	Behind   string
	Up, Down Line // towards the Internet and from it
}

// Line is what happens to datagrams on one direction of a network's line.
type Line struct {
	Latency   time.Duration
	Jitter    time.Duration // up to so much is added, drawn anew for each datagram: so datagrams overtake each other
	Loss      Ratio
	Duplicate Ratio // a copy follows, with a jitter of its own
	Corrupt   Ratio // one to three bits of the UDP payload are flipped
	Shape     Shape // how the jitter is distributed
	// Ordered keeps datagrams from overtaking each other, whatever the jitter.
	Ordered bool
	// Rules are met after Corrupt and before the delay, in this order: [Burst], [Reorder], [Queue], [MTU], [Trace], …
	Rules []Rule
}

// Shape is a distribution of a random delay between 0 and a greatest one.
type Shape uint8

// The shapes.
const (
	ShapeUniform Shape = iota // every value is equally likely
	ShapeNormal               // bell-shaped around the middle, which is four deviations wide on each side
	ShapePareto               // mostly near zero, with a heavy tail: half of all within 1/100 of the greatest
	invalidFromShape
)

// Firewall is a packet filter at the border of a network. One with none of its fields set keeps state: what was asked
// for from inside is let in, and nothing else.
type Firewall struct {
	Timeout  time.Duration // of the state of an idle conversation; zero: never
	Open     []uint16      // ports of its hosts to which everybody may send
	OutPorts []uint16      // ports to which its hosts may send; nil: all
	BlockUDP bool          // no UDP at all, in or out
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
	// Mappings is how many mappings it can hold; zero: as many as there are ports. Evict: when it is full, the one that
	// was idle for longest makes room; otherwise what needs a new one is dropped.
	Mappings int
	Evict    bool
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
	// Homes are further addresses on other networks (a multi-homed host). It sends from the address at which its peer
	// reached it, if it still has it, and else from the one of its default route: at first Network's.
	Homes []Home
	// DriftPPM is by how many millionths its clocks go too fast, or too slow if negative: from -100000 to 100000.
	DriftPPM int32
	// NoRTC: at every boot its wall clock is at 1970-01-01, as that of a small router without a battery.
	// TimeSync is how long after a boot it then learns the right time; zero: never.
	NoRTC    bool
	TimeSync time.Duration
	// Steals names a host whose private key this one has too. It needs the peers of that host, by the same names;
	// they know nothing of it.
	Steals string
	// Key, if not nil, is its private key at first, instead of the one that follows from the seed and its name.
	Key *protocol.PrivateKey
}

// Home is an address of a multi-homed host.
type Home struct {
	Network string
	Address netip.Addr // zero: the next free one of the network
}

// Peer is a peer of a Host, in terms of wg(8).
type Peer struct {
	Host       string
	AllowedIPs []netip.Prefix // nil: exactly the peer's Inner addresses
	Endpoint   string         // "": none; a host's name: the address it has at that moment; or "address:port"
	Keepalive  uint16         // persistent keepalive in seconds; 0: off
	PSK        string         // "": none; the preshared key follows from the seed and this word
}

// ActionKind is what happens at a point of the timeline.
type ActionKind uint8

// The actions. Behind each stand the fields of Action that it reads, besides At, Kind and Host.
const (
	ActionNone       ActionKind = iota
	ActionRoam                  // Network, Address, For, Overlap: leave, be nowhere for a while, join (even the same)
	ActionSleep                 // For, if not zero: then wake
	ActionWake                  //
	ActionRestart               // For, Back: stop without a word, lose all state, start anew
	ActionInterface             // On: interface down or up
	ActionEndpoint              // Peer, Text: as Peer.Endpoint
	ActionKeepalive             // Peer, Number: seconds
	ActionPSK                   // Peer, Text: as Peer.PSK
	ActionRemovePeer            // Peer
	ActionAddPeer               // Peer: as the scenario has it
	ActionWallClock             // For: the wall clock jumps by this much, back if negative
	ActionRebindNAT             // Network; no Host: the NAT forgets all its mappings
	ActionHome                  // Network: the default route moves to another of the host's homes
	ActionClockStep             // For: the monotonic clock that the core is given jumps, and the wall clock with it
	ActionJobTime               // For: how long one handshake job takes from now on
	ActionRotateKey             // For: a new private key now; its peers learn the public key so much later
	ActionAllowedIPs            // Peer, Prefixes: these are the peer's from now on, and no other peer's
	ActionNoKey                 // For: the interface has no private key for so long
	ActionToken                 // For: what holds the private key does not answer for so long
	ActionNoEntropy             // For: the random source fails for so long
	ActionNonsense              // something that is no IP packet goes into the tunnel
	NumActionKinds
)

var actionNames = [NumActionKinds]string{"none", "roam", "sleep", "wake", "restart", "interface", "endpoint",
	"keepalive", "psk", "remove-peer", "add-peer", "wall-clock", "rebind-nat", "home", "clock-step", "job-time",
	"rotate-key", "allowed-ips", "no-key", "token", "no-entropy", "nonsense"}

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
	When    Trigger       // nil: it happens at At; otherwise once, when this comes true at At or later
	After   time.Duration // so long after When came true
	Kind    ActionKind
	Host    string
	Peer    string
	Network string
	Address netip.Addr // zero: the next free one
	For     time.Duration
	// Overlap, in a roaming with zero For: the new address comes first, and the old one stays for so long.
	Overlap time.Duration
	// Back: the wall clock comes up so far behind where it was, as after a restored snapshot.
	Back     time.Duration
	On       bool
	Number   uint16
	Text     string
	Prefixes []netip.Prefix
}

// Fault is a rule about datagrams that holds for some of the time and some of the lines.
type Fault struct {
	Name        string
	Network     string // "": on every network's line
	Far         string // only what goes to or comes from this network; "": all
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
	// Those that follow are by somebody on the path, who hears all that goes to a target or comes from it.
	AttackRecorded     // any datagram for a target, taken or lost, once more
	AttackForgedCookie // a cookie reply to an initiation of a target, at once
	AttackBitFlip      // a datagram for a target with one bit changed, from its true source, ahead of it
	AttackBrokenCookie // as AttackForgedCookie, but its tag is wrong
	// And these by somebody who knows the protocol and the public keys.
	AttackLowOrder   // an initiation with an ephemeral key of low order
	AttackImpostor   // an initiation with the static key of a peer sealed in, but not the timestamp
	AttackWithCookie // as AttackGoodMAC, with a right mac2 once the target has given it a cookie; from its own address
	NumAttackKinds
)

var attackNames = [NumAttackKinds]string{"none", "junk", "bad-mac1", "good-mac1", "random-index", "replay",
	"stray-cookie", "recorded", "forged-cookie", "bit-flip", "broken-cookie", "low-order", "impostor",
	"with-cookie"}

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
	Interval    time.Duration // between two datagrams; of reactions: the least time between two
	// Sources is from how many addresses, all made up, it seems to come; zero or one: its own.
	Sources int
}
