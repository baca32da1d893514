package bringup_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// tinyFactory makes subjects of tiny, in virtual time.
type tinyFactory struct {
	flaw, second string
	lacks        conformance.Need
}

func (f tinyFactory) Capabilities() conformance.Capabilities {
	return conformance.Capabilities{Name: "tiny", Version: f.flaw, Virtual: true, Kind: "exact",
		Has: (conformance.NeedInner | conformance.NeedConfigure | conformance.NeedSources) &^ f.lacks}
}

func (f tinyFactory) New(s conformance.Setup) (conformance.Subject, error) {
	random := rand.NewChaCha8([32]byte{byte(s.Seed), byte(s.Seed >> 8)})
	d := &tinySubject{tiny: tiny{flaw: f.flaw, second: f.second, random: random}, setup: s}
	d.private = s.Config.PrivateKey[:]
	d.public, _ = curve25519.X25519(d.private, curve25519.Basepoint)
	return d, nil
}

// tinySubject is a device with tiny in it: peers, their handshakes and sessions, one timer each.
type tinySubject struct {
	tiny
	setup conformance.Setup
	now   timers.Time
	out   conformance.Output
	peers []*tinyPeer
}

type tinyPeer struct {
	public, psk []byte
	endpoint    netip.AddrPort
	allowed     []netip.Prefix
	greatest    []byte // timestamp
	pending     *tinyPending
	staged      [][]byte
	sessions    []*tinySession
	current     *tinySession // to send on
	cookie      []byte
	mac1        []byte
}

type tinyPending struct {
	state   *tinyState
	private []byte
	index   uint32
	message []byte
	again   timers.Time
}

type tinySession struct {
	local, remote uint32
	send, recv    []byte
	next          uint64
	seen          map[uint64]bool
	highest       uint64
}

func (d *tinySubject) Now() timers.Time { return d.now }
func (d *tinySubject) Close() error     { return nil }
func (d *tinySubject) State() (conformance.State, error) {
	return conformance.State{}, errors.ErrUnsupported
}
func (d *tinySubject) Restart(timers.Time, time.Time) error { return errors.ErrUnsupported }
func (d *tinySubject) SetWall(timers.Time, time.Time) error { return errors.ErrUnsupported }
func (d *tinySubject) Take(o *conformance.Output)           { *o, d.out = d.out, conformance.Output{} }
func (d *tinySubject) enter(now timers.Time) (s conformance.Stamp) {
	d.Advance(now)
	return conformance.At(d.now)
}

func (d *tinySubject) Configure(_ timers.Time, c conformance.Change) error {
	for _, p := range c.Peers {
		n := &tinyPeer{public: p.PublicKey[:], psk: make([]byte, 32), allowed: p.AllowedIPs, greatest: make([]byte, 12)}
		if p.PresharedKey != nil {
			n.psk = p.PresharedKey[:]
		}
		if p.Endpoint != nil {
			n.endpoint = *p.Endpoint
		}
		d.peers = append(d.peers, n)
	}
	return nil
}

func (d *tinySubject) Advance(until timers.Time) timers.Time {
	for _, p := range d.peers {
		if p.pending != nil && p.pending.again <= until {
			d.now = max(d.now, p.pending.again)
			d.initiate(p)
			return d.now
		}
	}
	d.now = max(d.now, until)
	return d.now
}

func (d *tinySubject) emit(to netip.AddrPort, b []byte) {
	if d.is("type-big-endian") {
		b[0], b[3] = 0, b[0]
	}
	local := netip.AddrPortFrom(d.setup.Local4.Addr(), *d.setup.Config.ListenPort)
	d.out.Datagrams = append(d.out.Datagrams, conformance.SentDatagram{At: conformance.At(d.now),
		Datagram: conformance.Datagram{Local: local, Remote: to, Bytes: b}})
}

func (d *tinySubject) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	at := d.enter(now)
	for _, b := range in {
		for _, p := range d.peers {
			to := conformance.Destination(b)
			if !slices.ContainsFunc(p.allowed, func(a netip.Prefix) bool { return a.Contains(to) }) {
				continue
			}
			p.staged = append(p.staged, b)
			if p.current == nil && p.pending == nil {
				d.initiate(p)
			}
			d.flush(p)
		}
	}
	return at
}

// flush sends what waits, if there is a session for it.
func (d *tinySubject) flush(p *tinyPeer) {
	for p.current != nil && len(p.staged) > 0 {
		b := bytes.Clone(p.staged[0])
		p.staged = p.staged[1:]
		fill := byte(0)
		if d.is("padding-content") {
			fill = 0xff
		}
		for len(b)%16 != 0 && !d.is("padding-missing") {
			b = append(b, fill)
		}
		d.sendOn(p, b)
	}
}

func (d *tinySubject) sendOn(p *tinyPeer, plain []byte) {
	s := p.current
	receiver := s.remote
	if d.is("data-own-index") {
		receiver = s.local
	}
	d.emit(p.endpoint, d.sealData(s.send, receiver, s.next, plain))
	if !d.is("counter-constant") {
		s.next++
	}
}

func (d *tinySubject) session(send, recv []byte, local, remote uint32) *tinySession {
	s := &tinySession{local: local, remote: remote, send: send, recv: recv, seen: map[uint64]bool{}}
	if d.is("counter-starts-at-one") {
		s.next = 1
	}
	return s
}

func (d *tinySubject) timestamp() []byte {
	wall := d.setup.Wall.Add(time.Duration(d.now))
	seconds := uint64(wall.Unix()) + 1<<62 + 10
	if d.is("timestamp-unix") {
		seconds = uint64(wall.Unix())
	}
	if d.is("timestamp-little-endian") {
		b := binary.LittleEndian.AppendUint64(nil, seconds)
		return binary.LittleEndian.AppendUint32(b, uint32(wall.Nanosecond()))
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, seconds), uint32(wall.Nanosecond()))
}

func (d *tinySubject) initiate(p *tinyPeer) {
	if p.pending != nil && d.is("again-same") {
		p.pending.again = d.now.Add(5 * time.Second)
		d.emit(p.endpoint, bytes.Clone(p.pending.message))
		return
	}
	private := d.draw(32)
	public, _ := curve25519.X25519(private, curve25519.Basepoint)
	index := binary.LittleEndian.Uint32(d.draw(4))
	es, _ := d.dh(private, p.public)
	ss, _ := d.dh(d.private, p.public)
	if d.is("es-ss-swapped") {
		es, ss = ss, es
	}
	s := d.begin(d.public, p.public)
	s.ephemeral(public)
	s.mixKey(es)
	b := append(d.index([]byte{1, 0, 0, 0}, index), public...)
	static := d.public
	if d.is("static-private") {
		static = d.private
	}
	b = append(b, s.seal(static, "static-no-hash", "static-hash-plain")...)
	if !d.is("ss-missing") {
		s.mixKey(ss)
	}
	b = append(b, s.seal(d.timestamp(), "timestamp-no-hash", "timestamp-hash-plain")...)
	b = d.finish(b, p.public, p.cookie)
	p.mac1 = bytes.Clone(b[116:132])
	p.pending = &tinyPending{s, private, index, bytes.Clone(b), d.now.Add(5 * time.Second)}
	d.emit(p.endpoint, b)
}

func (d *tinySubject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	at := d.enter(now)
	for _, g := range in {
		b := g.Bytes
		switch {
		case len(b) == 148 && b[0] == 1:
			d.readInitiation(b, g.Remote)
		case len(b) == 92 && b[0] == 2:
			d.readResponse(b)
		case len(b) == 64 && b[0] == 3:
			d.readCookie(b)
		case len(b) >= 32 && b[0] == 4:
			d.readData(b)
		}
	}
	return at
}

func (d *tinySubject) mac1Right(b, sender []byte) bool {
	at := len(b) - 32
	want := d.mac1(b[:at], d.public, sender)
	n := 16
	if d.is("mac1-compared-in-part") {
		n = 8
	}
	return d.is("mac1-unchecked", "mac1-static", "mac2-missing") || bytes.Equal(want[:n], b[at:at+n])
}

func (d *tinySubject) readInitiation(b []byte, from netip.AddrPort) {
	if !d.mac1Right(b, nil) {
		return
	}
	// Only the right one is known before the static field is open, which is what makes start-own-static a mistake that
	// cannot be made on this side.
	s := d.begin(d.public, d.public)
	s.ephemeral(b[8:40])
	es, ok := d.dh(d.private, b[8:40])
	if d.is("es-ss-swapped") {
		for _, p := range d.peers { // whoever it may be
			es, ok = d.dh(d.private, p.public)
		}
	}
	s.mixKey(es)
	static, opened := s.open(b[40:88], "static-no-hash", "static-hash-plain")
	i := slices.IndexFunc(d.peers, func(p *tinyPeer) bool { return bytes.Equal(p.public, static) })
	if i < 0 && d.is("stranger-answered") && len(d.peers) > 0 && opened {
		d.peers = append(d.peers, &tinyPeer{public: static, psk: make([]byte, 32), greatest: make([]byte, 12)})
		i = len(d.peers) - 1
	}
	if !ok || !opened || i < 0 {
		return
	}
	p := d.peers[i]
	ss, _ := d.dh(d.private, p.public)
	if d.is("es-ss-swapped") {
		ss, _ = d.dh(d.private, b[8:40])
	}
	if !d.is("ss-missing") {
		s.mixKey(ss)
	}
	stamp, opened := s.open(b[88:116], "timestamp-no-hash", "timestamp-hash-plain")
	if !opened && !d.is("timestamp-unauthenticated") || !d.newer(p, stamp) {
		return
	}
	p.greatest, p.endpoint = stamp, from
	d.answer(p, s, b)
}

func (d *tinySubject) newer(p *tinyPeer, stamp []byte) bool {
	old := p.greatest
	switch {
	case d.is("timestamp-unchecked", "timestamp-unauthenticated"):
		return true
	case d.is("timestamp-equal"):
		return bytes.Compare(stamp, old) >= 0
	case d.is("timestamp-compared-little-endian"):
		stamp, old = bytes.Clone(stamp), bytes.Clone(old)
		slices.Reverse(stamp)
		slices.Reverse(old)
	}
	return bytes.Compare(stamp, old) > 0
}

func (d *tinySubject) answer(p *tinyPeer, s *tinyState, b []byte) {
	if d.is("cookie-at-once") {
		d.emit(p.endpoint, append(append([]byte{3, 0, 0, 0}, b[4:8]...), d.draw(56)...))
		return
	}
	private := d.draw(32)
	if d.is("ephemeral-constant") {
		private = bytes.Repeat([]byte{0x40}, 32)
	}
	public, _ := curve25519.X25519(private, curve25519.Basepoint)
	index, remote := binary.LittleEndian.Uint32(d.draw(4)), d.readIndex(b[4:])
	if d.is("sender-constant") {
		index = 7
	}
	ee, _ := d.dh(private, b[8:40])
	se, _ := d.dh(private, p.public)
	if d.is("se-is-ss") {
		se, _ = d.dh(d.private, p.public)
	}
	s.respond(public, ee, se, p.psk)
	first, second := index, remote
	if d.is("index-order") {
		first, second = second, first
	}
	if d.is("answer-big-endian") {
		second = binary.BigEndian.Uint32(b[4:])
	}
	r := append(d.index(d.index([]byte{2, 0, 0, 0}, first), second), public...)
	r = append(r, s.seal(nil, "empty-no-hash", "empty-hash-plain")...)
	if d.is("answer-mac1-range") {
		whole := append(bytes.Clone(r), make([]byte, 16)...)
		r = append(append(r, d.mac(d.macKey(p.public, d.public), whole)...), make([]byte, 16)...)
	} else {
		r = d.finish(r, p.public, nil)
	}
	send, recv := s.keys(false)
	n := d.session(send, recv, index, remote)
	p.sessions = append(p.sessions, n)
	if d.is("unconfirmed-sends") {
		p.current = n
	}
	d.emit(p.endpoint, r)
}

func (d *tinySubject) readResponse(b []byte) {
	for _, p := range d.peers {
		n := p.pending
		if n == nil || n.index != d.readIndex(b[8:]) || !d.mac1Right(b, p.public) {
			continue
		}
		s := *n.state
		ee, _ := d.dh(n.private, b[12:44])
		se, _ := d.dh(d.private, b[12:44])
		s.respond(b[12:44], ee, se, p.psk)
		if _, ok := s.open(b[44:60], "empty-no-hash", "empty-hash-plain"); !ok {
			continue
		}
		send, recv := s.keys(true)
		p.current, p.pending = d.session(send, recv, n.index, d.readIndex(b[4:])), nil
		p.sessions = append(p.sessions, p.current)
		if d.is("initiator-silent") {
			return
		}
		d.flush(p)
	}
}

func (d *tinySubject) readCookie(b []byte) {
	for _, p := range d.peers {
		if p.pending == nil || p.pending.index != d.readIndex(b[4:]) {
			continue
		}
		label, public, ad := "cookie--", p.public, p.mac1
		switch d.flaw {
		case "cookie-label":
			label = "mac1----"
		case "cookie-own":
			public = d.public
		case "cookie-no-ad":
			ad = nil
		}
		a, _ := chacha20poly1305.NewX(d.hash([]byte(label), public))
		if c, err := a.Open(nil, b[8:32], b[32:], ad); err == nil {
			p.cookie = c
		}
	}
}

func (d *tinySubject) readData(b []byte) {
	for _, p := range d.peers {
		for _, s := range p.sessions {
			if s.local != d.readIndex(b[4:]) {
				continue
			}
			counter, plain, ok := d.openData(s.recv, b)
			if !ok || s.seen[counter] || counter < s.highest && d.is("window-missing") || counter+8128 < s.highest ||
				counter == 0 && d.is("counter-from-one") || len(plain)%16 != 0 && d.is("unpadded-refused") {
				continue
			}
			s.seen[counter] = !d.is("replay-delivered")
			s.highest = max(s.highest, counter)
			d.receive(p, s, plain)
		}
	}
}

func (d *tinySubject) receive(p *tinyPeer, s *tinySession, plain []byte) {
	if len(plain) > 0 || !d.is("unconfirmed-by-keepalive") {
		p.current = s
	}
	if len(plain) > 0 && !d.is("padding-kept") {
		plain = plain[:min(len(plain), int(binary.BigEndian.Uint16(plain[2:])))]
	}
	if len(plain) > 0 || d.is("keepalive-delivered") {
		d.out.Packets = append(d.out.Packets, conformance.SentPacket{At: conformance.At(d.now), Bytes: plain})
	}
	d.flush(p)
}
