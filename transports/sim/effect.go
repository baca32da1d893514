package sim

// FaultKind is a kind of trouble that the simulator can make. The list is closed and its names are permanent, so that
// it can be counted which of them a set of runs has exercised.
type FaultKind uint8

// The kinds. Behind each stands what is counted as taking effect.
const (
	FaultNone           FaultKind = iota
	FaultLoss                     // a datagram lost by [Lose]
	FaultBurstLoss                // lost by [Burst]
	FaultDuplicate                // a copy made
	FaultReorder                  // a datagram held back by [Reorder]
	FaultCorrupt                  // bits flipped by [Corrupt]
	FaultTruncate                 // bytes cut off by [Truncate]
	FaultExtend                   // bytes added by [Extend]
	FaultDelay                    // delay added by [Late]
	FaultJitter                   // jitter added, uniform
	FaultNormalJitter             // jitter added, bell-shaped
	FaultHeavyTail                // jitter added, of a heavy tail
	FaultTrace                    // delayed or lost as a [Trace] says
	FaultQueueDelay               // a datagram that waited in a [Queue]
	FaultTailDrop                 // dropped by a full one
	FaultCoDel                    // dropped by CoDel
	FaultMTUBlackHole             // too big, and dropped without a word
	FaultMTUReport                // too big, and dropped with a report, which makes its sender cut up the next
	FaultFragment                 // sent in fragments
	FaultFragmentLoss             // lost because one fragment was
	FaultPartition                // dropped by a [Cut] of both directions
	FaultOneWay                   // dropped by a [Cut] of one direction
	FaultFlap                     // dropped by a [Flap]
	FaultFirewall                 // dropped by a firewall: nobody had asked for it
	FaultBlockedUDP               // dropped because no UDP passes
	FaultBlockedPort              // dropped because of its port
	FaultNATFilter                // dropped by a NAT: no mapping, or its filter
	FaultNATExpiry                // a mapping that had expired was needed: by traffic from inside or outside
	FaultNATRebind                // mappings forgotten at once
	FaultNATOverflow              // a full NAT dropped a datagram or threw out a mapping
	FaultHairpin                  // a datagram to the NAT's own outside, turned back or dropped
	FaultDoubleNAT                // translated twice
	FaultRoam                     // an address left, with nothing or a gap before the next
	FaultRoamOverlap              // a new address while the old one stayed
	FaultSourceChange             // the default route moved to another home
	FaultDrift                    // a core called with a clock that has drifted from the run's
	FaultClockStep                // the monotonic clock stepped
	FaultWallJump                 // the wall clock jumped
	FaultNoRTC                    // a boot in 1970
	FaultSleep                    // a host fell asleep
	FaultRestart                  // a host lost its state
	FaultRestoredClock            // one came back with an older wall clock
	FaultInterface                // an interface taken down
	FaultSlowCPU                  // a handshake job that took time
	FaultRotateKey                // a host got another private key
	FaultRotatePSK                // a preshared key changed
	FaultRemovePeer               // a peer removed
	FaultAddPeer                  // a peer added
	FaultMoveAllowedIPs           // allowed IPs moved
	FaultMoveEndpoint             // an endpoint set
	FaultKeepalive                // a persistent keepalive changed
	FaultJunk                     // nonsense sent by an attacker: random bytes, wrong mac1, random index, stray cookie
	FaultReplay                   // a datagram sent once more by an attacker
	FaultFlood                    // an initiation with a right mac1, from the attacker's own address
	FaultSpoofedFlood             // the same from a made-up address
	FaultForgedCookie             // a forged cookie reply sent
	FaultBitFlip                  // a changed copy sent ahead of a datagram
	FaultStolenKey                // a datagram sent by a host with a stolen key
	FaultNoKey                    // an interface lost its private key for a while
	FaultToken                    // a Diffie-Hellman that the holder of the private key did not do
	FaultNoEntropy                // random bytes that were not to be had
	FaultNonsense                 // something that is no IP packet, put into a tunnel
	FaultImpostor                 // an initiation in the name of a peer, or with a key of low order
	FaultCookieFlood              // an initiation from an attacker who shows cookies
	NumFaultKinds
)

var faultNames = [NumFaultKinds]string{"none", "loss", "burst-loss", "duplicate", "reorder", "corrupt", "truncate",
	"extend", "delay", "jitter", "normal-jitter", "heavy-tail", "trace", "queue-delay", "tail-drop", "codel",
	"mtu-black-hole", "mtu-report", "fragment", "fragment-loss", "partition", "one-way", "flap", "firewall",
	"blocked-udp", "blocked-port", "nat-filter", "nat-expiry", "nat-rebind", "nat-overflow", "hairpin", "double-nat",
	"roam", "roam-overlap", "source-change", "clock-drift", "clock-step", "wall-jump", "no-rtc", "sleep", "restart",
	"restored-clock", "interface", "slow-cpu", "rotate-key", "rotate-psk", "remove-peer", "add-peer",
	"move-allowed-ips", "move-endpoint", "keepalive-change", "junk", "replay", "flood", "spoofed-flood",
	"forged-cookie", "bit-flip", "stolen-key", "no-key", "lost-token", "no-entropy", "nonsense", "impostor",
	"cookie-flood"}

// String gives the kind's permanent name.
func (k FaultKind) String() string {
	if k < NumFaultKinds {
		return faultNames[k]
	}
	return "invalid"
}

// FaultKinds lists all kinds of trouble, without FaultNone, in a fixed order.
func FaultKinds() []FaultKind {
	var list []FaultKind
	for k := FaultNone + 1; k < NumFaultKinds; k++ {
		list = append(list, k)
	}
	return list
}

// took counts that a kind of trouble took effect.
func (s *Sim) took(k FaultKind) { s.effects[k]++ }
