package protocol_test

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/protocol"
)

// mine takes what was sent since the last look and gives what went to the outsider's address.
func (o *outsider) mine() (mine []sent) {
	for _, s := range o.take() {
		if s.to.Remote == o.at.Remote {
			mine = append(mine, s)
		}
	}
	return mine
}

// stampOf waits for the next initiation of the device, makes it by a packet if need be, and reads its timestamp.
func (o *outsider) stampOf() (label uint64, nanos uint32, raw [12]byte) {
	o.Helper()
	o.forget()
	o.send(o.ours("x"))
	all := of(o.mine(), 1)
	if len(all) == 0 {
		o.advance(6 * time.Second)
		all = of(o.mine(), 1)
	}
	if len(all) == 0 {
		o.Fatalf("no initiation within 6 s")
	}
	raw = o.read(all[len(all)-1].msg).stamp
	return binary.BigEndian.Uint64(raw[:]), binary.BigEndian.Uint32(raw[8:]), raw
}

var taiCases = []ruleCase{
	{"TAI01TheTimestampIsTAI64N", "TAI-01 TAI-07 TAI-08", func(r *rig) { // B041 to B044
		for n := 1; n <= 6; n++ {
			o := r.peer(n)
			label, nanos, _ := o.stampOf()
			if want := uint64(1)<<62 + 10 + uint64(r.wall().Unix()); label != want {
				r.Errorf("label %#x, want %#x", label, want)
			}
			if nanos >= 1e9 || nanos&(1<<24-1) != 0 || nanos>>24 != uint32(r.wall().Nanosecond())>>24 {
				r.Errorf("nanoseconds %#x at %v", nanos, r.wall())
			}
			r.advance(123_456_789 * time.Nanosecond)
		}
	}},
	{"TAI02OnlyAGreaterTimestampIsAccepted", "TAI-02", func(r *rig) {
		o := r.peer(1)
		try := func(stamp [12]byte, want bool) {
			r.Helper()
			r.advance(time.Second)
			r.forget()
			o.says(o.craft(craft{stamp: &stamp}).msg)
			if want {
				r.one(2, "a greater timestamp")
				return
			}
			r.silent("an old timestamp")
			r.dropped(protocol.DropOldTimestamp, 1, "an old timestamp")
		}
		try(tai(1<<62, 500), true)
		try(tai(1<<62, 500), false)
		try(tai(1<<62, 499), false)
		try(tai(1<<62, 501), true)
		try(tai(1<<62-1, 1<<31), false)
		try(tai(1<<62+1, 0), true)
		try(tai(1<<62, 1<<32-1), false)
		h := o.initiation() // the very same bytes again
		o.says(h.msg)
		r.forget()
		r.advance(time.Second)
		o.says(h.msg)
		r.silent("a copy of an accepted initiation")
	}},
	{"TAI02TwoCopiesAtOnceGetOneAnswer", "TAI-02 HS-03", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		r.hold = true
		o.says(h.msg, h.msg)
		r.release()
		r.one(2, "two copies that were worked on at once")
	}},
	{"TAI03TheReceiverHasNoOpinionOfTheTime", "TAI-03", func(r *rig) {
		o := r.peer(1)
		for _, stamp := range [][12]byte{{11: 1}, {11: 2}, tai(1<<62+99, 0), tai(1<<63, 1<<32-1), tai(1<<64-1, 1<<32-1)} {
			r.advance(time.Second)
			o.says(o.craft(craft{stamp: &stamp}).msg)
			r.one(2, "any greater number is fine")
		}
	}},
	{"TAI04TheGreatestTimestampOutlivesSessions", "TAI-04", func(r *rig) {
		o := r.peer(1)
		old := o.initiation()
		o.says(old.msg)
		s := old.complete(r.one(2, "answer").msg)
		o.says(s.seal(nil))
		r.forget()
		replay := func(why string) {
			r.Helper()
			r.forget()
			o.says(old.msg)
			r.silent(why)
			r.dropped(protocol.DropOldTimestamp, 1, why)
		}
		r.advance(time.Second)
		replay("after the session came up")
		o.connect()
		r.advance(time.Second)
		replay("after a rekey")
		r.advance(200 * time.Second)
		replay("after expiry")
		r.advance(700 * time.Second)
		replay("after erasure")
		r.down()
		r.up()
		replay("after down and up")
		c := o.change()
		c.PresharedKey = &protocol.PresharedKey{9}
		r.configure(c)
		replay("after a change of the peer")
		r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()}, o.add())
		o.says(old.msg)
		r.one(2, "a removed peer is forgotten, timestamps and all (TAI-05)")
	}},
	{"TAI06TimestampsGrowDespiteTheWallClock", "TAI-06 TAI-09 TAI-10 LIFE-07", func(r *rig) {
		o := r.peer(1)
		_, _, last := o.stampOf()
		for _, step := range []time.Duration{0, -time.Hour, -time.Hour, 0, time.Second, 3 * time.Hour, -24 * time.Hour,
			0, 0, 10 * 365 * 24 * time.Hour, -40 * 365 * 24 * time.Hour, 0} {
			r.setWall(step)
			_, _, next := o.stampOf()
			if bytes.Compare(next[:], last[:]) <= 0 {
				r.Errorf("timestamp %x after %x, wall clock moved by %v", next, last, step)
			}
			if nanos := binary.BigEndian.Uint32(next[8:]); nanos >= 1e9 || nanos&(1<<24-1) != 0 {
				r.Errorf("nanoseconds %#x", nanos)
			}
			last = next
		}
	}},
	{"TAI06TimestampsGrowWhateverTheWallClockShows", "TAI-06 TAI-10", func(r *rig) {
		// A machine without a clock battery: the zero time.Time, or a date that no int64 of nanoseconds can hold.
		for n, year := range []int{1, 1601, 2400} {
			wall := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			o := r.peer(n + 1)
			r.d.SetWallClock(r.now, wall)
			_, _, last := o.stampOf()
			for _, again := range []time.Duration{0, -time.Minute, 0, time.Minute, -time.Hour, 0} {
				r.d.SetWallClock(r.now, wall.Add(again))
				_, _, next := o.stampOf()
				if bytes.Compare(next[:], last[:]) <= 0 {
					r.Errorf("wall clock %v, moved by %v: timestamp %x after %x", wall, again, next, last)
				}
				last = next
			}
		}
	}},
}
