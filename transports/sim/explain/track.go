package explain

import (
	"net/netip"
	"slices"
)

// tunnel is two ends that speak WireGuard with each other.
type tunnel struct {
	id        int
	ends      [2]end
	messages  []*message // in order of time
	exchanges []*exchange
	moves     []move
}

// end is one of the two.
type end struct {
	at    []netip.AddrPort // by tap, the zero value where it was not seen
	first netip.AddrPort   // as it was first seen anywhere
	key   key              // if it is known
	known bool
	name  string
}

// exchange is a handshake, as far as there is one in the capture, and the session that it led to.
type exchange struct {
	id       int
	tunnel   *tunnel
	from     int // side of the tunnel that initiated, if that is known
	fromKnow bool
	init     *message // nil: before the capture, or not seen by it
	resp     *message // nil: none was seen
	extra    []*message
	cookies  []*message
	index    [2]uint32 // by side of the tunnel: what that side receives with
	indexed  [2]bool
	assumed  bool // that the two directions belong together is a guess
	flow     [2]flow
	sent     [2][]*message // transport messages, copies left out
	script   *transcript
	keys     *pair
	psk      key
	pskFits  verdict
	cause    cause
	retry    int // number of initiations before this one in the same attempt
}

// move is a change of one end's address, as one tap saw it.
type move struct {
	at       int64
	side     int
	from, to netip.AddrPort
	message  *message
	guessed  bool // inferred from times and addresses alone
}

// owner tells who receives with an index.
type owner struct {
	x    *exchange
	side int
}

// tracker gives every message its tunnel, exchange and direction.
type tracker struct {
	ring      *keyring
	taps      int
	tunnels   []*tunnel
	exchanges []*exchange
	index     map[uint32][]owner
	strays    []*message // that fit nowhere
}

func (k *tracker) add(m *message) {
	switch m.kind {
	case initiation:
		k.initiation(m)
	case response:
		k.response(m)
	case cookieReply:
		k.cookie(m)
	case transport:
		k.transport(m)
	default:
		s := m.seen[0]
		if t, side := k.find(&s); t != nil {
			k.enter(m, t, nil, side)
		} else {
			k.strays = append(k.strays, m)
		}
	}
}

// find looks for the tunnel between source and destination of s and gives the side that s came from. The last one
// counts, if a guess about keys made two of them.
func (k *tracker) find(s *sighting) (*tunnel, int) {
	for _, t := range slices.Backward(k.tunnels) {
		for side := range 2 {
			if t.ends[side].at[s.tap] == s.src && t.ends[1-side].at[s.tap] == s.dst {
				return t, side
			}
		}
	}
	return nil, 0
}

// byKeys looks for the tunnel of two static keys.
func (k *tracker) byKeys(by, to key) (*tunnel, int) {
	for _, t := range k.tunnels {
		for side := range 2 {
			a, b := &t.ends[side], &t.ends[1-side]
			if a.known && b.known && a.key == by && b.key == to {
				return t, side
			}
		}
	}
	return nil, 0
}

// open gives the tunnel of s, a new one if there is none, with s from side 0.
func (k *tracker) open(s *sighting) (*tunnel, int) {
	if t, side := k.find(s); t != nil {
		return t, side
	}
	t := &tunnel{id: len(k.tunnels) + 1}
	for i := range t.ends {
		t.ends[i].at = make([]netip.AddrPort, k.taps)
	}
	t.ends[0].first, t.ends[1].first = s.src, s.dst
	t.ends[0].at[s.tap], t.ends[1].at[s.tap] = s.src, s.dst
	k.tunnels = append(k.tunnels, t)
	return t, 0
}

// enter files a message that came from a side of a tunnel, at all its taps. Addresses move only with a message that
// the other side would believe (ROAM-01).
func (k *tracker) enter(m *message, t *tunnel, x *exchange, from int) {
	m.tunnel, m.exchange, m.from = t, x, from
	t.messages = append(t.messages, m)
	if x != nil && m.kind == transport {
		if m.copyOf == nil {
			x.sent[from] = append(x.sent[from], m)
		}
		believable := x.flow[from].add(m)
		if !believable || m.copyOf != nil {
			return
		}
	}
	unbelieved := m.copyOf != nil || m.ident.mac1 == forged || m.open == forged
	for i := range m.seen {
		s := &m.seen[i]
		e := &t.ends[from]
		old := e.at[s.tap]
		believed := m.kind != cookieReply && m.kind != malformed && !unbelieved
		if old.IsValid() && old != s.src && believed {
			if n := len(t.moves); n == 0 || t.moves[n-1].message != m {
				t.moves = append(t.moves, move{at: m.at, side: from, from: old, to: s.src, message: m})
			}
		}
		if believed || !old.IsValid() {
			e.at[s.tap] = s.src
		}
		if o := &t.ends[1-from]; !o.at[s.tap].IsValid() {
			o.at[s.tap] = s.dst
		}
	}
}

func (k *tracker) exchange(t *tunnel) *exchange {
	x := &exchange{id: len(k.exchanges) + 1, tunnel: t}
	k.exchanges = append(k.exchanges, x)
	t.exchanges = append(t.exchanges, x)
	return x
}

func (k *tracker) setIndex(x *exchange, side int, index uint32) {
	x.index[side], x.indexed[side] = index, true
	k.index[index] = append(k.index[index], owner{x, side})
}

func (k *tracker) initiation(m *message) {
	script := k.ring.identify(m)
	id := &m.ident
	s := m.seen[0]
	var t *tunnel
	from := 0
	if id.static == genuine {
		t, from = k.byKeys(id.by, id.to)
	}
	if t == nil {
		t, from = k.open(&s)
		a, b := &t.ends[from], &t.ends[1-from]
		if id.static == genuine && a.known && a.key != id.by || id.mac1 == genuine && b.known && b.key != id.to {
			// Others speak from the same address now: they have a tunnel of their own.
			t = k.fresh(&s)
			from = 0
		}
	}
	if id.static == genuine {
		k.name(&t.ends[from], id.by)
	}
	if id.mac1 == genuine {
		k.name(&t.ends[1-from], id.to)
	}
	if m.copyOf != nil {
		k.enter(m, t, m.copyOf.exchange, from)
		return
	}
	x := k.exchange(t)
	x.from, x.fromKnow, x.init, x.script = from, true, m, script
	k.setIndex(x, from, m.sender)
	k.enter(m, t, x, from)
}

func (k *tracker) fresh(s *sighting) *tunnel {
	hide := *s
	hide.src = netip.AddrPort{} // no tunnel has that
	t, _ := k.open(&hide)
	t.ends[0].first, t.ends[0].at[s.tap] = s.src, s.src
	return t
}

func (k *tracker) name(e *end, public key) {
	e.key, e.known, e.name = public, true, k.ring.name(public)
}

// lookup finds who receives with an index: one at the message's addresses before others, the latest before older.
func (k *tracker) lookup(index uint32, s *sighting, fits func(owner) bool) (best owner, ok bool) {
	for _, o := range slices.Backward(k.index[index]) {
		if !fits(o) {
			continue
		}
		t := o.x.tunnel
		if t.ends[o.side].at[s.tap] == s.dst && t.ends[1-o.side].at[s.tap] == s.src {
			return o, true
		}
		near := t.ends[o.side].at[s.tap].Addr() == s.dst.Addr() || t.ends[1-o.side].at[s.tap].Addr() == s.src.Addr() ||
			!t.ends[o.side].at[s.tap].IsValid()
		if near && !ok {
			best, ok = o, true
		}
	}
	return best, ok
}

func (k *tracker) response(m *message) {
	s := m.seen[0]
	m.ident.to, m.ident.mac1 = k.ring.checkMac1(m)
	o, ok := k.lookup(m.receiver, &s, func(o owner) bool { return o.x.init != nil && o.x.from == o.side })
	if !ok {
		t, from := k.open(&s)
		if m.ident.mac1 == genuine {
			k.name(&t.ends[1-from], m.ident.to)
		}
		x := k.exchange(t)
		x.from, x.fromKnow, x.resp = 1-from, true, m
		k.setIndex(x, 1-from, m.receiver)
		k.setIndex(x, from, m.sender)
		k.enter(m, t, x, from)
		return
	}
	x, from := o.x, 1-o.side
	switch {
	case m.copyOf != nil:
	case x.resp != nil:
		x.extra = append(x.extra, m)
		k.setIndex(x, from, m.sender)
	default:
		x.resp = m
		k.setIndex(x, from, m.sender)
		x.keys, x.psk, x.pskFits = x.script.complete(x.init, m)
		m.open = x.pskFits
	}
	k.enter(m, x.tunnel, x, from)
}

func (k *tracker) cookie(m *message) {
	s := m.seen[0]
	o, ok := k.lookup(m.receiver, &s, func(owner) bool { return true })
	if !ok {
		t, from := k.open(&s)
		k.enter(m, t, nil, from)
		return
	}
	o.x.cookies = append(o.x.cookies, m)
	k.enter(m, o.x.tunnel, o.x, 1-o.side)
}

func (k *tracker) transport(m *message) {
	s := m.seen[0]
	if o, ok := k.lookup(m.receiver, &s, func(owner) bool { return true }); ok {
		x, from := o.x, 1-o.side
		if x.keys != nil {
			side := 1 // of the exchange: the responder
			if from == x.from {
				side = 0
			}
			var plain []byte
			if plain, m.open = x.keys.open(side, m); m.open == genuine {
				m.inner = parseInner(plain)
			}
		}
		k.enter(m, x.tunnel, x, from)
		return
	}
	t, from := k.open(&s)
	x := k.halfOf(t, from)
	if x == nil {
		x = k.exchange(t)
	}
	k.setIndex(x, 1-from, m.receiver)
	k.enter(m, t, x, from)
}

// halfOf finds the session that was under way before the capture began and of which only the other direction was seen
// yet. More than one could be it only if there are several; then nothing is put together.
func (k *tracker) halfOf(t *tunnel, from int) *exchange {
	var found *exchange
	for _, x := range t.exchanges {
		if x.init == nil && x.resp == nil && x.indexed[from] && !x.indexed[1-from] {
			if found != nil {
				return nil
			}
			found = x
		}
	}
	if found != nil {
		found.assumed = true
	}
	return found
}

// confirmation is the initiator's first transport message on a session, which makes it usable for both (HS-16).
func (x *exchange) confirmation() *message {
	if x.resp == nil {
		return nil
	}
	return x.flow[x.from].first
}

// established reports that the session carried something.
func (x *exchange) established() bool {
	return x.confirmation() != nil || x.resp == nil && (x.flow[0].count > 0 || x.flow[1].count > 0)
}

// start is when the handshake or, without one, the first message of the exchange was seen.
func (x *exchange) start() int64 {
	if x.init != nil {
		return x.init.at
	}
	if x.resp != nil {
		return x.resp.at
	}
	return x.firstData().at
}

func (x *exchange) firstData() (m *message) {
	for i := range x.flow {
		if f := x.flow[i].first; f != nil && (m == nil || f.at < m.at) {
			m = f
		}
	}
	return m
}

// end is when the last message of the exchange was seen.
func (x *exchange) end() (at int64) {
	at = x.start()
	if x.resp != nil {
		at = max(at, x.resp.at)
	}
	for i := range x.flow {
		if l := x.flow[i].last; l != nil {
			at = max(at, l.at)
		}
	}
	return at
}
