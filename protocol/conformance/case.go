package conformance

import (
	"time"
)

// Level is how binding a rule is (rules.md §0.1).
type Level string

// The levels.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
	May    Level = "MAY"
	Impl   Level = "IMPL"
)

// Isolation is how much of a target a case needs for itself in real time.
type Isolation string

// The isolations.
const (
	// Shared cases have a peer key of their own on a subject that others use too.
	Shared Isolation = "shared"
	// OwnInstance cases change what all peers share (key, port, MTU, up and down, restart): up to four at once.
	OwnInstance Isolation = "own-instance"
	// QuietMachine cases make floods: alone, after all others.
	QuietMachine Isolation = "quiet-machine"
)

// Need is something that a target may lack.
type Need uint32

// The needs. A case runs only on a target that has all of its own.
const (
	NeedInner     Need = 1 << iota // inner packets can be put in and seen
	NeedConfigure                  // peers, keys, allowed IPs can be changed while it runs
	NeedInterface                  // port, mark, MTU, up and down too
	NeedRestart                    // it can be killed and started
	NeedState                      // it says what it knows of its peers
	NeedUAPI                       // the text protocol
	NeedWall                       // its wall clock can be set
	NeedVirtual                    // its time is ours
	NeedLoad                       // it can be brought under load: by a flood, or by modelled time
	NeedTOS                        // the outer TOS byte can be set and seen
	NeedOuter                      // outer IP headers can be seen
	NeedIPv6                       // outer IPv6
	NeedHost                       // its host's own stack can use the interface
	NeedSources                    // the tester may send from many addresses
	NeedErrors                     // the ICMP errors that it makes up for its host are seen
)

// Capabilities are what a target can do.
type Capabilities struct {
	Name    string // "core", "exec:wireguard-go"
	Version string
	Has     Need
	Lacks   map[Need]string // why not, for the reports
	Virtual bool            // its time is ours
	// Kind picks the column of the tolerance table (rules.md §0.4): "exact", "go", "kernel", "poll250", "remote".
	Kind string
	// HZ is how often a second the timers of a "kernel" are looked at. It makes that column exact; 0: not known.
	HZ int
	// Layer is how much of WireGuard it is; empty: LayerDevice. See Beyond.
	Layer Layer
	// RTT is added to every upper bound: what the way to the target and back takes.
	RTT time.Duration
	// Single says that there can be one instance at a time only, as with a device that one cannot have twice: cases
	// that need one for themselves then run one after the other, when the shared ones are done.
	Single bool
	// Given is what the target is like if it was configured before the run and stays so; nil: it can be configured.
	Given *Given
	// Pace is the time between two initiations to an instance that cases share; 0: 25 ms. A target for which the suite
	// and the subject have one slow processor between them wants more.
	Pace time.Duration
}

// Case is one test: something is done to a subject, and one thing decides.
type Case struct {
	ID        string   // words, never changed: "handshake/response/low-order-ephemeral"
	Rules     []string // at most three, which the deciding assertion is about
	Level     Level    // of the strictest of them
	Isolation Isolation
	Needs     Need
	Title     string        // what it shows, in one line
	Why       string        // why it matters, for who never heard of the rule
	Bug       string        // a real bug that it would have caught, as known-bugs.md names it; may be empty
	Lasts     time.Duration // subject's time that it takes at most: for the plan; an overrun is an error
	// Setup changes how the subject starts. Only for cases that are not Shared.
	Setup func(*Setup)
	// V6 puts the test's peers on outer IPv6; see bothFamilies.
	V6 bool
	// Device says that a given target (Capabilities.Given) is enough: then NeedConfigure is not needed, nor NeedInner if
	// it has an echo.
	Device bool
	// Role is who initiates in Peer.Handshake; see bothRoles.
	Role Role
	Run  func(*T)
}

// Role is a part that the subject plays.
type Role string

// The roles. The zero Role is Responder.
const (
	Responder Role = "responder"
	Initiator Role = "initiator"
)

// bothFamilies makes two cases of one: ID/ipv4 and ID/ipv6.
func bothFamilies(c Case) []Case {
	four, six := c, c
	four.ID, six.ID = c.ID+"/ipv4", c.ID+"/ipv6"
	four.Title, six.Title = c.Title+", over IPv4", c.Title+", over IPv6"
	six.V6 = true
	six.Needs |= NeedIPv6
	return []Case{four, six}
}

// bothRoles makes two cases of one: ID/responder and ID/initiator, which is what the subject is.
func bothRoles(c Case) []Case {
	r, i := c, c
	r.ID, i.ID = c.ID+"/responder", c.ID+"/initiator"
	r.Title, i.Title = c.Title+", as responder", c.Title+", as initiator"
	r.Role, i.Role = Responder, Initiator
	i.Needs |= NeedInner
	return []Case{r, i}
}
