package explain

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
)

// identities tells what the keys show: who is not who he should be, and whose clock went back.
func (a *analysis) identities(t *tunnel) {
	a.wrongPublicKey(t)
	a.unknownPeer(t)
	a.clockBack(t)
	a.wrongPSK(t)
}

// wrongPublicKey: mac1 of an initiation is made with the key that its sender has for the receiver (COOKIE-01).
func (a *analysis) wrongPublicKey(t *tunnel) {
	if len(a.ring.publics) == 0 {
		return
	}
	for side := range 2 {
		var bad []*message
		good := 0
		for _, m := range t.messages {
			if m.from != side || m.kind != initiation && m.kind != response {
				continue
			}
			if m.ident.mac1 == forged {
				bad = append(bad, m)
			}
			if m.ident.mac1 == genuine {
				good++
			}
		}
		if len(bad) == 0 {
			continue
		}
		if good > 0 {
			f := Finding{Kind: "bad-mac1", Certainty: Certain, From: bad[0].at, To: bad[len(bad)-1].at, weight: 35}
			f.Title = fmt.Sprintf("%d handshake messages from %s have a wrong mac1, %d a right one", len(bad), t.side(side),
				good)
			f.Text = "They are dropped without a word (COOKIE-02)."
			f.Or = []string{"they are forged", "they were damaged on the way", "the key was changed meanwhile"}
			a.find(t, f, bad...)
			continue
		}
		f := Finding{Kind: "wrong-public-key", Certainty: Possible, From: bad[0].at, To: bad[len(bad)-1].at, weight: 97}
		f.Title = fmt.Sprintf("wrong public key (mac1): %s does not use the public key of %s", t.side(side), t.side(1-side))
		f.Text = fmt.Sprintf("mac1 of %d handshake messages is made for none of the keys in the files given.", len(bad))
		f.Or = []string{"the files do not belong to this tunnel"}
		owner := a.listener(t, 1-side)
		if owner != nil {
			f.Certainty, f.Or = Likely, []string{"somebody else sends them, who does not know the key"}
		}
		if owner != nil {
			f.Text += fmt.Sprintf(" %s listens at that port and drops them without a word (COOKIE-02).", owner.name)
			f.Advice = fmt.Sprintf("PublicKey of the peer must be %s as %s has it.", shortKey(owner.public), owner.name)
		}
		a.find(t, f, bad...)
	}
}

// listener is the one configuration whose port is that of a side, if there is only one.
func (a *analysis) listener(t *tunnel, side int) (found *conf) {
	port := t.ends[side].first.Port()
	for _, c := range a.ring.confs {
		if c.port == port && port != 0 {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

func (a *analysis) unknownPeer(t *tunnel) {
	var packets []*message
	var by, to key
	for _, m := range t.messages {
		if m.kind != initiation || m.ident.static != genuine {
			continue
		}
		if c := a.ring.conf(m.ident.to); c != nil && c.peer(m.ident.by) == nil {
			packets, by, to = append(packets, m), m.ident.by, m.ident.to
		}
	}
	if len(packets) == 0 {
		return
	}
	f := Finding{Kind: "unknown-peer", Certainty: Certain, From: packets[0].at, To: packets[len(packets)-1].at, weight: 97}
	f.Title = fmt.Sprintf("%s does not know the key of %s", a.ring.name(to), a.ring.name(by))
	f.Text = fmt.Sprintf("The initiations are made with the key %s, for which the configuration of %s has no peer: it "+
		"drops them "+
		"without a word (HS-05).", shortKey(by), a.ring.name(to))
	f.Advice = "Add a [Peer] with that key, or correct the key on one side."
	a.find(t, f, packets...)
}

// clockBack: only timestamps newer than all before are accepted (TAI-02).
func (a *analysis) clockBack(t *tunnel) {
	for side := range 2 {
		var best *message
		var packets []*message
		for _, m := range t.messages {
			if m.kind != initiation || m.from != side || m.ident.stamp != genuine || m.copyOf != nil {
				continue
			}
			if best != nil && bytes.Compare(m.ident.stampAt[:], best.ident.stampAt[:]) <= 0 {
				packets = append(packets, m)
				continue
			}
			best = m
		}
		if len(packets) == 0 {
			continue
		}
		answered := 0
		for _, m := range packets {
			if m.exchange != nil && m.exchange.resp != nil {
				answered++
			}
		}
		m := packets[0]
		back := tai(best.ident.stampAt) - tai(m.ident.stampAt)
		f := Finding{Kind: "clock-back", Certainty: Certain, From: m.at, To: packets[len(packets)-1].at, weight: 97}
		f.Title = fmt.Sprintf("timestamp refused: the clock of %s went back by %s", t.side(side), seconds(back))
		f.Text = fmt.Sprintf("%d initiations carry timestamps that are not newer than that of packet %s; %d of them were "+
			"answered. "+
			"The other side refuses them until the clock has passed the old time again (TAI-02).", len(packets),
			a.packet(best.ref()), answered)
		if answered*2 > len(packets) {
			f.Certainty = Possible
			f.Or = []string{"the other side was restarted and knows no older timestamp (TAI-05)"}
		}
		f.Advice = "Set the clock right, or restart WireGuard on the other side, which forgets the timestamp."
		a.find(t, f, append([]*message{best}, packets...)...)
	}
}

// tai gives nanoseconds since 1970 of a TAI64N timestamp (TAI-01, TAI-08).
func tai(b [12]byte) int64 {
	var label, nanos uint64
	for _, c := range b[:8] {
		label = label<<8 | uint64(c)
	}
	for _, c := range b[8:] {
		nanos = nanos<<8 | uint64(c)
	}
	return int64(label-1<<62-10)*second + int64(nanos)
}

// wrongPSK: the response proves that both have the same preshared key; only its initiator can notice (CRYPTO-15).
func (a *analysis) wrongPSK(t *tunnel) {
	var packets []*message
	var initiator, responder key
	for _, x := range t.exchanges {
		if x.init == nil || x.resp == nil || x.script == nil {
			continue
		}
		own, told := a.ring.pskOf[key(x.init.ephemeral())]
		if x.pskFits == forged && x.confirmation() == nil || x.pskFits == genuine && told && own != x.psk {
			packets = append(packets, x.init, x.resp)
			initiator, responder = x.init.ident.by, x.init.ident.to
		}
	}
	if len(packets) == 0 {
		return
	}
	f := Finding{Kind: "wrong-psk", Certainty: Certain, From: packets[0].at, To: packets[len(packets)-1].at, weight: 98}
	f.Title = fmt.Sprintf("wrong psk: %s answers with another preshared key than %s has", a.ring.name(responder),
		a.ring.name(initiator))
	f.Text = fmt.Sprintf("All keys of %d handshakes are known, and the response does not fit the preshared key of its "+
		"initiator, "+
		"which therefore drops it and tries again (CRYPTO-15).", len(packets)/2)
	if x := packets[0].exchange; x.pskFits == forged && len(a.ring.psks) < 2 {
		f.Certainty = Likely
		f.Or = []string{"the response is damaged or forged"}
	}
	f.Advice = "PresharedKey must be the same on both sides, or missing on both."
	a.find(t, f, packets...)
}

// diagnoseConfigs compares the configurations with each other, and keys with addresses.
func (a *analysis) diagnoseConfigs() {
	confs := a.ring.confs
	for i, c := range confs {
		for _, o := range confs[i+1:] {
			a.compareConfs(c, o)
		}
	}
	a.sharedKey()
}

func (a *analysis) compareConfs(c, o *conf) {
	mine, theirs := c.peer(o.public), o.peer(c.public)
	t, _ := a.tunnelOf(c.public, o.public)
	f := Finding{Certainty: Certain, From: a.start, To: a.end}
	var packets []*message
	if t != nil {
		for _, x := range t.exchanges {
			if x.init != nil {
				packets = append(packets, x.init)
			}
		}
	}
	told := func(kind string) bool {
		return slices.ContainsFunc(a.findings, func(f Finding) bool { return f.Kind == kind })
	}
	switch {
	case mine != nil && theirs != nil && mine.psk != theirs.psk:
		if told("wrong-psk") && a.dropKind("wrong-psk") == 0 {
			return
		}
		f.Kind, f.weight = "wrong-psk", 98
		f.Title = fmt.Sprintf("wrong psk: %s and %s have different preshared keys for each other", c.name, o.name)
		f.Text = "Their configurations say so. The responder cannot notice; the initiator drops every response (CRYPTO-15)."
		f.Advice = "PresharedKey must be the same on both sides, or missing on both."
		if t != nil && slices.ContainsFunc(t.exchanges, func(x *exchange) bool { return x.confirmation() != nil }) {
			f.Text += " Sessions in this capture were made nevertheless: when they were, the files must have been others."
			f.Certainty = Likely
		}
		a.findings = slices.DeleteFunc(a.findings, func(w Finding) bool {
			return t != nil && w.Tunnel == t.id && w.Certainty != Certain &&
				(w.Kind == "replies-lost" || w.Kind == "replies-refused")
		})
	case (mine == nil) != (theirs == nil) && !told("unknown-peer"):
		knows, not := c, o
		if mine == nil {
			knows, not = o, c
		}
		f.Kind, f.weight = "unknown-peer", 94
		f.Title = fmt.Sprintf("%s has no peer with the key of %s", not.name, knows.name)
		f.Text = fmt.Sprintf("%s names %s as a peer, but the configuration of %s has no [Peer] with the key %s (HS-05).",
			knows.name,
			not.name, not.name, shortKey(knows.public))
	default:
		return
	}
	a.find(t, f, packets...)
}

// dropKind removes findings of a kind that are not certain and gives how many there were.
func (a *analysis) dropKind(kind string) (n int) {
	before := len(a.findings)
	a.findings = slices.DeleteFunc(a.findings, func(f Finding) bool { return f.Kind == kind && f.Certainty != Certain })
	return before - len(a.findings)
}

func (a *analysis) tunnelOf(x, y key) (*tunnel, int) {
	for _, t := range a.tunnels {
		for side := range 2 {
			if e, o := &t.ends[side], &t.ends[1-side]; e.known && o.known && e.key == x && o.key == y {
				return t, side
			}
		}
	}
	return nil, 0
}

// sharedKey: two machines with one key take the tunnel from each other with every message.
func (a *analysis) sharedKey() {
	for _, t := range a.tunnels {
		for side := range 2 {
			var at []netip.AddrPort
			var packets []*message
			changes := 0
			for _, m := range t.messages {
				if m.kind != initiation || m.from != side || m.ident.stamp != genuine || m.copyOf != nil {
					continue
				}
				src := m.seen[0].src
				if i := slices.Index(at, src); i < 0 {
					at = append(at, src)
				} else if n := len(packets); packets[n-1].seen[0].src != src {
					changes++
				}
				packets = append(packets, m)
			}
			if len(at) < 2 || changes < 2 {
				continue
			}
			f := Finding{Kind: "shared-key", Certainty: Likely, From: packets[0].at, To: packets[len(packets)-1].at, weight: 96}
			f.Title = fmt.Sprintf("two machines use the key of %s", t.side(side))
			f.Text = fmt.Sprintf("Initiations with this key come from %v by turns: each takes the tunnel from the other.", at)
			f.Or = []string{"one machine that changes between two networks again and again"}
			f.Advice = "Give every machine a key of its own."
			a.find(t, f, packets...)
		}
	}
}

// insides looks into decrypted packets: sources that are not allowed, and TCP that gets no large segment through.
func (a *analysis) insides(t *tunnel) {
	for side := range 2 {
		receiver := &t.ends[1-side]
		c := a.ring.conf(receiver.key)
		var packets []*message
		var peer *confPeer
		if c != nil && receiver.known && t.ends[side].known {
			peer = c.peer(t.ends[side].key)
		}
		stuck := map[tcpSegment][]*message{}
		var order []tcpSegment
		for _, m := range t.messages {
			if m.from != side || m.inner == nil || !m.inner.valid || m.copyOf != nil {
				continue
			}
			if peer != nil && !slices.ContainsFunc(peer.allowed, func(p netip.Prefix) bool { return p.Contains(m.inner.src) }) {
				packets = append(packets, m)
			}
			if in := m.inner; in.tcpData > 0 {
				s := tcpSegment{in.src, in.dst, in.tcpPorts, in.tcpSeq}
				if len(stuck[s]) == 0 {
					order = append(order, s)
				}
				stuck[s] = append(stuck[s], m)
			}
		}
		if len(packets) > 0 {
			f := Finding{Kind: "source-not-allowed", Certainty: Certain, From: packets[0].at, To: packets[len(packets)-1].at,
				weight: 93}
			f.Title = fmt.Sprintf("%s drops what %s sends from %s: AllowedIPs", t.side(1-side), t.side(side),
				packets[0].inner.src)
			f.Text = fmt.Sprintf("%d inner packets have sources that AllowedIPs of %s in the configuration of %s does not have "+
				"(ROUTE-02).", len(packets), t.side(side), c.name)
			a.find(t, f, packets...)
		}
		a.stuckTCP(t, side, order, stuck)
	}
}

type tcpSegment struct {
	src, dst netip.Addr
	ports    [2]uint16
	seq      uint32
}

// stuckTCP finds large segments that are sent over and over while small messages get through.
func (a *analysis) stuckTCP(t *tunnel, side int, order []tcpSegment, stuck map[tcpSegment][]*message) {
	for _, s := range order {
		list := stuck[s]
		large := 0
		for _, m := range list {
			if m.size >= 1000 {
				large++
			}
		}
		if large < 4 {
			continue
		}
		f := Finding{Kind: "mtu-black-hole", Certainty: Likely, From: list[0].at, To: list[len(list)-1].at, weight: 90}
		f.Title = fmt.Sprintf("MTU black hole: large messages of %s do not get through", t.side(side))
		f.Text = fmt.Sprintf("Inside, one TCP segment from %s to %s was sent %d times in messages of %d bytes, while "+
			"smaller ones "+
			"are answered.", s.src, s.dst, len(list), list[0].size)
		f.Or = []string{"the receiver or its application stands still"}
		f.Advice = "Try a smaller MTU on both sides, such as 1280."
		a.find(t, f, list...)
		return
	}
}
