package protocol_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// leaks is a device with three outsiders who do whatever comes to their minds. After every step the rig looks at the
// device's bookkeeping (B013, B071, B172, B173).
type leaks struct {
	*rig
	peers   []*outsider
	shakes  []*shake
	invited []*invited
	session []*session
}

func (l *leaks) look() {
	for _, m := range l.take() {
		for _, o := range l.peers {
			if m.to.Remote == o.at.Remote && len(m.msg) == 148 && o.to == l.key.PublicKey() {
				l.invited = append(l.invited, o.read(m.msg))
			}
		}
		for _, h := range l.shakes {
			if s, err := h.consume(m.msg); err == nil {
				l.session = append(l.session, s)
				break
			}
		}
	}
	l.delivered, l.rejected, l.events = nil, nil, nil
}

func (l *leaks) actions(t *rapid.T) map[string]func(*rapid.T) {
	one := func() *outsider { return rapid.SampledFrom(l.peers).Draw(t, "peer") }
	exists := func(o *outsider) bool { _, ok := l.d.Peer(o.public()); return ok }
	return map[string]func(*rapid.T){
		"": func(*rapid.T) { l.look() },
		"initiate": func(*rapid.T) {
			h := one().initiation()
			l.shakes = append(l.shakes, h)
			h.o.says(h.msg)
		},
		"respond": func(*rapid.T) {
			if len(l.invited) > 0 {
				i := l.invited[len(l.invited)-1]
				l.invited = l.invited[:len(l.invited)-1]
				msg, s := i.respond()
				i.o.says(msg)
				l.session = append(l.session, s)
			}
		},
		"speak": func(*rapid.T) {
			if len(l.session) > 0 {
				s := rapid.SampledFrom(l.session).Draw(t, "session")
				s.says(s.data("x"))
			}
		},
		"packet":   func(*rapid.T) { o := one(); l.send(o.ours("x")) },
		"junk":     func(*rapid.T) { o := one(); m := o.initiation().msg; m[50] ^= 1; o.says(o.resign(m)) },
		"hold":     func(*rapid.T) { l.hold = true },
		"release":  func(*rapid.T) { l.release() },
		"a second": func(*rapid.T) { l.advance(time.Second) },
		"six":      func(*rapid.T) { l.advance(6 * time.Second) },
		"minutes":  func(*rapid.T) { l.advance(3 * time.Minute) },
		"add or remove": func(*rapid.T) {
			o := one()
			c := o.add()
			if exists(o) {
				c = protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()}
			}
			l.configure(c)
		},
		"clear": func(*rapid.T) { l.configure(protocol.Change{Op: protocol.OpRemovePeers}) },
		"forget endpoint": func(*rapid.T) {
			if o := one(); exists(o) {
				c := o.change()
				c.Endpoint = rapid.SampledFrom([]*netip.AddrPort{{}, &o.at.Remote}).Draw(t, "endpoint")
				l.configure(c)
			}
		},
		"key": func(*rapid.T) {
			n := rapid.IntRange(0, 2).Draw(t, "key")
			c := protocol.Change{Op: protocol.OpIdentity}
			if n > 0 {
				l.key = protocoltest.Identity("ours", n)
				c.Identity = l.key
			}
			l.configure(c)
			for _, o := range l.peers {
				o.to = l.key.PublicKey()
			}
			l.invited = nil
		},
		"entropy": func(*rapid.T) { l.entropy.Failing = !l.entropy.Failing },
		"down":    func(*rapid.T) { l.down() },
		"up":      func(*rapid.T) { l.up() },
	}
}

// TestKEY01IndicesAndSlotsDoNotLeak: whatever happens, in whatever order and however late jobs come back.
func TestKEY01IndicesAndSlotsDoNotLeak(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, good(rt))
		r.strict = true
		jobs := rapid.SampledFrom([]int{1, 2, 16}).Draw(rt, "slots")
		r.restart(func(c *protocol.Config) { c.Limits.Jobs, c.Limits.HandshakesPerSecond = jobs, 1<<20 })
		l := &leaks{rig: r}
		for n := 1; n <= 3; n++ {
			l.peers = append(l.peers, r.peer(n, keepaliveEvery(uint16(25*(n%2)))))
		}
		rt.Repeat(l.actions(rt))
		l.entropy.Failing = false
		l.release()
		l.configure(protocol.Change{Op: protocol.OpRemovePeers})
		if n := len(l.jobs); n > 0 {
			l.release()
		}
		if err := l.d.Invariants(); err != nil {
			rt.Fatal(err)
		}
	})
}
