package capture

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// entry is something that waits for its turn: key log lines, or a datagram whose fate, or that of a copy of it, is
// not decided yet.
type entry struct {
	keyLog []byte

	at       timers.Time
	src, dst netip.AddrPort
	network  string
	tos      uint8
	data     []byte // as sent
	host     string
	attack   sim.AttackKind
	fate     fate
	copies   []*fate
	open     int // fates not decided yet
	number   uint64
}

// fate is what became of a datagram or of one of its copies.
type fate struct {
	sim.Fate
	to, rule     string
	reason, hint string // of a rejection: the drop reason and the ID of the rule that demands it
	flipped      []int  // bits of the payload
}

// queue puts datagrams into the order in which they were sent, each with what became of it.
type queue struct {
	emit      func(*entry)
	waiting   []*entry
	byNumber  map[uint64]*entry // what waits; the maps are looked up only
	undecided map[uint64]half   // datagrams and copies
}

// half is a datagram or a copy between its two records.
type half struct {
	entry *entry
	fate  *fate
}

func (q *queue) init(emit func(*entry)) {
	q.emit, q.byNumber, q.undecided = emit, map[uint64]*entry{}, map[uint64]half{}
}

func (q *queue) observe(r *sim.Record) {
	switch r.Kind {
	case sim.KindKeyLog:
		q.waiting = append(q.waiting, &entry{keyLog: slices.Clone(r.KeyLog)})
	case sim.KindDatagram:
		q.sent(r)
		return // nothing can be ready that was not before
	case sim.KindFate:
		q.decided(r)
	default:
		return
	}
	n := 0
	for n < len(q.waiting) && q.waiting[n].open == 0 {
		q.out(q.waiting[n])
		n++
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
}

func (q *queue) sent(r *sim.Record) {
	if e := q.byNumber[r.Original]; e != nil {
		f := &fate{}
		e.copies = append(e.copies, f)
		e.open++
		q.undecided[r.Datagram] = half{e, f}
		return
	}
	e := &entry{
		at: r.At, src: r.Src, dst: r.Dst, network: r.Network, tos: r.TOS, data: slices.Clone(r.Data),
		host: r.Host, attack: r.Attack, open: 1, number: r.Datagram,
	}
	q.waiting = append(q.waiting, e)
	q.byNumber[r.Datagram], q.undecided[r.Datagram] = e, half{e, &e.fate}
}

func (q *queue) decided(r *sim.Record) {
	h, known := q.undecided[r.Datagram]
	if !known {
		return
	}
	delete(q.undecided, r.Datagram)
	*h.fate = fate{Fate: r.Fate, to: r.To, rule: r.Rule}
	if r.Fate == sim.FateRejected {
		h.fate.reason, h.fate.hint = r.Reason.String(), r.Reason.Rule()
	}
	if r.Damaged {
		h.fate.flipped = flipped(h.entry.data, r.Data)
	}
	h.entry.open--
}

func (q *queue) flush() {
	for _, e := range q.waiting {
		q.out(e)
	}
	q.waiting = nil
}

// out leaves out what never was on a wire.
func (q *queue) out(e *entry) {
	delete(q.byNumber, e.number)
	if e.keyLog != nil || e.fate.Fate != sim.FateUnsent {
		q.emit(e)
	}
}

// flipped lists the bits in which the two differ, bit 0 of byte 0 first.
func flipped(a, b []byte) (bits []int) {
	for i := range min(len(a), len(b)) {
		for bit := range 8 {
			if (a[i]^b[i])>>bit&1 == 1 {
				bits = append(bits, 8*i+bit)
			}
		}
	}
	return bits
}

// genuine tells that the datagram is a host's own and was meant to be decrypted.
func (e *entry) genuine() bool { return e.attack == sim.AttackNone }

// comments says what is to be said about a datagram, in the order in which it happened: nothing, for most.
func (e *entry) comments() (all []string) {
	if e.attack != sim.AttackNone {
		all = append(all, fmt.Sprintf("forged: %s, by %s", e.attack, e.host))
	}
	all = append(all, e.fate.comments()...)
	for _, c := range e.copies {
		what := c.comments()
		if len(what) == 0 {
			what = []string{"accepted by " + c.to}
		}
		all = append(all, "copied on the way, the copy: "+strings.Join(what, ", "))
	}
	return all
}

func (f *fate) comments() (all []string) {
	if len(f.flipped) > 0 {
		all = append(all, "damaged on the way (shown as sent): flipped "+bitNames(f.flipped))
	}
	switch f.Fate {
	case sim.FateDelivered:
	case sim.FateRejected:
		all = append(all, fmt.Sprintf("rejected by %s: %s (%s)", f.to, f.reason, f.hint))
	case sim.FateLost:
		all = append(all, "lost: "+f.rule)
	case sim.FateFiltered:
		all = append(all, "filtered: "+f.rule)
	case sim.FateNoAddress:
		all = append(all, "not delivered: nobody is at the destination")
	case sim.FateAsleep:
		all = append(all, "not delivered: "+f.to+" sleeps")
	case sim.FateDown:
		all = append(all, "not delivered: "+f.to+" does not run")
	case sim.FatePending:
		all = append(all, "still on its way when the run ended")
	default:
		all = append(all, f.Fate.String())
	}
	return all
}

func bitNames(bits []int) string {
	var names []string
	for _, b := range bits {
		names = append(names, fmt.Sprintf("bit %d of byte %d", b%8, b/8))
	}
	return strings.Join(names, ", ")
}
