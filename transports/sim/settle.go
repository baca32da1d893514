package sim

import (
	"github.com/purewire/purewire/protocol"
)

// settle ends a round: it does the work of the batch, reports what the core did, and passes on what it gave. cause is
// the datagram that the round is about, if it is about one.
func (n *node) settle(cause *datagram) {
	n.finish(cause)
	reason := n.report()
	if cause != nil {
		switch {
		case reason != protocol.DropNone:
			n.s.decide(cause, FateRejected, "", n.cfg.Name, reason)
		case cause.jobs == 0:
			n.accepted(cause)
			n.s.decide(cause, FateDelivered, "", n.cfg.Name, protocol.DropNone)
		}
	}
	for g := range n.batch.Outgoing() {
		n.s.send(n, g)
	}
	n.deliver(cause)
	n.refuse()
	if cause != nil {
		n.s.release(cause)
	}
	n.schedule()
	n.serve()
}

// serve puts what the host's applications have sent into the tunnel, now that the batch is free again.
func (n *node) serve() {
	if n.serving {
		return
	}
	n.serving = true
	for i := 0; i < len(n.outbox); i++ { // it grows meanwhile
		n.input(n.outbox[i])
	}
	n.outbox = n.outbox[:0]
	n.serving = false
}

// accepted lets the attackers hear what the host took, for them to replay.
func (n *node) accepted(d *datagram) {
	if d.attack != AttackNone || d.decided {
		return
	}
	for _, a := range n.s.attacks {
		a.hear(n, d)
	}
}

// report shows the core's events and gives the reason for which it dropped a datagram, if it did.
func (n *node) report() (reason protocol.DropReason) {
	for i := range n.batch.Events {
		e := &n.batch.Events[i]
		peer := ""
		if p := n.peer(e.Peer); p != nil {
			peer = p.cfg.Host
		}
		if e.Kind == protocol.EventDrop && ofNetwork(e.Reason) {
			reason = e.Reason
		}
		if e.Kind == protocol.EventSecrets {
			n.s.oracle.learn(n.cfg.Name, peer, e.Local, e.Initiator, e.Secret)
			n.keyLog = n.dev.AppendKeyLog(n.keyLog[:0], *e)
			r := n.s.record(KindKeyLog)
			r.Host, r.Peer, r.KeyLog = n.cfg.Name, peer, n.keyLog
			n.s.emit(r)
			continue
		}
		r := n.s.record(KindCore)
		r.Host, r.Peer, r.Event = n.cfg.Name, peer, *e
		n.s.emit(r)
	}
	return reason
}

// ofNetwork is true for the reasons that concern a datagram, not an inner packet of our own.
func ofNetwork(r protocol.DropReason) bool {
	return r >= protocol.DropDown && r <= protocol.DropInnerSource
}

// deliver takes the inner packets that came out of the tunnel to the host's applications.
func (n *node) deliver(cause *datagram) {
	for i := range n.batch.Deliveries {
		v := &n.batch.Deliveries[i]
		r := n.s.record(KindInnerDelivered)
		r.Host, r.Inner = n.cfg.Name, n.s.inner(v.Bytes())
		if p := n.peer(v.Peer); p != nil {
			r.Peer = p.cfg.Host
		}
		if cause != nil {
			r.Datagram = cause.number
		}
		if r.Inner.ID != 0 {
			r.Inner.Delay = n.s.now.Sub(r.Inner.Born)
		}
		n.parsed = r.Inner
		n.s.emit(r)
		n.stack(&n.parsed)
	}
}

// stack is the host's IP stack: it takes packets to the applications and, if it is a router, passes packets on.
func (n *node) stack(in *Inner) {
	own := false
	for _, a := range n.cfg.Inner {
		own = own || a == in.Dst
	}
	var p innerPacket
	switch {
	case own:
		n.s.arrived(n, in)
		return
	case !own && n.cfg.Forward && in.Dst.IsValid():
		p = n.buffer(len(in.Data))
		copy(p.window().Bytes(), in.Data)
		p.forward = true
		if !hop(p.window().Bytes()) {
			n.spare = append(n.spare, p.buf)
			return
		}
	default:
		return
	}
	n.outbox = append(n.outbox, p)
}

// refuse shows the inner packets that the core had no way for.
func (n *node) refuse() {
	for i := range n.batch.Rejects {
		v := &n.batch.Rejects[i]
		r := n.s.record(KindInnerRefused)
		r.Host, r.Inner, r.Reason = n.cfg.Name, n.s.inner(v.Bytes()), v.Reason
		if p := n.peer(v.Peer); p != nil {
			r.Peer = p.cfg.Host
		}
		n.s.emit(r)
	}
}
