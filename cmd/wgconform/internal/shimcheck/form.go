package shimcheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// formChecks are about lines and fields.
var formChecks = []check{
	{"hello/fields", "hello says what the shim is, in words that exist", func(b *bench) {
		if b.hello != nil {
			b.fail("%v", b.hello)
		}
		if _, _, err := shim.Understand(b.g); err != nil {
			b.fail("%v", err)
		}
		if b.g.Version == "" {
			b.fail("version: is missing")
		}
	}},
	{"hello/lacks", "each capability that it has not is in lacks with a reason", func(b *bench) {
		b.process()
		for _, word := range proto.Words() {
			if !b.has(word) && b.g.Lacks[word] == "" {
				b.fail("%q is neither among the capabilities nor in lacks: reports tell the reason", word)
			}
		}
	}},
	{"framing/one-line", "each request is answered by one line, a JSON object with its id", func(b *bench) {
		for _, t := range b.life().turns {
			if !strings.HasPrefix(t.line, "{") || !strings.HasSuffix(strings.TrimSpace(t.line), "}") {
				b.fail("the reply to %q is no JSON object: %.160s", t.request.Op, t.line)
			}
			if id := regexp.MustCompile(`"id" *: *([0-9]+)\b`).FindStringSubmatch(t.line); id == nil ||
				id[1] != fmt.Sprint(t.request.ID) {
				b.fail("the reply to %q, id %d: %.160s", t.request.Op, t.request.ID, t.line)
			}
		}
	}},
	{"framing/any-json", "spaces, the order of fields and escapes in strings do not matter", func(b *bench) {
		b.premise(func() { b.open("a", 1) })
		line := "{ \"instance\" :\t\"\\u0061\" , \"until\" : 1000000000 , \"op\":\"adv\\u0061nce\",\"id\" : 77 }"
		r := b.read("advance", b.line("advance", line))
		if r.ID != 77 || r.Now == nil || *r.Now != second {
			b.fail("%s is not understood as an advance to 1000000000", line)
		}
	}},
	{"framing/long-line", "a line may have a megabyte", func(b *bench) {
		var i *instance
		m := newMate(1, false)
		b.premise(func() { i = b.open("a", 1, m.config(0)) })
		flood := make([]proto.Datagram, 4000)
		junk := make([]byte, peer.InitiationLength) // no type: cheap to refuse
		for k := range flood {
			flood[k] = i.datagram(m, junk)
		}
		if r := i.must(i.sending(flood...)); len(r.Outputs) > 0 {
			b.fail("4000 datagrams of zeros bring %s", describe(r.Outputs))
		}
	}},
	{"ids/echo", "any id is given back, 0, 2^53-1 and one that was there before included", func(b *bench) {
		b.process()
		for _, id := range []int64{0, 1<<53 - 1, 5, 5, 1} {
			line := fmt.Sprintf(`{"id":%d,"op":"hello","protocol":1,"runner":"ids"}`, id)
			if r := b.read("hello", b.line("hello", line)); r.ID != id {
				b.fail("the request has id %d, the reply %d", id, r.ID)
			}
		}
	}},
	{"fields/unknown", "fields of a request that it does not know are ignored", func(b *bench) {
		var plain *proto.Reply
		b.premise(func() { plain = b.must(first(opening("a", 1))) })
		request := first(opening("b", 1))
		line, err := proto.Encode(request)
		if err != nil {
			panic(err) // the request is ours
		}
		more := strings.Replace(strings.TrimSuffix(string(line), "\n"), `{"id":`, `{"future":{"x":[1,null]},"id":`, 1)
		more = strings.Replace(more, `"mtu":`, `"fast":true,"mtu":`, 1)
		r := b.read("open", b.line("open", more))
		if r.Error != plain.Error || r.Unsupported != plain.Unsupported {
			b.fail("open with fields of another version: %s%s", r.Error, r.Unsupported)
		}
	}},
	{"fields/reply", "replies have the fields of the protocol and no others, written as it says", func(b *bench) {
		for _, t := range b.life().turns {
			if err := proto.Decode([]byte(t.line), &proto.Reply{}, true); err != nil {
				b.fail("the reply to %q: %v, in %.160s", t.request.Op, err, t.line)
			}
		}
	}},
	{"op/unknown", "an op that it does not know is unsupported, and changes nothing", func(b *bench) {
		var i *instance
		b.premise(func() { i = b.open("a", 1) })
		was := i.now
		r := i.ask(&proto.Request{Op: "fly-to-the-moon", At: i.later(9 * second)})
		if r.Unsupported == "" {
			b.fail("there is no \"unsupported\" in the reply, but %q as error", r.Error)
		}
		b.still(i, was)
	}},
	{"errors/not-json", "a line that is no JSON is an error, not the end", func(b *bench) {
		b.process()
		for _, line := range []string{`{"id":1,"op":"hello"`, `]`, `17`, ``} {
			if r := b.read("a line that is no request", b.line("a line that is no request", line)); r.Error == "" {
				b.fail("%q: there is no \"error\" in the reply", line)
			}
		}
		b.must(&proto.Request{Op: proto.OpHello, Protocol: proto.Version})
	}},
	{"errors/bytes", "bytes that are no hexadecimal digits are an error, not the end", func(b *bench) {
		var i *instance
		b.premise(func() { i = b.open("a", 1) })
		was := i.now
		for _, bytes := range []string{"0g", "0", "0x00", "zz" + strings.Repeat("00", 147)} {
			line := fmt.Sprintf(`{"id":9,"op":"datagrams","instance":"a","at":%d,"datagrams":[{"local":"%v","remote":`+
				`"10.111.1.9:9","tos":0,"bytes":"%s"}]}`, was+1, i.host(newMate(9, false)), bytes)
			if r := b.read("datagrams", b.line("datagrams", line)); r.Error == "" {
				b.fail("a datagram of %.20q: there is no \"error\" in the reply", bytes)
			}
		}
		b.still(i, was)
	}},
	{"errors/instance", "an op on an instance that is not there, and a second open of one that is, are errors",
		func(b *bench) {
			b.process()
			nobody := &instance{b: b, name: "nobody"}
			requests := []*proto.Request{{Op: proto.OpAdvance, Until: new(second)}, nobody.sending(), {Op: proto.OpClose}}
			for _, r := range requests {
				if got := nobody.ask(r); got.Error == "" {
					b.fail("%s of an instance that is not there is no error", r.Op)
				}
			}
			var i *instance
			b.premise(func() {
				i = b.open("a", 1)
				i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(second)})
			})
			if got := b.ask(first(opening("a", 1))); got.Error == "" {
				b.fail("a second open of the same name is no error")
			}
			b.still(i, second)
		}},
	{"errors/time", "a request for a time that is past is an error, and changes nothing", func(b *bench) {
		var i *instance
		b.premise(func() {
			i = b.open("a", 1)
			i.must(&proto.Request{Op: proto.OpAdvance, Until: i.later(3 * second)})
		})
		m := newMate(1, false)
		for _, r := range []*proto.Request{{Op: proto.OpAdvance, Until: new(second)},
			{Op: proto.OpDatagrams, At: new(second), Datagrams: []proto.Datagram{i.datagram(m, []byte{1})}}} {
			if got := i.ask(r); got.Error == "" {
				b.fail("%s at 1 s, when it is 3 s, is no error", r.Op)
			}
		}
		b.still(i, 3*second)
	}},
}

func first[A, B any](a A, _ B) A { return a }

// still makes sure that an instance's time stands where it was: it can still be asked for the moment after.
func (b *bench) still(i *instance, was timers.Time) {
	r := i.must(&proto.Request{Op: proto.OpAdvance, Until: new(was + 1)})
	if r.Now == nil || *r.Now != was+1 {
		b.fail("afterwards time cannot pass from %d to %d", was, was+1)
	}
}

// contains is true if a list of outputs has this one.
func contains(outputs []proto.Output, is func(proto.Output) bool) bool {
	return slices.ContainsFunc(outputs, is)
}
