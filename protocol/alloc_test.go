package protocol_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Runs of a measurement; AllocsPerRun makes one more, to warm up.
const allocRuns = 50

// unallocating is a device that reports no events, as in production.
func unallocating(t *testing.T) *rig {
	r := newRig(t, good(t))
	r.restart(func(c *protocol.Config) { c.Trace, c.Limits.HandshakesPerSecond = 0, quiet })
	return r
}

// zero demands that f, after it ran a few times, allocates nothing.
func zero(t *testing.T, what string, f func()) {
	t.Helper()
	f()
	f()
	if n := testing.AllocsPerRun(allocRuns, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

// copies makes enough batches of datagrams for a measurement: opening decrypts in place, so that each is good once.
func copies(o *outsider, batch func() [][]byte) func() []protocol.Datagram {
	var all [][]protocol.Datagram
	for range allocRuns + 3 {
		var in []protocol.Datagram
		for _, m := range batch() {
			m = bytes.Clone(m)
			in = append(in, protocol.Datagram{Packet: protocol.Packet{Buf: m, Len: len(m)}, Endpoint: o.at})
		}
		all = append(all, in)
	}
	return func() []protocol.Datagram {
		in := all[0]
		all = all[1:]
		return in
	}
}

func TestAllocDataPath(t *testing.T) {
	r := unallocating(t)
	o := r.peer(1, keepaliveEvery(25))
	r.forget()
	s := o.connect()
	var in []protocol.Packet
	for range 128 {
		buf := make([]byte, protocol.Headroom+1420+protocol.Tailroom)
		copy(buf[protocol.Headroom:], o.ours("x"))
		in = append(in, protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: 1420})
	}
	inner := o.ours("x")
	zero(t, "HandlePackets and Seal", func() {
		for i := range in {
			copy(in[i].Buf[protocol.Headroom:], inner)
		}
		r.batch.Reset()
		r.d.HandlePackets(r.now, in, &r.batch)
		r.worker.Seal(r.batch.Seal)
		if len(r.batch.Seal) != len(in) {
			t.Fatalf("%d sealed", len(r.batch.Seal))
		}
	})
	next := copies(o, func() (b [][]byte) {
		for range 32 {
			b = append(b, s.data("x"))
		}
		return append(b, s.seal(nil), s.seal(make([]byte, 64)), s.sealAt(0, nil)) // a keepalive, no IP, a replay
	})
	zero(t, "HandleDatagrams, Open and HandleOpened", func() {
		r.batch.Reset()
		r.d.HandleDatagrams(r.now, next(), &r.batch)
		r.worker.Open(r.batch.Open)
		r.d.HandleOpened(r.now, r.batch.Open, &r.batch)
		if len(r.batch.Deliveries) != 32 {
			t.Fatalf("%d delivered", len(r.batch.Deliveries))
		}
	})
	zero(t, "a spurious HandleTimeout and a Deadline", func() {
		r.batch.Reset()
		r.now++
		r.d.HandleTimeout(r.now, &r.batch)
		if _, _, ok := r.d.Deadline(); !ok {
			t.Fatal("no deadline")
		}
	})
	zero(t, "a due keepalive", func() {
		at, why, _ := r.d.Deadline()
		if r.now = max(r.now, at); why == timers.NewHandshake { // nobody answers here: not what is measured
			r.receive(o.at, s.seal(nil))
			return
		}
		r.batch.Reset()
		r.d.HandleTimeout(r.now, &r.batch)
		r.worker.Seal(r.batch.Seal)
	})
}

// Junk must cost neither memory nor, unless it may be genuine, a job (DOS-06, design §3 rule 6).
func TestAllocJunk(t *testing.T) {
	r := unallocating(t)
	o := r.peer(1)
	s := o.accept()
	forged := s.data("x")
	forged[40] ^= 1
	badMAC := o.initiation().msg
	badMAC[120] ^= 1
	unknown := s.data("x")
	unknown[5] ^= 0x55
	reply := o.cookieReply(s.remote, make([]byte, 16), make([]byte, 16))
	validMAC := r.stranger(9).initiation().msg
	response := make([]byte, 92)
	response[0] = 2
	response = o.resign(response)
	for _, tt := range []struct {
		what string
		msg  []byte
		drop protocol.DropReason
		load bool
	}{
		{"a wrong mac1", badMAC, protocol.DropMAC1, false},
		{"a wrong mac1 under load", badMAC, protocol.DropMAC1, true},
		{"an unknown index", unknown, protocol.DropUnknownIndex, false},
		{"a forged transport message", forged, protocol.DropTag, false},
		{"a forged cookie reply", reply, protocol.DropCookieForged, false},
		{"a response to nothing", response, protocol.DropUnknownIndex, false},
		{"a reserved byte", append([]byte{4, 1}, make([]byte, 60)...), protocol.DropReserved, false},
		{"junk with a valid mac1 under load, beyond the budget", validMAC, protocol.DropCookieBudget, true},
		{"junk with a valid mac1 under load, answered", validMAC, protocol.DropNoCookie, true},
		{"junk with a valid mac1, thrown away by a full pool", validMAC, protocol.DropBusy, false},
	} {
		switch tt.drop {
		case protocol.DropCookieBudget:
			r.restart(func(c *protocol.Config) { c.Limits.CookiesPerSource = 1 })
		case protocol.DropNoCookie:
			r.restart(func(c *protocol.Config) { c.Limits.CookiesPerSource = 1000 })
		case protocol.DropBusy: // the job is not done, as when a pool is too slow
			r.restart(func(c *protocol.Config) { c.Limits.HandshakesPerSecond = 1 << 20 })
		}
		if r.advance(3 * time.Second); tt.load {
			r.burden()
			o.says(validMAC) // makes the tables of sources, once per device
		}
		next := copies(o, func() [][]byte { return [][]byte{tt.msg, tt.msg} })
		before := r.d.Drops()[tt.drop]
		zero(t, tt.what, func() {
			r.batch.Reset()
			r.d.HandleDatagrams(r.now, next(), &r.batch)
			r.worker.Open(r.batch.Open)
			r.d.HandleOpened(r.now, r.batch.Open, &r.batch)
			r.d.HandleShaken(r.now, r.batch.Handshakes, &r.batch)
		})
		if n := r.d.Drops()[tt.drop] - before; n < 2*allocRuns {
			t.Errorf("%s: only %d were dropped as %v", tt.what, n, tt.drop)
		}
	}
}
