package sim

import (
	"net/netip"
	"time"
)

// configuration is the simulator's own complaint, made with violate.
type configuration struct{}

func (configuration) about() (name, rule string) {
	return checkerModel, "the core takes every change of configuration that the scenario makes"
}

func (configuration) see(w *watch, r *Record) {
	if r.Kind == KindAction {
		w.looked()
	}
}

// once: REPLAY-01, seen from outside.
type once struct{}

func (once) about() (name, rule string) {
	return "once", "no inner packet comes out of a tunnel twice (REPLAY-01)"
}

func (once) see(w *watch, r *Record) {
	if r.Kind != KindInnerDelivered {
		return
	}
	w.looked()
	if p := w.ledger.find(r.Peer, &r.Inner); p != nil && p.out > 0 {
		w.fault(r.Host, "%s %d of %s came out of the tunnel from %s %d times", r.Inner.Kind, r.Inner.Seq,
			r.Inner.Flow, r.Peer, p.out+1)
	}
}

// origin: cryptokey routing, seen from outside.
type origin struct{}

func (origin) about() (name, rule string) {
	return "origin", "what comes out of a tunnel was put in by the peer that owns its source address, unchanged " +
		"(ROUTE-02)"
}

func (origin) see(w *watch, r *Record) {
	if r.Kind != KindInnerDelivered {
		return
	}
	w.looked()
	owner := w.s.byName[r.Host].owner(r.Inner.Src)
	p := w.ledger.find(r.Peer, &r.Inner)
	switch {
	case r.Peer == "":
		w.fault(r.Host, "a packet from %s came out of the tunnel of a peer that is not configured", r.Inner.Src)
	case owner == nil || owner.cfg.Host != r.Peer:
		w.fault(r.Host, "a packet from %s came out of the tunnel from %s, which does not own that address",
			r.Inner.Src, r.Peer)
	case r.Inner.ID == 0 || p == nil:
		w.fault(r.Host, "a packet from %s came out of the tunnel that %s never put in", r.Inner.Src, r.Peer)
	case !p.same(r.Inner.Data):
		w.fault(r.Host, "%s %d of %s came out changed", r.Inner.Kind, r.Inner.Seq, r.Inner.Flow)
	}
}

// counters: MSG-14.
type counters struct{}

func (*counters) about() (name, rule string) {
	return "counter", "the counters under a key go 0, 1, 2 and so on: none repeats, none is left out (MSG-14)"
}

func (*counters) see(w *watch, r *Record) {
	m := &w.read
	if m.kind != typeTransport || m.session == nil || m.err != nil {
		return
	}
	w.looked()
	next := &m.session.next[m.end]
	switch {
	case m.counter < *next:
		w.fault(r.Host, "sends counter %d to %s again", m.counter, m.peer)
	case m.counter > *next:
		w.fault(r.Host, "sends counter %d to %s where %d is next", m.counter, m.peer, *next)
	}
	*next = max(*next, m.counter+1)
}

// keyLife: KEY-10.
type keyLife struct{}

func (keyLife) about() (name, rule string) {
	return "key-life", "no key is used for sending or delivering when it is 180 s old, before it exists, or after " +
		"its host was down (KEY-10, LIFE-01, LIFE-04)"
}

func (keyLife) see(w *watch, r *Record) {
	switch r.Kind {
	case KindDatagram:
		if m := &w.read; m.kind == typeTransport && m.session != nil {
			w.looked()
			w.age(r.Host, m.session, m.end, "sends to "+m.peer)
		}
	case KindInnerDelivered:
		if c := w.of(r.Datagram); c != nil && c.session != nil {
			w.looked()
			w.age(r.Host, c.session, 1-c.end, "delivers from "+r.Peer)
		}
	}
}

func (w *watch) age(host string, s *session, end int, does string) {
	if !s.alive[end] && end == endInitiator && s.reached {
		s.begin(end, w.s.byName[host]) // its fate is told when all jobs are done that it was the cause of
	}
	if !s.alive[end] {
		w.fault(host, "%s with a key that it cannot have yet", does)
	} else if s.epoch[end] != w.s.byName[host].epoch {
		w.fault(host, "%s with a key from before it was down", does)
	} else if age := w.s.byName[host].felt().Sub(s.born[end]); age >= rejectAfter {
		w.fault(host, "%s with a key that is %s old", does, seconds(age))
	}
}

// confirmation: HS-16.
type confirmation struct{}

func (confirmation) about() (name, rule string) {
	return "confirmation", "a responder sends nothing with a new key before it took something with it (HS-16)"
}

func (confirmation) see(w *watch, r *Record) {
	m := &w.read
	if m.kind != typeTransport || m.session == nil || m.end != endResponder {
		return
	}
	w.looked()
	if !m.session.confirmed {
		w.fault(r.Host, "sends to %s with a key that %s has not used yet", m.peer, m.peer)
	}
}

// silence: QUIET-01 and SEC. The one exception is a cookie reply under load. Load is not to be seen from outside, but
// it takes a number of initiations within a short time to make it.
type silence struct{}

const (
	loadWindow = 2 * time.Second
	loadLeast  = 4 // an eighth of the 32 jobs that a host has unless its scenario says otherwise
)

func (silence) about() (name, rule string) {
	return "silence", "strangers are neither answered, but with a cookie reply under load, nor believed (QUIET-01)"
}

func (silence) see(w *watch, r *Record) {
	handshake := len(r.Data) > 0 && (r.Data[0] == typeInitiation || r.Data[0] == typeResponse)
	if r.Kind == KindDatagram && handshake {
		for _, n := range [...]*node{w.s.byName[r.Host], w.s.publicHost(r.Dst)} {
			if n != nil {
				n.strike()
			}
		}
	}
	switch {
	case r.Kind == KindFate && r.Attack == AttackRecorded:
		w.looked()
		w.again(r)
	case r.Kind == KindFate && r.Attack != AttackNone:
		w.looked()
		if r.Fate == FateDelivered && r.Attack != AttackForgedCookie && r.Attack != AttackBitFlip {
			w.fault(r.To, "takes a datagram from %s (%s)", r.Host, r.Attack)
		}
	case r.Kind == KindFate && r.Fate == FateDelivered:
		if c := w.of(r.Datagram); c != nil && w.s.byName[r.To] != nil {
			w.take(c, r)
		}
	case r.Kind == KindDatagram && r.Attack == AttackNone && r.Original == 0 && w.s.isStranger(r.Dst.Addr()):
		w.looked()
		n := w.s.byName[r.Host]
		if n.misled {
			return
		}
		if w.read.kind != typeCookie || w.read.err != nil {
			w.fault(r.Host, "answers a stranger with %d bytes of type %d", len(r.Data), w.read.kind)
		} else if n.struckLately() < n.loadLeast() && !n.loadedByWork() {
			w.fault(r.Host, "sends a stranger a cookie reply although it cannot be under load")
		}
	}
}

// take notes that a datagram was taken, of which this may be a copy.
func (w *watch) take(c *carried, r *Record) {
	c.taken = true
	if of := w.of(r.Original); of != nil {
		of.taken = true
	}
}

// again judges a datagram that somebody on the path sent once more. Who gets it for the first time takes it, and takes
// its sender to be where it comes from: that is how it must be (ROAM-01, paper §2.1). A second time it is a replay.
// A host that lost its memory is excused for a while, until nothing from before is under way.
func (w *watch) again(r *Record) {
	if r.Fate != FateDelivered {
		return
	}
	n, of := w.s.byName[r.To], w.of(r.Original)
	c := w.of(r.Datagram)
	switch {
	case n == nil || of == nil || c == nil:
	case of.taken && (n.forgot == 0 || w.s.now.Sub(n.forgot) > forgetWindow):
		w.fault(r.To, "takes a datagram from %s (%s) that it took before", r.Host, r.Attack)
	default:
		w.take(c, r)
		n.misled = true
	}
}

// forgetWindow is the longest that a datagram is under way, by any fault.
const forgetWindow = 30 * time.Second

// publicHost finds the host that has an address of its own on the Internet, or nil.
func (s *Sim) publicHost(a netip.AddrPort) *node {
	if g := s.public[a.Addr()].segment; g != nil {
		return g.hosts[a.Addr()]
	}
	return nil
}

// strike notes a handshake message. Of those within the window only as many are kept as matter.
func (n *node) strike() {
	if len(n.struck) == cap(n.struck) {
		n.struckLately()
	}
	n.struck = append(n.struck, n.s.now)
}

// struckLately counts the handshake messages that a host had to do with in the last moments.
func (n *node) struckLately() int {
	kept := n.struck[:0]
	for _, at := range n.struck {
		if n.s.now.Sub(at) < loadWindow {
			kept = append(kept, at)
		}
	}
	n.struck = kept
	return len(kept)
}

// loadedByWork reports whether handshake jobs from a while ago still wait, or did a moment ago: they make load too.
func (n *node) loadedByWork() bool { return n.strained > 0 && n.s.now.Sub(n.strained) < loadWindow }

func (n *node) loadLeast() int {
	if n.cfg.Limits.Jobs > 0 {
		return min(loadLeast, max(1, n.cfg.Limits.Jobs/8))
	}
	return loadLeast
}
