package shim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// operations are what can be done to an instance at a time that is not before its own.
var operations = map[string]func(i *instance, r *Request, reply *Reply, at timers.Time) error{
	OpDatagrams: func(i *instance, r *Request, _ *Reply, at timers.Time) error {
		in := make([]conformance.Datagram, len(r.Datagrams))
		for k, d := range r.Datagrams {
			in[k] = conformance.Datagram{Local: d.Local, Remote: d.Remote, Bytes: d.Bytes}
			if d.TOS != nil {
				in[k].TOS = *d.TOS
			}
		}
		i.s.Input(at, in)
		return nil
	},
	OpPackets: func(i *instance, r *Request, _ *Reply, at timers.Time) error {
		in := make([][]byte, len(r.Packets))
		for k, p := range r.Packets {
			in[k] = p
		}
		i.s.Packets(at, in)
		return nil
	},
	OpConfigure: func(i *instance, r *Request, _ *Reply, at timers.Time) error {
		if r.Change == nil {
			return errors.New(`configure: "change" is missing`)
		}
		return i.s.Configure(at, r.Change.change())
	},
	OpRestart: func(i *instance, r *Request, _ *Reply, at timers.Time) error { return i.s.Restart(at, r.Wall.Time()) },
	OpWall: func(i *instance, r *Request, _ *Reply, at timers.Time) error {
		if r.Wall == nil {
			return errors.New(`wall: "wall" is missing`)
		}
		return i.s.SetWall(at, r.Wall.Time())
	},
	OpAdvance: func(i *instance, r *Request, reply *Reply, at timers.Time) error {
		for {
			reached := i.s.Advance(at)
			some := i.collect(reply)
			if i.died || some && r.Pause || !some && reached >= at {
				return nil
			}
		}
	},
	OpState: func(i *instance, _ *Request, reply *Reply, _ timers.Time) error {
		state, err := i.s.State()
		if err == nil {
			reply.State = StateOf(state)
		}
		return err
	},
	OpUAPI: func(i *instance, r *Request, reply *Reply, _ timers.Time) error {
		var said Text
		if r.Text != nil {
			said = *r.Text
		}
		text, eof, err := i.talk(r.Connection, string(said), r.Close)
		if err == nil {
			reply.Text, reply.EOF = (*Text)(&text), eof
		}
		return err
	},
	OpAddresses: func(i *instance, r *Request, _ *Reply, at timers.Time) error {
		h, ok := i.s.(conformance.HostSubject)
		if !ok {
			return fmt.Errorf("the addresses of its host: %w", errors.ErrUnsupported)
		}
		return h.SetAddresses(at, r.Add, r.Remove)
	},
}

// report completes a reply with what happened and how things stand.
func (i *instance) report(reply *Reply) {
	i.collect(reply)
	now := i.s.Now()
	reply.Now = &now
	if d, ok := i.s.(Deadliner); ok {
		reply.Deadline = Deadline{true, max(d.Deadline(), now)}
	}
}

// collect moves the subject's outputs to a reply, in order of time, and says whether there were any.
func (i *instance) collect(reply *Reply) bool {
	var o conformance.Output
	i.s.Take(&o)
	var all []Output
	for _, d := range o.Datagrams {
		out := &Datagram{Local: d.Local, Remote: d.Remote, TOS: &d.TOS, Bytes: d.Bytes}
		if d.Marked {
			out.Mark = &d.Mark
		}
		all = append(all, Output{At: d.At.Earliest, Datagram: out})
	}
	for _, p := range o.Packets {
		all = append(all, Output{At: p.At.Earliest, Packet: (*Hex)(&p.Bytes)})
	}
	slices.SortStableFunc(all, func(a, b Output) int { return cmp.Compare(a.At, b.At) })
	if o.Died != "" && !i.died {
		i.died = true
		all = append(all, Output{At: i.s.Now(), Died: o.Died})
	}
	reply.Outputs = append(reply.Outputs, all...)
	return len(all) > 0
}
