package shimcheck

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// close ends the check's process, so that the next use has a new one.
func (b *bench) close() {
	if b.p != nil {
		_ = b.p.Close() // the end is a check of its own
		b.p = nil
	}
}

// same compares what two instances put out that were treated alike.
func same(b *bench, how string, one, two []proto.Output) {
	for k := range max(len(one), len(two)) {
		if k >= len(one) || k >= len(two) {
			b.fail("%s: %s, and %s without", how, describe(two), describe(one))
		}
		if !reflect.DeepEqual(one[k], two[k]) {
			b.fail("%s: output %d is %s, and %s without", how, k, spell(two[k]), spell(one[k]))
		}
	}
}

// spell writes an output as it was sent.
func spell(o proto.Output) string {
	line, err := proto.Encode(o)
	if err != nil {
		panic(err) // it was read
	}
	return fmt.Sprintf("%.300s", strings.TrimSpace(string(line)))
}

// a short life, from which something comes.
func (b *bench) short(name string, seed proto.Seed) *instance {
	m, other := newMate(1, false), newMate(2, false)
	i := b.open(name, seed, m.config(0), other.config(25))
	i.handshake(m)
	i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(20 * second)})
	return i
}

// instanceChecks are about several instances, and about seeds.
var instanceChecks = []check{
	{"instances/apart", "instances know nothing of each other: time, keys, sessions", func(b *bench) {
		var one, two *instance
		m, n := newMate(1, false), newMate(1, false)
		b.premise(func() {
			one, two = b.open("one", 1, m.config(0)), b.open("two", 2, n.config(0))
			one.handshake(m)
			one.must(&proto.Request{Op: proto.OpAdvance, Until: new(60 * second)})
		})
		// Its time is still 0, and it knows no session and no timestamp of the other's: the same peer begins again.
		if r := two.ask(&proto.Request{Op: proto.OpAdvance, Until: new(second)}); r.Now == nil || *r.Now != second {
			b.fail("when one instance is at 60 s, another cannot go from 0 s to 1 s: now is %v %s", show(r.Now), r.Error)
		}
		if r := one.must(&proto.Request{Op: proto.OpAdvance, Until: new(60*second + 1)}); *r.Now != 60*second+1 {
			b.fail("when one instance goes to 1 s, the other stands at %d instead of 60 s", *r.Now)
		}
		r := two.must(two.sending(two.datagram(n, two.initiate(n).Bytes)))
		if len(to(n, peer.KindResponse, r.Outputs)) != 1 {
			b.fail("an initiation to one instance, of a peer that has a session with another, brings %s", describe(r.Outputs))
		}
		b.must(&proto.Request{Op: proto.OpClose, Instance: "two"})
		m.clock++
		r = one.must(one.sending(one.datagram(m, one.initiate(m).Bytes)))
		if len(to(m, peer.KindResponse, r.Outputs)) != 1 {
			b.fail("when another instance was closed, an initiation brings %s", describe(r.Outputs))
		}
	}},
	{"close/gone", "a closed instance is gone, and its name can be used for a new one", func(b *bench) {
		var i *instance
		m := newMate(1, false)
		b.premise(func() {
			i = b.open("a", 1, m.config(0))
			i.handshake(m)
			i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(9 * second)})
		})
		i.must(&proto.Request{Op: proto.OpClose})
		if r := i.ask(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)}); r.Error == "" {
			b.fail("advance of an instance that was closed is no error")
		}
		if r := b.must(first(opening("a", 1, m.config(0)))); r.Now == nil || *r.Now != 0 {
			b.fail("a new instance of its name has now %v", show(r.Now))
		}
		i.now = 0
		m.clock = 0 // the old timestamps are forgotten with the instance
		r := i.must(i.sending(i.datagram(m, i.initiate(m).Bytes)))
		if len(to(m, peer.KindResponse, r.Outputs)) != 1 {
			b.fail("a new instance of its name answers an initiation with %s", describe(r.Outputs))
		}
	}},
	{"seed/same", "the same seed and the same requests give the same bytes at the same times", func(b *bench) {
		var one, two, three *instance
		b.premise(func() { one = b.short("a", 5) })
		b.premise(func() {
			b.must(&proto.Request{Op: proto.OpClose, Instance: "a"})
			two = b.short("a", 5)
			b.close()
			three = b.short("a", 5)
		})
		if reflect.DeepEqual(one.seen, two.seen) && reflect.DeepEqual(one.seen, three.seen) {
			b.note("it is deterministic")
			return
		}
		if !b.repeats() {
			b.note("it is not deterministic: a verdict may depend on chance")
			return
		}
		same(b, "a second time in one process", one.seen, two.seen)
		same(b, "a second time in another process", one.seen, three.seen)
	}},
	{"seed/other", "another seed gives other ephemeral keys", func(b *bench) {
		var keys [][]byte
		b.premise(func() {
			for seed := range proto.Seed(3) {
				m := newMate(1, false)
				i := b.open("a", seed, m.config(0))
				i.handshake(m)
				keys = append(keys, to(m, peer.KindResponse, i.seen)[0].Datagram.Bytes[12:44])
				b.must(&proto.Request{Op: proto.OpClose, Instance: "a"})
			}
		})
		if bytes.Equal(keys[0], keys[1]) || bytes.Equal(keys[1], keys[2]) || bytes.Equal(keys[0], keys[2]) {
			b.fail("instances with the seeds 0, 1 and 2 do not have three ephemeral keys")
		}
	}},
	{"end/exit", "when its input ends it ends by itself, with status 0 and without another word", func(b *bench) {
		b.premise(func() { b.open("a", 1) })
		p := b.p
		b.p = nil
		if err := p.Close(); err != nil {
			b.fail("%v", err)
		}
	}},
}
