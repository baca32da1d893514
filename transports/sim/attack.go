package sim

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/timers"
)

// attacker is the state of an [Attack]. It knows the public keys of its targets, as anybody may, and hears what they
// accept, as anybody on the path may.
type attacker struct {
	s       *Sim
	cfg     *Attack
	index   int
	addrs   [2]netip.Addr // its IPv4 and its IPv6 address
	rnd     *Rand
	targets []*node
	heard   [][]heard   // by target, the oldest first
	tape    [][]taped   // of somebody on the path, by target, the oldest first
	next    timers.Time // when it may react again
	turn    int
	grants  []grant // by target
}

type heard struct{ data []byte }

const (
	attackPort    = 6666
	attackLatency = 10 * time.Millisecond
	heardAtMost   = 32
)

// Types and sizes of messages (rules §1.2), written here once more because the simulator shares no code with what it
// watches.
const (
	typeInitiation = 1
	typeResponse   = 2
	typeCookie     = 3
	typeTransport  = 4

	initiationSize = 148
	responseSize   = 92
	cookieSize     = 64
	transportMin   = 32
)

// strangerName is the name of the attack that comes with every run.
const strangerName = "stranger"

// strangerKinds is what the built-in stranger does, in turns.
func strangerKinds() []AttackKind {
	return []AttackKind{AttackReplay, AttackJunk, AttackBadMAC, AttackReplay, AttackGoodMAC, AttackIndex,
		AttackReplay, AttackSlipCookie}
}

func (s *Sim) newAttacker(i int, cfg *Attack) *attacker {
	a := &attacker{s: s, cfg: cfg, index: i, rnd: s.stream("attack/" + cfg.Name)}
	for _, t := range cfg.Targets {
		a.targets = append(a.targets, s.node(t))
	}
	a.heard = make([][]heard, len(a.targets))
	a.tape = make([][]taped, len(a.targets))
	a.grants = make([]grant, len(a.targets))
	for family, next := range [...]netip.Addr{netip.AddrFrom4([4]byte{198, 51, 100, 200}), attackIPv6} {
		for !s.unused(next) {
			next = next.Next()
		}
		if cfg.Address.IsValid() && cfg.Address.Is4() == next.Is4() {
			next = cfg.Address
		}
		a.addrs[family] = next
		s.public[next] = place{attack: a}
	}
	return a
}

// attackIPv6 is where the IPv6 addresses of attackers begin: 2001:db8:ffff::200.
var attackIPv6 = netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 0xff, 0xff, 14: 2})

// source is the address from which a strikes at a host: of its family, or no router would carry it.
func (a *attacker) source(n *node) netip.AddrPort {
	if a.cfg.Sources > 1 {
		return a.made(a.turn%a.cfg.Sources, n.addr.Is4())
	}
	if n.addr.Is4() {
		return netip.AddrPortFrom(a.addrs[0], attackPort)
	}
	return netip.AddrPortFrom(a.addrs[1], attackPort)
}

// unused reports whether no network and nobody on the Internet has an address.
func (s *Sim) unused(a netip.Addr) bool {
	for _, g := range s.segments {
		if g.cfg.Prefix.Contains(a) {
			return false
		}
	}
	_, taken := s.public[a]
	return !taken
}

func (a *attacker) hear(n *node, d *datagram) {
	i := slices.Index(a.targets, n)
	if i < 0 || !slices.Contains(a.cfg.Kinds, AttackReplay) {
		return
	}
	if len(a.heard[i]) == heardAtMost {
		a.heard[i] = append(a.heard[i][:0], a.heard[i][1:]...)
	}
	a.heard[i] = append(a.heard[i], heard{append([]byte(nil), d.data...)})
}

// forget throws away what a target took before it lost its memory: it would rightly take that again (LIFE-03, TAI-05),
// and then silence is not to be expected.
func (a *attacker) forget(n *node) {
	if i := slices.Index(a.targets, n); i >= 0 {
		a.heard[i], a.tape[i] = nil, nil
	}
}

// strike is one turn of the attack: the next kind at one target after the other.
func (s *Sim) strike(a *attacker) {
	if a.cfg.Until > 0 && time.Duration(s.now) >= a.cfg.Until || s.healed && a.cfg.Name != strangerName {
		return
	}
	s.later(a.cfg.Interval, event{kind: evAttack, who: int32(a.index)})
	i := a.turn % len(a.targets)
	kind := a.cfg.Kinds[a.turn/len(a.targets)%len(a.cfg.Kinds)]
	a.turn++
	n := a.targets[i]
	if n.seg == nil || n.seg.nat != nil {
		return // it has no address of its own on the Internet at the moment
	}
	if kind == AttackForgedCookie || kind == AttackBrokenCookie || kind == AttackBitFlip {
		return // it reacts to what it hears
	}
	var t *taped
	if kind == AttackRecorded && len(a.tape[i]) > 0 {
		t = &a.tape[i][a.rnd.Intn(len(a.tape[i]))]
	}
	// What the checkers have forgotten is too old to be judged.
	if kind == AttackReplay && len(a.heard[i]) == 0 ||
		kind == AttackRecorded && (t == nil || s.watch.of(t.number) == nil) {
		kind = AttackJunk
	}
	d := s.newDatagram(nil)
	if kind == AttackRecorded {
		d.data, d.original, d.damaged = append(d.data, t.data...), t.number, t.damaged
	} else {
		d.data = append(d.data, a.payload(kind, i)...)
	}
	d.attack, d.src, d.dst = kind, a.source(n), netip.AddrPortFrom(n.addr, n.port)
	a.throw(d, attackLatency)
}

// throw puts a datagram of an attacker on its way; without delay it is ahead of what is just being overheard.
func (a *attacker) throw(d *datagram, after time.Duration) {
	s := a.s
	d.from, d.network = a.cfg.Name, a.cfg.Name
	s.took(a.counts(d.attack))
	s.emit(s.fill(KindDatagram, d))
	if after == 0 {
		s.onInternet(d)
		return
	}
	s.later(after, event{kind: evCross, who: -1, d: d})
}

// counts gives the kind of trouble that an attack is.
func (a *attacker) counts(k AttackKind) FaultKind {
	switch k {
	case AttackReplay, AttackRecorded:
		return FaultReplay
	case AttackGoodMAC:
		if a.cfg.Sources > 1 {
			return FaultSpoofedFlood
		}
		return FaultFlood
	case AttackForgedCookie, AttackBrokenCookie:
		return FaultForgedCookie
	case AttackLowOrder, AttackImpostor:
		return FaultImpostor
	case AttackWithCookie:
		return FaultCookieFlood
	case AttackBitFlip:
		return FaultBitFlip
	}
	return FaultJunk
}

func (a *attacker) payload(kind AttackKind, target int) []byte {
	size := map[AttackKind]int{AttackBadMAC: initiationSize, AttackGoodMAC: initiationSize,
		AttackLowOrder: initiationSize, AttackImpostor: initiationSize, AttackWithCookie: initiationSize,
		AttackIndex: 128, AttackSlipCookie: cookieSize}[kind]
	if kind == AttackJunk {
		size = a.rnd.Intn(300)
	}
	b := make([]byte, size)
	_, _ = a.rnd.Read(b)
	switch kind {
	case AttackReplay:
		h := a.heard[target]
		return h[a.rnd.Intn(len(h))].data
	case AttackBadMAC:
		binary.LittleEndian.PutUint32(b, typeInitiation)
	case AttackGoodMAC, AttackLowOrder, AttackImpostor, AttackWithCookie:
		a.initiation(kind, target, b)
	case AttackIndex:
		binary.LittleEndian.PutUint32(b, typeTransport)
	case AttackSlipCookie:
		binary.LittleEndian.PutUint32(b, typeCookie)
	}
	return b
}
