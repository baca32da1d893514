package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Deadliner is a conformance.Subject that knows when it will next act by itself: timers.Never if not before something
// is done to it. Without it every span of time costs the runner a request.
type Deadliner interface{ Deadline() timers.Time }

// Talker is a conformance.Subject with a configuration socket that is not a net.Pipe. Talk sends text over the
// connection of a number, which is opened by its first use, and gives everything that the implementation answers until
// it waits for more; eof says that it ended the connection. end closes it from this side, after that.
type Talker interface {
	Talk(connection int, text string, end bool) (answer string, eof bool, err error)
}

// Options are what Serve has to know besides the factory. The zero value is ready.
type Options struct {
	// Has are those of Addresses, Repeats and Work that the subjects have, the first being conformance.HostSubjects.
	Has []string
	// Lacks says why they do not have the others.
	Lacks map[string]string
	// Go runs the body of an instance, from its birth to its end, on a goroutine of its own: nil is the go statement.
	// Everything that is called for an instance, the factory's New included, is called there. A factory whose
	// subjects live in bubbles of testing/synctest makes the bubble here.
	Go func(body func())
}

// Serve answers requests until in ends, and then ends all instances: f as a shim. Its error is one of in or out.
//
// Subjects are to live in virtual time: Advance and the methods that take a time let it pass and return at once. A
// subject's UAPI connections are to be ends of net.Pipe, unless it is a Talker: of a pipe it can be known when its
// other end waits for more.
func Serve(ctx context.Context, in io.Reader, out io.Writer, f conformance.Factory, o Options) error {
	if o.Go == nil {
		o.Go = func(body func()) { go body() }
	}
	s := &server{f: f, o: o, instances: map[string]*instance{}}
	defer s.end()
	lines := bufio.NewReaderSize(in, 1<<16)
	for ctx.Err() == nil {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 || err != nil && err != io.EOF {
			if err == io.EOF {
				return nil
			}
			return err
		}
		answer, err := Encode(s.answer(line))
		if err != nil {
			return err
		}
		if _, err := out.Write(answer); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type server struct {
	f         conformance.Factory
	o         Options
	instances map[string]*instance
}

// answer deals with one line. Whatever the line is, it gets one reply.
func (s *server) answer(line []byte) *Reply {
	var head struct {
		ID int64  `json:"id"`
		Op string `json:"op"`
	}
	if err := Decode(line, &head, false); err != nil {
		return &Reply{ID: head.ID, Error: err.Error()}
	}
	r := &Request{}
	if err := Decode(line, r, false); err != nil {
		return &Reply{ID: head.ID, Error: fmt.Sprintf("%s: %v", head.Op, err)}
	}
	reply := s.dispatch(r)
	reply.ID = r.ID
	return reply
}

func (s *server) dispatch(r *Request) *Reply {
	switch {
	case r.Op == OpHello && r.Protocol != Version:
		return &Reply{Error: fmt.Sprintf("protocol %d: this shim speaks %d", r.Protocol, Version)}
	case r.Op == OpHello:
		return &Reply{Greeting: Greet(s.f.Capabilities(), &s.o)}
	case operations[r.Op] == nil && r.Op != OpOpen && r.Op != OpClose:
		return &Reply{Unsupported: fmt.Sprintf("there is no op %q", r.Op)}
	}
	i := s.instances[r.Instance]
	switch {
	case r.Op == OpOpen && i != nil:
		return &Reply{Error: fmt.Sprintf("instance %q is open already", r.Instance)}
	case r.Op == OpOpen:
		i = s.start()
		reply := i.do(r)
		if reply.Error == "" && reply.Unsupported == "" {
			s.instances[r.Instance] = i
		}
		return reply
	case i == nil:
		return &Reply{Error: fmt.Sprintf("there is no instance %q", r.Instance)}
	case r.Op == OpClose:
		delete(s.instances, r.Instance)
	}
	return i.do(r)
}

// end ends what the runner has left open.
func (s *server) end() {
	for _, name := range slices.Sorted(maps.Keys(s.instances)) {
		s.instances[name].do(&Request{Op: OpClose})
	}
}

// instance is one subject with its goroutine. The channels belong to whoever made them, outside of any bubble: a
// goroutine that waits for a request does not let a bubble's clock run.
type instance struct {
	requests chan *Request
	replies  chan *Reply
	f        conformance.Factory

	s     conformance.Subject
	died  bool
	lines map[int]*line
}

func (s *server) start() *instance {
	i := &instance{requests: make(chan *Request), replies: make(chan *Reply), f: s.f, lines: map[int]*line{}}
	s.o.Go(i.body)
	return i
}

func (i *instance) do(r *Request) *Reply {
	i.requests <- r
	return <-i.replies
}

// body lives until the instance is closed, or was not opened.
func (i *instance) body() {
	for open := true; open; {
		reply := i.handle(<-i.requests)
		open = i.s != nil
		i.replies <- reply
	}
}

func (i *instance) handle(r *Request) *Reply {
	switch r.Op {
	case OpOpen:
		s, err := i.f.New(r.setup())
		if err != nil {
			return (&Reply{}).refuse(err)
		}
		i.s = s
	case OpClose:
		for _, l := range i.lines {
			l.close()
		}
		err := i.s.Close()
		i.s = nil
		return (&Reply{}).refuse(err)
	}
	reply := &Reply{}
	at, err := r.time(i.s.Now())
	if err == nil && r.Op != OpOpen {
		err = operations[r.Op](i, r, reply, at)
	}
	reply.refuse(err)
	i.report(reply)
	return reply
}

// refuse puts an error into a reply.
func (p *Reply) refuse(err error) *Reply {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		p.Unsupported = err.Error()
	case err != nil:
		p.Error = err.Error()
	}
	return p
}

// time is when a request is to happen.
func (r *Request) time(now timers.Time) (timers.Time, error) {
	at, name := r.At, "at"
	if r.Op == OpAdvance {
		at, name = r.Until, "until"
	}
	switch {
	case at == nil && (r.Op == OpOpen || r.Op == OpState || r.Op == OpUAPI):
		return now, nil
	case at == nil:
		return 0, fmt.Errorf("%s: %q is missing", r.Op, name)
	case *at < now:
		return 0, fmt.Errorf("%s: %s %d is before now, %d", r.Op, name, *at, now)
	}
	return *at, nil
}
