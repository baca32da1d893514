package shimcheck

import (
	"context"
	"fmt"
	"strings"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts.
const (
	Passed Verdict = "pass"
	Failed Verdict = "fail"
	Unseen Verdict = "unseen" // it could not be checked; Reason says why
)

// Result is one check and what became of it.
type Result struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Verdict Verdict  `json:"verdict"`
	Reason  string   `json:"reason,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// check is one of them. Its function ends by fail or unseen, or passes.
type check struct {
	id, title string
	run       func(*bench)
}

// Info names a check.
type Info struct{ ID, Title string }

// Checks lists all checks in order.
func Checks() (all []Info) {
	for _, c := range checks() {
		all = append(all, Info{c.id, c.title})
	}
	return all
}

// checks are in the order in which an author of a shim wants them to work.
func checks() (all []check) {
	for _, list := range [][]check{formChecks, timeChecks, trafficChecks, instanceChecks, opChecks} {
		all = append(all, list...)
	}
	return all
}

// Options are what Run has to know.
type Options struct {
	Runner string // hello tells it
	// Start starts a process. A check may be done with it at any time.
	Start func(context.Context) (*shim.Process, error)
	// Patience is how long an answer may take; 0: that of the target.
	Patience time.Duration
	// Idle is how long an hour of virtual time without anything to do may take; 0: 10 s.
	Idle time.Duration
	// Only picks checks by ID; nil: all.
	Only func(id string) bool
}

// Run runs the checks and hands over each result as soon as it is there. The error is that the program cannot be
// started at all.
func Run(ctx context.Context, o Options, each func(Result)) (*proto.Greeting, error) {
	first, err := o.Start(ctx)
	if err != nil {
		return nil, err
	}
	if o.Patience > 0 {
		first.Patience = o.Patience
	}
	var story *story
	greeting, helloErr := shim.Hello(first, o.Runner)
	if err := first.Close(); helloErr == nil {
		_ = err // the end is a check of its own
		helloErr = nil
	}
	for _, c := range checks() {
		if o.Only != nil && !o.Only(c.id) {
			continue
		}
		if ctx.Err() != nil {
			return greeting, context.Cause(ctx)
		}
		b := &bench{ctx: ctx, o: o, story: &story, hello: helloErr, g: greeting}
		each(b.do(c))
	}
	return greeting, nil
}

// bench is what a check works on.
type bench struct {
	ctx    context.Context
	o      Options
	story  **story
	hello  error
	g      *proto.Greeting
	p      *shim.Process
	id     int64
	inside bool // of a premise
	notes  []string
}

// verdict is thrown to end a check.
type verdict struct {
	v      Verdict
	reason string
}

func (b *bench) do(c check) (r Result) {
	r = Result{ID: c.id, Title: c.title, Verdict: Passed}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case verdict:
			r.Verdict, r.Reason = p.v, p.reason
		default:
			panic(p)
		}
		r.Notes = b.notes
		if b.p != nil {
			_ = b.p.Close() // the end is a check of its own
		}
	}()
	c.run(b)
	return r
}

// fail ends the check: the shim is wrong, or in a premise, something else than what is asked.
func (b *bench) fail(format string, args ...any) {
	v := verdict{Failed, fmt.Sprintf(format, args...)}
	if b.inside {
		v = verdict{Unseen, "before that: " + v.reason}
	}
	panic(v)
}

// unseen ends the check without a verdict.
func (b *bench) unseen(format string, args ...any) {
	panic(verdict{Unseen, fmt.Sprintf(format, args...)})
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// premise prepares the check.
func (b *bench) premise(f func()) {
	was := b.inside
	b.inside = true
	f()
	b.inside = was
}

// process starts the check's process and greets it.
func (b *bench) process() *shim.Process {
	if b.p != nil {
		return b.p
	}
	b.premise(func() {
		p, err := b.o.Start(b.ctx)
		if err != nil {
			b.fail("it does not start again: %v", err)
		}
		if b.o.Patience > 0 {
			p.Patience = b.o.Patience
		}
		b.p = p
		if r := b.ask(&proto.Request{Op: proto.OpHello, Protocol: proto.Version, Runner: b.o.Runner}); r.Greeting == nil {
			b.fail("hello has no answer that can be used")
		}
	})
	return b.p
}

// has reports a capability.
func (b *bench) has(word string) bool {
	if b.g != nil {
		for _, w := range b.g.Capabilities {
			if w == word {
				return true
			}
		}
	}
	return false
}

// need ends a check of something that the shim says it lacks.
func (b *bench) need(word string) {
	if !b.has(word) {
		b.unseen("it says that it lacks %q", word)
	}
}

// repeats says that the same must give the same.
func (b *bench) repeats() bool { return b.has(proto.Repeats) }

// line sends a line as it is and gives what is answered.
func (b *bench) line(op, line string) string {
	answer, err := b.process().Exchange(op, []byte(line+"\n"))
	if err != nil {
		b.fail("%v", err)
	}
	return strings.TrimSuffix(string(answer), "\n")
}

// read reads an answer, as leniently as goes.
func (b *bench) read(op, answer string) *proto.Reply {
	r := &proto.Reply{}
	if err := proto.Decode([]byte(answer), r, false); err != nil {
		b.fail("the reply to %q: %v, in %.160s", op, err, answer)
	}
	return r
}

// ask sends a request and gives its reply, whatever that is.
func (b *bench) ask(r *proto.Request) *proto.Reply {
	b.id++
	r.ID = b.id
	line, err := proto.Encode(r)
	if err != nil {
		panic(err) // the request is ours
	}
	return b.read(r.Op, b.line(r.Op, strings.TrimSuffix(string(line), "\n")))
}

// must is ask for what has to work.
func (b *bench) must(r *proto.Request) *proto.Reply {
	reply := b.ask(r)
	if reply.Error != "" {
		b.fail("%s is refused: %s", r.Op, reply.Error)
	}
	if reply.Unsupported != "" {
		b.fail("%s is unsupported: %s", r.Op, reply.Unsupported)
	}
	return reply
}
