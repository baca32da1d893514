package scenario

import (
	"reflect"
	"slices"
	"strings"

	"github.com/purewire/purewire/transports/sim"
)

// A word is one of a closed list, with the fields that it alone reads, separated by spaces, and what it means in the
// engine.
type word[T any] struct {
	name   string
	fields string
	value  T
}

// names lists the words of a list.
func names[T any](list []word[T]) (n []string) {
	for _, w := range list {
		n = append(n, w.name)
	}
	return n
}

func lookUp[T any](list []word[T], name string) (word[T], bool) {
	for _, w := range list {
		if w.name == name {
			return w, true
		}
	}
	return word[T]{}, false
}

var flowKinds = []word[sim.FlowKind]{
	{"ping", "every size source", sim.FlowPing},
	{"udp", "every size source", sim.FlowUDP},
	{"poisson", "every size", sim.FlowPoisson},
	{"request", "every size reply timeout tries", sim.FlowRequest},
	{"bulk", "every bytes congestion window", sim.FlowBulk},
	{"voice", "every size playout", sim.FlowVoice},
}

const flowFields = "name kind from to ipv6 start stop stagger tos outage-floor"

var actionKinds = []word[sim.ActionKind]{
	{"roam", "host network address for overlap", sim.ActionRoam},
	{"sleep", "host for", sim.ActionSleep},
	{"wake", "host", sim.ActionWake},
	{"restart", "host for back", sim.ActionRestart},
	{"interface", "host state", sim.ActionInterface},
	{"endpoint", "host peer endpoint", sim.ActionEndpoint},
	{"keepalive", "host peer keepalive", sim.ActionKeepalive},
	{"psk", "host peer psk", sim.ActionPSK},
	{"remove-peer", "host peer", sim.ActionRemovePeer},
	{"add-peer", "host peer", sim.ActionAddPeer},
	{"wall-clock", "host by", sim.ActionWallClock},
	{"rebind-nat", "network", sim.ActionRebindNAT},
	{"home", "host network", sim.ActionHome},
	{"clock-step", "host by", sim.ActionClockStep},
	{"job-time", "host for", sim.ActionJobTime},
	{"rotate-key", "host for", sim.ActionRotateKey},
	{"allowed-ips", "host peer allowed-ips", sim.ActionAllowedIPs},
	{"no-key", "host for", sim.ActionNoKey},
	{"token", "host for", sim.ActionToken},
	{"no-entropy", "host for", sim.ActionNoEntropy},
	{"nonsense", "host", sim.ActionNonsense},
}

const actionFields = "at every times until when after stagger do"

var ruleKinds = []word[func(r *Rule) sim.Rule]{
	{"loss", "ratio", func(r *Rule) sim.Rule { return sim.Lose{Ratio: sim.Ratio(r.Ratio)} }},
	{"burst", "enter leave loss-good loss-bad", func(r *Rule) sim.Rule {
		return sim.Burst{Enter: sim.Ratio(r.Enter), Leave: sim.Ratio(r.Leave), LossGood: sim.Ratio(r.LossGood),
			LossBad: sim.Ratio(r.LossBad)}
	}},
	{"cut", "", func(*Rule) sim.Rule { return sim.Cut{} }},
	{"flap", "up-for down-for jitter", func(r *Rule) sim.Rule {
		return sim.Flap{Up: r.UpFor.time(), Down: r.DownFor.time(), Jitter: r.Jitter.time()}
	}},
	{"block", "ports", func(r *Rule) sim.Rule { return sim.Block{Ports: r.Ports} }},
	{"duplicate", "ratio", func(r *Rule) sim.Rule { return sim.Duplicate{Ratio: sim.Ratio(r.Ratio)} }},
	{"reorder", "ratio by", func(r *Rule) sim.Rule {
		return sim.Reorder{Ratio: sim.Ratio(r.Ratio), By: r.By.time()}
	}},
	{"corrupt", "ratio", func(r *Rule) sim.Rule { return sim.Corrupt{Ratio: sim.Ratio(r.Ratio)} }},
	{"truncate", "ratio", func(r *Rule) sim.Rule { return sim.Truncate{Ratio: sim.Ratio(r.Ratio)} }},
	{"extend", "ratio most", func(r *Rule) sim.Rule {
		return sim.Extend{Ratio: sim.Ratio(r.Ratio), Most: r.Most}
	}},
	{"delay", "min max", func(r *Rule) sim.Rule { return sim.Late{Min: r.Min.time(), Max: r.Max.time()} }},
	{"jitter", "base max shape ordered", func(r *Rule) sim.Rule {
		shape, _ := lookUp(shapes, r.Shape)
		return sim.Jitter{Base: r.Base.time(), Most: r.Max.time(), Shape: shape.value, Ordered: r.Ordered}
	}},
	{"queue", "rate limit codel target interval", func(r *Rule) sim.Rule {
		return sim.Queue{Rate: uint64(r.Rate), Limit: r.Limit, CoDel: r.CoDel, Target: r.Target.time(),
			Interval: r.Interval.time()}
	}},
	{"mtu", "size too-big fragment-loss", func(r *Rule) sim.Rule {
		big, _ := lookUp(tooBigs, r.TooBig)
		return sim.MTU{Size: r.Size, TooBig: big.value, FragmentLoss: sim.Ratio(r.FragmentLoss)}
	}},
	{"trace", "csv loop", func(r *Rule) sim.Rule {
		trace, _ := sim.ParseTrace(strings.NewReader(r.CSV)) // the compiler has looked at it
		trace.Loop = r.Loop
		return trace
	}},
}

var attackKinds = []word[sim.AttackKind]{
	{"junk", "", sim.AttackJunk},
	{"bad-mac1", "", sim.AttackBadMAC},
	{"good-mac1", "", sim.AttackGoodMAC},
	{"random-index", "", sim.AttackIndex},
	{"replay", "", sim.AttackReplay},
	{"stray-cookie", "", sim.AttackSlipCookie},
	{"recorded", "", sim.AttackRecorded},
	{"forged-cookie", "", sim.AttackForgedCookie},
	{"bit-flip", "", sim.AttackBitFlip},
	{"broken-cookie", "", sim.AttackBrokenCookie},
	{"low-order", "", sim.AttackLowOrder},
	{"impostor", "", sim.AttackImpostor},
	{"with-cookie", "", sim.AttackWithCookie},
}

var dependences = []word[sim.Dependence]{
	{"endpoint", "", sim.EndpointIndependent},
	{"address", "", sim.AddressDependent},
	{"address-port", "", sim.AddressPortDependent},
}

var portChoices = []word[sim.PortChoice]{
	{"random", "", sim.PortRandom},
	{"sequential", "", sim.PortSequential},
	{"preserve", "", sim.PortPreserve},
}

var shapes = []word[sim.Shape]{
	{"uniform", "", sim.ShapeUniform},
	{"normal", "", sim.ShapeNormal},
	{"pareto", "", sim.ShapePareto},
}

var tooBigs = []word[sim.TooBig]{
	{"fragment", "", sim.TooBigFragment},
	{"black-hole", "", sim.TooBigBlackHole},
	{"report", "", sim.TooBigReport},
}

var congestions = []word[sim.Congestion]{
	{"reno", "", sim.CongestionReno},
	{"cubic", "", sim.CongestionCUBIC},
}

var directions = []word[[2]bool]{
	{"both", "", [2]bool{}},
	{"up", "", [2]bool{true, false}},
	{"down", "", [2]bool{false, true}},
}

// strayField finds a field of v that is set and that is not in one of the lists of names.
func strayField(v any, allowed ...string) (name string, found bool) {
	list := strings.Fields(strings.Join(allowed, " "))
	rv := reflect.ValueOf(v)
	for _, f := range fieldsOf(rv.Type()) {
		if !rv.FieldByIndex(f.index).IsZero() && !slices.Contains(list, f.name) {
			return f.name, true
		}
	}
	return "", false
}
