package scenario

// about says of each field what it is, by Go type and YAML name: one sentence each, for the schema and the reference in
// docs/SCENARIOS.md. TestEveryFieldIsDescribed keeps it complete.
var about = []struct{ field, text string }{
	{"File.version", "the version of the format, 1"},
	{"File.name", "the name of the scenario"},
	{"File.about", "one line on what happens"},
	{"File.question", "the question that the scenario answers"},
	{"File.answer", "the answer"},
	{"File.duration", "how long the run lasts; traffic without stop ends 5 s earlier"},
	{"File.warm-up", "expectations that name no time are about the run from here on"},
	{"File.wall", "the wall clock at the start, RFC 3339; 2026-01-01T00:00:00Z if left out"},
	{"File.heal", "when all trouble ends; from then on each pair that owes it must recover"},
	{"File.no-stranger", "leaves out the attacker that sends something unwelcome every 15 s"},
	{"File.seed", "the seed of the run if the command line names none; 1 if left out"},
	{"File.links", "lines that networks refer to, besides the built-in ones"},
	{"File.nats", "kinds of NAT that networks refer to, besides the built-in ones"},
	{"File.networks", "where hosts are"},
	{"File.hosts", "machines with a WireGuard interface"},
	{"File.traffic", "inner traffic"},
	{"File.timeline", "what happens to hosts and NATs"},
	{"File.faults", "trouble on lines for some of the time"},
	{"File.attacks", "attackers on the Internet"},
	{"File.expect", "what is expected of the run, in sentences"},
	{"Link.name", "what networks call it"},
	{"Link.latency", "delay of every datagram"},
	{"Link.jitter", "at most so much more, drawn for each datagram"},
	{"Link.loss", "share that is lost"},
	{"Link.duplicate", "share that comes twice"},
	{"Link.corrupt", "share in which one to three bits are flipped"},
	{"Link.shape", "distribution of the jitter"},
	{"Link.ordered", "datagrams do not overtake each other"},
	{"Link.rules", "further rules, met in this order before the delay"},
	{"Rule.kind", "what it does"},
	{"Rule.ratio", "share of the datagrams that it happens to"},
	{"Rule.min", "least delay"},
	{"Rule.max", "greatest delay; of jitter: greatest jitter"},
	{"Rule.base", "delay that the jitter is added to"},
	{"Rule.shape", "distribution of the jitter"},
	{"Rule.ordered", "datagrams do not overtake each other"},
	{"Rule.by", "how long a datagram is held back"},
	{"Rule.most", "at most so many bytes are added"},
	{"Rule.enter", "share after which the line turns bad"},
	{"Rule.leave", "share after which it turns good again"},
	{"Rule.loss-good", "share lost while it is good"},
	{"Rule.loss-bad", "share lost while it is bad; all if left out"},
	{"Rule.up-for", "how long the link stays up"},
	{"Rule.down-for", "how long it stays down"},
	{"Rule.jitter", "each time at most so much longer"},
	{"Rule.ports", "UDP ports that are blocked; all if left out"},
	{"Rule.size", "longest outer IP packet in bytes"},
	{"Rule.too-big", "what happens to longer ones"},
	{"Rule.fragment-loss", "share of the fragments that is lost"},
	{"Rule.rate", "bits per second"},
	{"Rule.limit", "bytes that may wait"},
	{"Rule.codel", "CoDel instead of a mere tail drop"},
	{"Rule.target", "target of CoDel"},
	{"Rule.interval", "interval of CoDel"},
	{"Rule.csv", "lines of time, delay, loss"},
	{"Rule.loop", "begin again at the end"},
	{"NAT.name", "what networks call it"},
	{"NAT.mapping", "what a mapping depends on besides the inside (RFC 4787 §4.1)"},
	{"NAT.filtering", "who may use a mapping from outside (RFC 4787 §5)"},
	{"NAT.ports", "how the outside port is chosen"},
	{"NAT.timeout", "of an idle mapping; never if left out"},
	{"NAT.inbound-refresh", "traffic from outside keeps a mapping too"},
	{"NAT.hairpin", "hosts inside reach each other by their outside addresses"},
	{"NAT.mappings", "how many mappings it holds; as many as ports if left out"},
	{"NAT.evict", "when it is full, the one idle for longest makes room"},
	{"Network.name", "its name; with <i> if there is a count"},
	{"Network.count", "so many of them, with <i> from 1"},
	{"Network.prefix", "of its hosts' addresses; 10.0.0.0/24+<i> is the <i>th block behind"},
	{"Network.nat", "kind of its NAT; none if left out"},
	{"Network.public", "outside address of its NAT"},
	{"Network.behind", "network in which its NAT is; the Internet if left out"},
	{"Network.firewall", "a packet filter at its border; {} keeps state and opens nothing"},
	{"Network.link", "its line in both directions"},
	{"Network.up", "its line towards the Internet, if another"},
	{"Network.down", "its line from the Internet, if another"},
	{"Firewall.timeout", "of an idle conversation; never if left out"},
	{"Firewall.open", "ports of its hosts to which everybody may send"},
	{"Firewall.out-ports", "ports to which its hosts may send; all if left out"},
	{"Firewall.block-udp", "lets no UDP pass"},
	{"Host.name", "its name; with <i> if there is a count; its keys follow from it and the seed"},
	{"Host.count", "so many of them, with <i> from 1"},
	{"Host.network", "where it is at first"},
	{"Host.address", "outer address; the next free one if left out; 192.0.2.0+<i> counts up"},
	{"Host.port", "listen port, 51820"},
	{"Host.inner", "inner addresses; 10.77.0.0+<i> counts up"},
	{"Host.mtu", "of the interface, 1420"},
	{"Host.forward", "passes inner packets on that are not for itself"},
	{"Host.job-time", "how long it takes to do one handshake job"},
	{"Host.workers", "jobs at once, 1"},
	{"Host.limits", "bounds of its core"},
	{"Host.homes", "further networks that it is in"},
	{"Host.drift-ppm", "millionths by which its clocks go too fast"},
	{"Host.no-rtc", "boots in 1970"},
	{"Host.time-sync", "so long after a boot it learns the time"},
	{"Host.steals", "host whose private key it has too"},
	{"Host.key", "private key in base64; it follows from the name and the seed if left out"},
	{"Host.peers", "its tunnels, in terms of wg(8)"},
	{"Limits.staged-packets", "packets that wait for a handshake, per peer"},
	{"Limits.staged-bytes", "bytes that wait for handshakes"},
	{"Limits.jobs", "handshake jobs under way, 32"},
	{"Limits.handshakes-per-second", "initiations per second before cookies are demanded"},
	{"Limits.cookies-per-second", "cookie replies per second"},
	{"Limits.cookies-per-source", "cookie replies per second and source"},
	{"Home.network", "a network"},
	{"Home.address", "address there; the next free one if left out"},
	{"Peer.host", "host, or a pattern such as spoke-*: one peer for each"},
	{"Peer.allowed-ips", "prefixes; the peer's inner addresses if left out; [none] for none"},
	{"Peer.endpoint", "host or address:port; <peer> is the peer's name"},
	{"Peer.keepalive", "persistent keepalive in seconds"},
	{"Peer.psk", "preshared key in base64, or a word from which one follows; both ends need the same"},
	{"Flow.name", "what expectations call it"},
	{"Flow.kind", "what it sends"},
	{"Flow.from", "host or pattern"},
	{"Flow.to", "host or pattern"},
	{"Flow.ipv6", "between the IPv6 addresses"},
	{"Flow.start", "when it begins"},
	{"Flow.stop", "when it ends; 5 s before the end if left out"},
	{"Flow.stagger", "so much later for each further pair of a pattern"},
	{"Flow.every", "time between two packets, questions, frames or transfers"},
	{"Flow.size", "of the inner packet in bytes"},
	{"Flow.tos", "of the inner header"},
	{"Flow.source", "inner source address to lie with"},
	{"Flow.reply", "size of the answer in bytes"},
	{"Flow.timeout", "after which a question is asked again, 1s"},
	{"Flow.tries", "how often a question is asked, 3"},
	{"Flow.bytes", "of a transfer; as many as there is time for if left out"},
	{"Flow.congestion", "how TCP finds its rate"},
	{"Flow.window", "bytes that the receiver has room for"},
	{"Flow.playout", "buffer of a call, 60ms"},
	{"Flow.outage-floor", "shorter outages are not counted in the report"},
	{"Action.at", "when; with when: not before"},
	{"Action.every", "again and again so long after"},
	{"Action.times", "so often"},
	{"Action.until", "not at this time any more"},
	{"Action.when", "the condition that starts it, once"},
	{"Action.after", "so long after the condition came true"},
	{"Action.stagger", "so much later for each further host of a pattern"},
	{"Action.do", "what happens"},
	{"Action.host", "host or pattern"},
	{"Action.peer", "peer that it is about"},
	{"Action.network", "network that it is about"},
	{"Action.address", "outer address to take"},
	{"Action.for", "how long it lasts"},
	{"Action.by", "by how much the clock jumps, back if negative"},
	{"Action.overlap", "the old address stays so long beside the new one"},
	{"Action.back", "the wall clock comes up so far behind"},
	{"Action.state", "up or down"},
	{"Action.keepalive", "seconds; 0 if left out"},
	{"Action.endpoint", "host or address:port"},
	{"Action.psk", "word of the new preshared key; none if left out"},
	{"Action.allowed-ips", "prefixes that are the peer's from now on"},
	{"Fault.name", "what reports call it"},
	{"Fault.network", "on the line of this network; on all if left out"},
	{"Fault.far", "only what goes to or comes from this network"},
	{"Fault.direction", "up is towards the Internet"},
	{"Fault.from", "when it begins"},
	{"Fault.until", "when it ends; never if left out"},
	{"Attack.name", "what reports call it"},
	{"Attack.address", "where it comes from"},
	{"Attack.targets", "hosts or patterns"},
	{"Attack.kinds", "what it sends, in turns"},
	{"Attack.from", "when it begins"},
	{"Attack.until", "when it ends; never if left out"},
	{"Attack.every", "time between two datagrams"},
	{"Attack.sources", "how many made-up addresses it comes from"},
}

// closed lists the words of the fields that take one of a list.
func closed(field string) []string {
	switch field {
	case "Rule.kind":
		return names(ruleKinds)
	case "Rule.too-big":
		return names(tooBigs)
	case "Link.shape", "Rule.shape":
		return names(shapes)
	case "NAT.mapping", "NAT.filtering":
		return names(dependences)
	case "NAT.ports":
		return names(portChoices)
	case "Flow.kind":
		return names(flowKinds)
	case "Flow.congestion":
		return names(congestions)
	case "Action.do":
		return names(actionKinds)
	case "Action.state":
		return []string{"up", "down"}
	case "Fault.direction":
		return names(directions)
	case "Attack.kinds":
		return names(attackKinds)
	}
	return nil
}

// required reports whether a field must be there.
func required(field string) bool {
	switch field {
	case "File.version", "File.name", "File.duration", "File.networks", "File.hosts", "Link.name", "NAT.name",
		"Network.name", "Network.prefix", "Host.name", "Host.network", "Home.network", "Peer.host", "Flow.kind", "Flow.from",
		"Flow.to", "Action.do", "Rule.kind", "Fault.name", "Attack.name", "Attack.targets", "Attack.kinds", "Attack.every":
		return true
	}
	return false
}
