package report

import (
	"encoding/base64"
	"encoding/binary"
)

// row is one event of the page: something with a beginning and perhaps an end, so that a datagram with its fate is one,
// and a timer from being set to being done with is one. Names and sentences are numbers in the page's list of strings.
//
//	              why                  note            m            n               q
//	datagram      reason or who did it rule ID         its number   its original    the index in it
//	inner packet  flow                 its kind        its ID       Seq in the flow the datagram that carried it
//	timer         which                               times reset  last deadline
//	of a core     cause, reason, slot  rule ID, slot   Local        Remote          Attempt
//	action                             what it did
type row struct {
	id, m, n, q                                 uint64
	at, end                                     int64 // end: not before at, or open
	kind, host, peer, fate, why, note, src, dst uint32
	size                                        uint32
	flag                                        uint8
}

// open is the end of a row that has none yet.
const open = -1

// The bits of row.flag. The page knows those up to flagTimer.
const (
	flagDamaged   = 1 << iota // the network changed bits of it
	flagAttack                // it is an attacker's
	flagOnly                  // the other run does not have it
	flagInitiator             // Event.Initiator, or Event.Under
	flagTimer                 // id counts timers
	flagCommon                // there are many like it: it may be sampled
	flagPacket                // an inner packet
)

// table gives strings numbers in the order in which they come; "" is 0.
type table struct {
	list []string
	at   map[string]uint32 // looked up only
}

func (t *table) number(s string) uint32 {
	n, ok := t.at[s]
	if !ok {
		n = uint32(len(t.list))
		t.at[s], t.list = n, append(t.list, s)
	}
	return n
}

// timerKey names a timer of a tunnel end.
type timerKey struct{ host, peer, timer uint32 }

// innerKey names an inner packet.
type innerKey struct {
	kind uint32
	id   uint64
}

// rows holds a bounded number of rows in the order of their beginnings. The maps lead to those that are open; they are
// looked up only.
type rows struct {
	list      []row
	most      int
	shift     uint   // 1 of 2^shift common rows is kept
	omitted   uint64 // rows for which there was no room
	strings   table
	datagrams map[uint64]int
	inners    map[innerKey]int
	timers    map[timerKey]int
}

func newRows(most int) rows {
	r := rows{most: most, strings: table{at: map[string]uint32{}}}
	r.strings.number("")
	r.forget()
	return r
}

func (r *rows) forget() {
	r.datagrams, r.inners, r.timers = map[uint64]int{}, map[innerKey]int{}, map[timerKey]int{}
}

// add takes a row in if there is room, and gives nil if there is none.
func (r *rows) add(n row) *row {
	if len(r.list) == r.most {
		r.thin()
	}
	if len(r.list) == r.most {
		r.omitted++
		return nil
	}
	r.list = append(r.list, n)
	at := len(r.list) - 1
	r.follow(at)
	return &r.list[at]
}

// follow makes an open row known, for the record that ends it.
func (r *rows) follow(at int) {
	n := &r.list[at]
	switch {
	case n.end != open:
	case n.flag&flagTimer != 0:
		r.timers[timerKey{n.host, n.peer, n.why}] = at
	case n.flag&flagPacket != 0:
		r.inners[innerKey{n.note, n.m}] = at
	default:
		r.datagrams[n.m] = at
	}
}

// mostShift ends the sampling: 1 of 1024.
const mostShift = 10

// thin samples the common rows until a quarter of the room is free, or as far as that goes.
func (r *rows) thin() {
	for r.shift < mostShift && len(r.list) > r.most/4*3 {
		r.shift++
		r.sample()
	}
}

// settle makes the sampling even: what came after the last thinning is sampled like the rest.
func (r *rows) settle() {
	if r.shift > 0 {
		r.sample()
	}
}

// sample keeps rows by a hash of their numbers, since traffic that takes turns has a pattern in the numbers themselves.
func (r *rows) sample() {
	kept := r.list[:0]
	for i := range r.list {
		n := &r.list[i]
		number := n.m
		if n.flag&flagTimer != 0 {
			number = n.id
		}
		if n.flag&flagCommon == 0 || number*0x9e3779b97f4a7c15>>(64-r.shift) == 0 {
			kept = append(kept, *n)
		}
	}
	r.list = kept
	r.forget()
	for i := range r.list {
		r.follow(i)
	}
}

// columns holds the rows by column: numbers of variable length, seven bits to a byte and the lowest first, in base64.
// Id and At are differences to the row before, Id with its sign in the lowest bit. Dur is one more than the time from
// beginning to end, and 0 if there was no end.
type columns struct {
	ID   string `json:"id"`
	At   string `json:"at"`
	Dur  string `json:"dur"`
	Kind string `json:"kind"`
	Host string `json:"host"`
	Peer string `json:"peer"`
	Fate string `json:"fate"`
	Why  string `json:"why"`
	Note string `json:"note"`
	Src  string `json:"src"`
	Dst  string `json:"dst"`
	Size string `json:"size"`
	Flag string `json:"flag"`
	M    string `json:"m"`
	N    string `json:"n"`
	Q    string `json:"q"`
}

func (r *rows) columns() columns {
	column := func(value func(n, before *row) uint64) string {
		var b []byte
		before := &row{}
		for i := range r.list {
			b = binary.AppendUvarint(b, value(&r.list[i], before))
			before = &r.list[i]
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	plain := func(value func(n *row) uint64) string {
		return column(func(n, _ *row) uint64 { return value(n) })
	}
	return columns{
		ID: column(func(n, before *row) uint64 {
			d := int64(n.id) - int64(before.id)
			return uint64(d<<1) ^ uint64(d>>63)
		}),
		At: column(func(n, before *row) uint64 { return uint64(n.at - before.at) }),
		Dur: plain(func(n *row) uint64 {
			if n.end == open {
				return 0
			}
			return uint64(n.end-n.at) + 1
		}),
		Kind: plain(func(n *row) uint64 { return uint64(n.kind) }),
		Host: plain(func(n *row) uint64 { return uint64(n.host) }),
		Peer: plain(func(n *row) uint64 { return uint64(n.peer) }),
		Fate: plain(func(n *row) uint64 { return uint64(n.fate) }),
		Why:  plain(func(n *row) uint64 { return uint64(n.why) }),
		Note: plain(func(n *row) uint64 { return uint64(n.note) }),
		Src:  plain(func(n *row) uint64 { return uint64(n.src) }),
		Dst:  plain(func(n *row) uint64 { return uint64(n.dst) }),
		Size: plain(func(n *row) uint64 { return uint64(n.size) }),
		Flag: plain(func(n *row) uint64 { return uint64(n.flag & (flagCommon - 1)) }),
		M:    plain(func(n *row) uint64 { return n.m }),
		N:    plain(func(n *row) uint64 { return n.n }),
		Q:    plain(func(n *row) uint64 { return n.q }),
	}
}
