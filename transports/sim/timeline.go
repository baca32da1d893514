package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// act does one point of the timeline.
func (s *Sim) act(a *Action) {
	if a.Kind == ActionRebindNAT {
		g := s.segment(a.Network)
		g.nat.rebind()
		s.took(FaultNATRebind)
		s.note(a.Kind, "", "", fmt.Sprintf("the NAT of %s forgets its mappings", a.Network))
		return
	}
	n := s.node(a.Host)
	switch a.Kind {
	case ActionRoam:
		n.roam(a)
	case ActionSleep:
		n.sleep(a)
	case ActionWake:
		n.wakeUp()
	case ActionRestart:
		n.restart(a)
	case ActionInterface:
		n.onOff(a)
	case ActionEndpoint, ActionKeepalive, ActionPSK, ActionRemovePeer, ActionAddPeer, ActionAllowedIPs:
		n.reconfigure(a)
	case ActionWallClock:
		n.jump(a)
	case ActionHome:
		n.moveHome(a)
	case ActionClockStep:
		n.stepClock(a)
	case ActionJobTime:
		n.jobTime = a.For
		n.note(a.Kind, "", "takes "+seconds(a.For)+" for a handshake job from now on")
	case ActionRotateKey:
		n.rotateKey(a)
	case ActionNoKey, ActionToken, ActionNoEntropy:
		n.hamper(a)
	case ActionNonsense:
		n.nonsense(a)
	}
}

func (s *Sim) note(k ActionKind, host, peer, text string) {
	r := s.record(KindAction)
	r.Action, r.Host, r.Peer, r.Note = k, host, peer, text
	s.emit(r)
	s.troubles.see(r)
}

// seconds writes a duration for a person.
func seconds(d time.Duration) string { return d.Round(time.Millisecond).String() }

func (n *node) note(k ActionKind, peer, text string) { n.s.note(k, n.cfg.Name, peer, text) }

func (n *node) sleep(a *Action) {
	if !n.awake() {
		n.note(ActionSleep, "", "cannot fall asleep: it does not run")
		return
	}
	n.asleep = true
	n.sleeps++
	n.s.took(FaultSleep)
	text := "falls asleep"
	if a.For > 0 {
		text += " for " + seconds(a.For)
		n.s.later(a.For, event{kind: evAwake, who: int32(n.index), gen: n.sleeps})
	}
	n.note(ActionSleep, "", text)
}

// awaken comes up when a sleep is over, unless somebody ended it earlier.
func (n *node) awaken(gen uint32) {
	if gen == n.sleeps && n.asleep {
		n.wakeUp()
	}
}

// wakeUp lets the host catch up: results of handshake jobs first, then the timers that came due, late.
func (n *node) wakeUp() {
	if !n.running || !n.asleep {
		n.note(ActionWake, "", "cannot wake up: it does not sleep")
		return
	}
	n.asleep = false
	n.sleeps++
	n.note(ActionWake, "", "wakes up")
	for ; n.pool.late > 0; n.pool.late-- {
		n.giveBack()
	}
	n.wakeAt, n.wakeGen = timers.Never, n.wakeGen+1
	n.runTimers()
	n.s.roused(n)
}

func (n *node) restart(a *Action) {
	if !n.running {
		n.note(ActionRestart, "", "cannot restart: it does not run")
		return
	}
	n.die()
	n.s.took(FaultRestart)
	n.forgotten()
	n.note(ActionRestart, "", "stops without a word and loses its state")
	if a.Back > 0 {
		n.wall -= a.Back
		n.s.took(FaultRestoredClock)
	}
	if a.For <= 0 {
		n.bootAgain(uint32(n.life))
		return
	}
	n.s.later(a.For, event{kind: evBoot, who: int32(n.index), gen: uint32(n.life)})
}

// bootAgain comes up when a restart is over.
func (n *node) bootAgain(life uint32) {
	if n.running || life != uint32(n.life) {
		return
	}
	n.note(ActionRestart, "", "starts anew")
	if err := n.boot(); err != nil {
		n.s.violate(n.cfg.Name, checkerModel, "the core does not start again: "+err.Error())
		n.running = false
		return
	}
	n.s.roused(n)
}

func (n *node) onOff(a *Action) {
	if !n.awake() {
		n.note(ActionInterface, "", "cannot switch its interface: it does not run")
		return
	}
	n.batch.Reset()
	switch {
	case a.On == n.up:
		n.note(ActionInterface, "", "finds its interface as it should be")
		return
	case a.On:
		n.up = true
		n.note(ActionInterface, "", "brings its interface up")
		n.dev.Up(n.now(), &n.batch)
	default:
		n.up = false
		n.epoch++
		n.s.took(FaultInterface)
		n.note(ActionInterface, "", "takes its interface down")
		n.dev.Down(n.now(), &n.batch)
	}
	n.settle(nil)
}

func (n *node) jump(a *Action) {
	n.wall += a.For
	n.clock.unsure = true
	n.s.took(FaultWallJump)
	n.note(ActionWallClock, "", "finds its wall clock moved by "+seconds(a.For))
	if n.running {
		n.dev.SetWallClock(n.now(), n.wallClock())
	}
}

// reconfigure changes one peer. The model's view changes even if the host does not run: it is what the next life
// starts with.
func (n *node) reconfigure(a *Action) {
	if n.asleep {
		n.note(a.Kind, a.Peer, "cannot be configured: it sleeps")
		return
	}
	p := n.end(a.Peer)
	n.owners = nil
	c := protocol.Change{Op: protocol.OpUpdatePeer, Lenient: true, Peer: p.public}
	var text string
	n.s.took(changeKinds[a.Kind])
	switch a.Kind {
	case ActionEndpoint:
		p.endpoint = a.Text
		e := n.s.resolve(a.Text)
		c.Endpoint = &e
		p.where = e
		text = fmt.Sprintf("is told that %s is at %s", a.Peer, e)
	case ActionKeepalive:
		p.keepalive = a.Number
		c.PersistentKeepalive = &p.keepalive
		text = fmt.Sprintf("sets the persistent keepalive of %s to %d s", a.Peer, a.Number)
	case ActionPSK:
		p.pskBefore, p.psk = p.psk, a.Text
		psk := n.s.psk(p.psk)
		c.PresharedKey = &psk
		text = "gets another preshared key for " + a.Peer
	case ActionRemovePeer:
		p.present = false
		c = protocol.Change{Op: protocol.OpRemovePeer, Lenient: true, Peer: p.public}
		text = "removes its peer " + a.Peer
		n.forgotten() // the greatest timestamp goes with the peer (TAI-05)
	case ActionAddPeer:
		p.present = true
		c = n.put(p)
		text = "adds its peer " + a.Peer
	case ActionAllowedIPs:
		n.moveAllowed(p, a.Prefixes)
		c.ReplaceAllowedIPs, c.AllowedIPs = true, p.allowed
		text = fmt.Sprintf("allows %v to %s", a.Prefixes, a.Peer)
	}
	n.note(a.Kind, a.Peer, text)
	if n.running {
		n.configure(c)
	}
}

// changeKinds is what each change of configuration counts as.
var changeKinds = [NumActionKinds]FaultKind{ActionEndpoint: FaultMoveEndpoint, ActionKeepalive: FaultKeepalive,
	ActionPSK: FaultRotatePSK, ActionRemovePeer: FaultRemovePeer, ActionAddPeer: FaultAddPeer,
	ActionAllowedIPs: FaultMoveAllowedIPs}

// moveAllowed gives prefixes to one peer and takes them from all others, as the core does (ROUTE-04).
func (n *node) moveAllowed(p *tunnelEnd, list []netip.Prefix) {
	p.allowed = nil
	for _, f := range list {
		p.allowed = append(p.allowed, f.Masked())
	}
	for _, q := range n.peers {
		if q != p {
			q.allowed = slices.DeleteFunc(slices.Clone(q.allowed), func(f netip.Prefix) bool {
				return slices.Contains(p.allowed, f.Masked())
			})
		}
	}
}

// forgotten notes that the host has lost the memory by which it knows a replay.
func (n *node) forgotten() {
	n.forgot = n.s.now
	for _, atk := range n.s.attacks {
		atk.forget(n)
	}
}

// rotateKey gives a host another private key at once, and its peers the public key later.
func (n *node) rotateKey(a *Action) {
	if n.asleep {
		n.note(a.Kind, "", "cannot be configured: it sleeps")
		return
	}
	n.s.took(FaultRotateKey)
	n.keys++
	n.private = derive(n.s.o.Seed, "private key", fmt.Sprintf("%s/%d", n.cfg.Name, n.keys))
	id := protocol.NewIdentity(n.private)
	n.public, n.private = id.PublicKey(), id.PrivateKey()
	n.note(a.Kind, "", "gets another private key")
	if n.running && !n.lacks[lacksKey].on {
		n.configure(protocol.Change{Op: protocol.OpIdentity, Identity: n.identity()})
	}
	n.s.later(a.For, event{kind: evLearn, who: int32(n.index), gen: n.keys})
}

// learnKey tells the peers of a host its new public key: to them it is another peer. Who sleeps learns it later.
func (s *Sim) learnKey(n *node, gen uint32) {
	if gen != n.keys {
		return
	}
	late := false
	for _, m := range s.nodes {
		p := m.end(n.cfg.Name)
		switch {
		case p == nil || p.public == n.public:
			continue
		case m.asleep:
			late = true
			continue
		}
		old := p.public
		p.public = n.public
		m.forgotten()
		m.note(ActionRotateKey, n.cfg.Name, "learns the new key of "+n.cfg.Name)
		if m.running && p.present {
			m.configure(protocol.Change{Op: protocol.OpRemovePeer, Lenient: true, Peer: old})
			m.configure(m.put(p))
		}
	}
	if late {
		s.later(time.Second, event{kind: evLearn, who: int32(n.index), gen: gen})
	}
}
