package sim

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// Attackers on the path hear every datagram on the Internet that one of their targets sent or is to get.

// taped is a datagram that somebody on the path has recorded.
type taped struct {
	number  uint64 // of the datagram that its sender sent
	data    []byte
	damaged bool
}

const tapedAtMost = 64

// madeUp4 and madeUp6 are where the sources are that attackers make up. Nobody has an address there.
var (
	madeUp4 = netip.MustParsePrefix("11.0.0.0/8")
	madeUp6 = netip.MustParsePrefix("2001:db8:fffe::/48")
)

// made is the made-up source number i.
func (a *attacker) made(i int, v4 bool) netip.AddrPort {
	port := uint16(1024 + i%60000)
	if v4 {
		b := madeUp4.Addr().As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(i+1)%(1<<24))
		return netip.AddrPortFrom(netip.AddrFrom4(b), port)
	}
	b := madeUp6.Addr().As16()
	binary.BigEndian.PutUint32(b[6:], uint32(i+1)) // a /64 each: that is what the core's limits go by (DOS-03)
	return netip.AddrPortFrom(netip.AddrFrom16(b), port)
}

// isStranger reports whether an address is an attacker's own or one that it made up.
func (s *Sim) isStranger(a netip.Addr) bool {
	if s.public[a].attack != nil {
		return true
	}
	if !madeUp4.Contains(a) && !madeUp6.Contains(a) {
		return false
	}
	_, known := s.public[a]
	return !known
}

// overhear lets the attackers on the path hear a datagram of a host that has come to the Internet.
func (s *Sim) overhear(d *datagram) {
	if d.attack != AttackNone || s.healed {
		return
	}
	for _, a := range s.attacks {
		if at := time.Duration(s.now); at >= a.cfg.From && (a.cfg.Until == 0 || at < a.cfg.Until) {
			a.overhear(d)
		}
	}
}

func (a *attacker) overhear(d *datagram) {
	if slices.Contains(a.cfg.Kinds, AttackRecorded) {
		if i := a.target(d.dst.Addr()); i >= 0 {
			a.record(i, d)
		}
	}
	if a.s.now < a.next {
		return
	}
	for _, kind := range [...]AttackKind{AttackForgedCookie, AttackBrokenCookie} {
		if !slices.Contains(a.cfg.Kinds, kind) || len(d.data) != initiationSize || d.data[0] != typeInitiation {
			continue
		}
		if n := a.s.node(d.from); slices.Contains(a.targets, n) {
			a.next = a.s.now.Add(a.cfg.Interval)
			a.forgeCookie(n, d, kind)
		}
	}
	if slices.Contains(a.cfg.Kinds, AttackBitFlip) && len(d.data) > 0 && a.target(d.dst.Addr()) >= 0 {
		a.next = a.s.now.Add(a.cfg.Interval)
		a.flip(d)
	}
}

// target finds which target has an address of its own on the Internet; negative if none has it.
func (a *attacker) target(at netip.Addr) int {
	g := a.s.public[at].segment
	if g == nil || g.nat != nil {
		return -1
	}
	return slices.Index(a.targets, g.hosts[at])
}

func (a *attacker) record(i int, d *datagram) {
	if len(a.tape[i]) == tapedAtMost {
		a.tape[i] = append(a.tape[i][:0], a.tape[i][1:]...)
	}
	number := d.number
	if d.original != 0 {
		number = d.original
	}
	a.tape[i] = append(a.tape[i], taped{number, append([]byte(nil), d.data...), d.damaged})
}

// forgeCookie answers an initiation of n as if its receiver were under load. Whoever saw the initiation can: what seals
// a cookie is the receiver's public key and mac1 (paper §5.4.7). If n can be reached from anywhere, it comes from the
// attacker's own address, which must not move n's endpoint (COOKIE-11); else as if from the receiver.
func (a *attacker) forgeCookie(n *node, d *datagram, kind AttackKind) {
	var to *tunnelEnd
	for _, p := range n.peers {
		if mac := mac1(p.public, d.data[:initiationSize-32]); string(mac[:]) == string(d.data[116:132]) {
			to = p
		}
	}
	if to == nil {
		return // it was damaged
	}
	c := a.s.newDatagram(nil)
	c.data = binary.LittleEndian.AppendUint32(c.data, typeCookie)
	c.data = append(c.data, d.data[4:8]...)
	var random [chacha20poly1305.NonceSizeX + 16]byte
	_, _ = a.rnd.Read(random[:])
	nonce, cookie := random[:chacha20poly1305.NonceSizeX], random[chacha20poly1305.NonceSizeX:]
	key := blake2s.Sum256(append([]byte("cookie--"), to.public[:]...))
	seal, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("sim: xchacha20poly1305 refuses 32 bytes: " + err.Error())
	}
	c.data = append(c.data, nonce...)
	c.data = seal.Seal(c.data, nonce, cookie, d.data[116:132])
	if kind == AttackBrokenCookie {
		c.data[len(c.data)-1] ^= 1
	}
	c.attack, c.src, c.dst = kind, d.dst, d.src
	if a.target(d.src.Addr()) >= 0 {
		c.src = a.source(n)
	}
	a.throw(c, time.Microsecond)
}

// flip sends a copy with one bit changed from where the original comes from, so that it is there first.
func (a *attacker) flip(d *datagram) {
	c := a.s.newDatagram(d.data)
	bit := a.rnd.Intn(8 * len(d.data))
	c.data[bit/8] ^= 1 << (bit % 8)
	c.original, c.damaged, c.tos = d.number, true, d.tos
	c.attack, c.src, c.dst = AttackBitFlip, d.src, d.dst
	a.throw(c, 0)
}
