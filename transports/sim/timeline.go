package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// act does one point of the timeline.
func (s *Sim) act(a *Action) {
	if a.Kind == ActionRebindNAT {
		g := s.segment(a.Network)
		g.nat.rebind()
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
	case ActionEndpoint, ActionKeepalive, ActionPSK, ActionRemovePeer, ActionAddPeer:
		n.reconfigure(a)
	case ActionWallClock:
		n.jump(a)
	}
}

func (s *Sim) note(k ActionKind, host, peer, text string) {
	r := s.record(KindAction)
	r.Action, r.Host, r.Peer, r.Note = k, host, peer, text
	s.emit(r)
}

// seconds writes a duration for a person.
func seconds(d time.Duration) string { return d.Round(time.Millisecond).String() }

func (n *node) roam(a *Action) {
	n.moves++
	if n.seg != nil {
		old := n.addr
		n.note(ActionRoam, "", fmt.Sprintf("leaves %s (%s)", n.seg.cfg.Name, old))
		n.seg.leave(n)
		if n.awake() {
			// The address is gone, and with it the source that the core may have remembered (ROAM-09).
			n.dev.ForgetSources(n.s.now, old)
		}
	}
	e := event{kind: evJoin, who: int32(n.index), gen: n.moves}
	n.joining, n.joinAs = n.s.segment(a.Network), a.Address
	if a.For <= 0 {
		n.arriveAt(e.gen)
		return
	}
	n.s.later(a.For, e)
}

// arriveAt ends a roaming, if no later one has begun.
func (n *node) arriveAt(gen uint32) {
	if gen != n.moves || n.joining == nil {
		return
	}
	g, want := n.joining, n.joinAs
	n.joining = nil
	if want.IsValid() && g.hosts[want] != nil {
		want = netip.Addr{}
	}
	g.join(n, want)
	behind := ""
	if g.nat != nil {
		behind = fmt.Sprintf(" behind the NAT %s", g.cfg.NAT.Public)
	}
	n.note(ActionRoam, "", fmt.Sprintf("joins %s as %s%s", g.cfg.Name, n.addr, behind))
}

func (n *node) note(k ActionKind, peer, text string) { n.s.note(k, n.cfg.Name, peer, text) }

func (n *node) sleep(a *Action) {
	if !n.awake() {
		n.note(ActionSleep, "", "cannot fall asleep: it does not run")
		return
	}
	n.asleep = true
	n.sleeps++
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
}

func (n *node) restart(a *Action) {
	if !n.running {
		n.note(ActionRestart, "", "cannot restart: it does not run")
		return
	}
	n.die()
	for _, atk := range n.s.attacks {
		atk.forget(n)
	}
	n.note(ActionRestart, "", "stops without a word and loses its state")
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
	}
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
		n.dev.Up(n.s.now, &n.batch)
	default:
		n.up = false
		n.epoch++
		n.note(ActionInterface, "", "takes its interface down")
		n.dev.Down(n.s.now, &n.batch)
	}
	n.settle(nil)
}

func (n *node) jump(a *Action) {
	n.wall += a.For
	n.note(ActionWallClock, "", "finds its wall clock moved by "+seconds(a.For))
	if n.running {
		n.dev.SetWallClock(n.s.now, n.wallClock())
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
	c := protocol.Change{Op: protocol.OpUpdatePeer, Lenient: true, Peer: p.node.public}
	var text string
	switch a.Kind {
	case ActionEndpoint:
		p.endpoint = a.Text
		e := n.s.resolve(a.Text)
		c.Endpoint = &e
		text = fmt.Sprintf("is told that %s is at %s", a.Peer, e)
	case ActionKeepalive:
		p.keepalive = a.Number
		c.PersistentKeepalive = &p.keepalive
		text = fmt.Sprintf("sets the persistent keepalive of %s to %d s", a.Peer, a.Number)
	case ActionPSK:
		p.psk = a.Text
		psk := n.s.psk(p.psk)
		c.PresharedKey = &psk
		text = "gets another preshared key for " + a.Peer
	case ActionRemovePeer:
		p.present = false
		c = protocol.Change{Op: protocol.OpRemovePeer, Lenient: true, Peer: p.node.public}
		text = "removes its peer " + a.Peer
		for _, atk := range n.s.attacks {
			atk.forget(n) // the greatest timestamp goes with the peer (TAI-05)
		}
	case ActionAddPeer:
		p.present = true
		c = n.put(p)
		text = "adds its peer " + a.Peer
	}
	n.note(a.Kind, a.Peer, text)
	if n.running {
		n.configure(c)
	}
}
