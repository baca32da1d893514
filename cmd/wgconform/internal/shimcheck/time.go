package shimcheck

import (
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/timers"
)

// timeChecks are about the clock, deadlines and pauses. Most look at the story.
var timeChecks = []check{
	{"time/zero", "the time of an instance begins with 0, whatever that of others is", func(b *bench) {
		b.process()
		for _, name := range []string{"a", "b"} {
			r := b.must(first(opening(name, 1)))
			if r.Now == nil || *r.Now != 0 {
				b.fail("the reply to open has now %v", show(r.Now))
			}
			b.must(&proto.Request{Op: proto.OpAdvance, Instance: name, Until: new(5 * second)})
		}
	}},
	{"time/now", "now is there, never goes back, and is where the request asked it to be", func(b *bench) {
		was := timers.Time(0)
		for _, t := range b.life().turns {
			if t.reply == nil || t.request.Op == proto.OpClose || refused(t.reply) {
				continue
			}
			now := t.reply.Now
			switch {
			case now == nil:
				b.fail("the reply to %q has no now", t.request.Op)
			case *now < was:
				b.fail("the reply to %q: now goes back from %d to %d", t.request.Op, was, *now)
			case t.request.At != nil && *now < *t.request.At:
				b.fail("the reply to %q at %d: now is %d", t.request.Op, *t.request.At, *now)
			case t.request.Until != nil && *now > *t.request.Until:
				b.fail("the reply to an advance until %d: now is %d", *t.request.Until, *now)
			case t.request.Until != nil && *now < *t.request.Until && !t.request.Pause:
				b.fail("the reply to an advance until %d, without pause: now is %d", *t.request.Until, *now)
			}
			was = *now
		}
	}},
	{"time/outputs", "outputs are in order of time, between the time before and now", func(b *bench) {
		was, some := timers.Time(0), false
		for _, t := range b.life().turns {
			if t.reply == nil || t.reply.Now == nil {
				continue
			}
			last := was
			for k, o := range t.reply.Outputs {
				some = true
				if o.At < last || o.At > *t.reply.Now {
					b.fail("the reply to %q: outputs.%d.at is %d, not between %d and %d", t.request.Op, k, o.At, last,
						*t.reply.Now)
				}
				last = o.At
			}
			was = *t.reply.Now
		}
		if !some {
			b.unseen("nothing is put out")
		}
	}},
	{"time/output-kinds", "each output has one of datagram, packet and died", func(b *bench) {
		for _, t := range b.life().turns {
			if t.reply == nil {
				continue
			}
			for k, o := range t.reply.Outputs {
				n := 0
				for _, is := range []bool{o.Datagram != nil, o.Packet != nil, o.Died != ""} {
					if is {
						n++
					}
				}
				if n != 1 {
					b.fail("the reply to %q: outputs.%d has %d of them", t.request.Op, k, n)
				}
			}
		}
	}},
	{"time/deadline", "nothing comes by itself before the deadline that was told", deadlines},
	{"time/pause", "with pause, advance stops at the first time that has outputs", pauses},
	{"time/idle", "time in which nothing happens passes quickly", func(b *bench) {
		var i *instance
		b.premise(func() { i = b.open("a", 1) })
		limit := b.o.Idle
		if limit == 0 {
			limit = 10 * time.Second
		}
		began := time.Now()
		i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(3600 * second)})
		took := time.Since(began)
		b.note("an hour took %v", took.Round(time.Millisecond))
		if took > limit {
			b.fail("an hour without anything to do takes %v; %v would do", took.Round(time.Millisecond), limit)
		}
	}},
}

func show(t *timers.Time) any {
	if t == nil {
		return "missing"
	}
	return *t
}

func refused(r *proto.Reply) bool { return r.Error+r.Unsupported != "" }

func deadlines(b *bench) {
	known := proto.Deadline{}
	some, byItself := false, false
	for _, t := range b.life().turns {
		if t.reply == nil || t.reply.Now == nil {
			continue
		}
		at := *t.reply.Now // what comes at the time of a request may be an answer to it
		if t.request.At != nil {
			at = *t.request.At
		}
		for k, o := range t.reply.Outputs {
			advance := t.request.Op == proto.OpAdvance
			byItself = byItself || advance
			if known.Known && o.At < known.At && (advance || o.At < at) {
				b.fail("the reply to %q: outputs.%d.at is %d, but the deadline before was %s", t.request.Op, k, o.At,
					tell(known))
			}
		}
		known = t.reply.Deadline
		some = some || known.Known
		if known.Known && known.At < *t.reply.Now {
			b.fail("the reply to %q: the deadline %d is before now, %d", t.request.Op, known.At, *t.reply.Now)
		}
	}
	switch {
	case !some:
		b.note("it tells no deadline: each span of time costs a request")
	case !byItself:
		b.unseen("nothing comes by itself")
	}
}

func tell(d proto.Deadline) string {
	if d.At == timers.Never {
		return "null: none at all"
	}
	return time.Duration(d.At).String()
}

// pauses compares a span with pauses and the same span without.
func pauses(b *bench) {
	const span = 40 * second
	m := newMate(1, false)
	lives := make([]*instance, 2)
	b.premise(func() {
		for k, name := range []string{"a", "a"} {
			b.close()
			lives[k] = b.open(name, 3, m.config(25))
			if b.has("inner") {
				lives[k].must(&proto.Request{Op: proto.OpPackets, At: lives[k].later(moment),
					Packets: []proto.Hex{outbound(m)}})
			}
			if k == 0 {
				lives[k].must(&proto.Request{Op: proto.OpAdvance, Until: new(span)})
			}
		}
	})
	i, stops := lives[1], 0
	for i.now < span {
		before := i.now
		r := i.must(&proto.Request{Op: proto.OpAdvance, Until: new(span), Pause: true})
		switch {
		case len(r.Outputs) > 0 && (r.Outputs[0].At != i.now || r.Outputs[len(r.Outputs)-1].At != i.now):
			b.fail("asked to pause from %d on, it stands at %d with %s", before, i.now, describe(r.Outputs))
		case len(r.Outputs) == 0 && i.now < span:
			b.fail("asked to pause from %d on, it stands at %d without an output", before, i.now)
		case len(r.Outputs) > 0:
			stops++
		}
	}
	if stops == 0 {
		b.unseen("nothing comes by itself in 40 s, though a peer is to be kept alive and does not answer")
	}
	if b.repeats() {
		same(b, "with pauses", lives[0].seen, i.seen)
	}
}
