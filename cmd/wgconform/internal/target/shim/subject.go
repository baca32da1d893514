package shim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// subject is one instance in a process that has no other. It implements conformance.UAPISubject and HostSubject.
//
// It has two times: that of the suite, and that of the shim, which stays behind while the shim's deadline says that
// nothing happens.
type subject struct {
	f        *Factory
	p        *Process // nil: gone
	name     string
	now      timers.Time
	behind   timers.Time // the shim's
	deadline proto.Deadline
	out      conformance.Output
	lines    int
}

// errGone is what methods with an error give when the process is gone; that it died is in the outputs.
var errGone = errors.New("the shim is gone")

func (s *subject) open(setup conformance.Setup) error {
	reply, err := s.p.Ask(proto.Opening(s.name, setup))
	if err == nil {
		switch {
		case reply.Unsupported != "":
			return fmt.Errorf("%w: %s", errors.ErrUnsupported, reply.Unsupported)
		case reply.Error != "":
			return errors.New(reply.Error)
		}
		err = s.absorb(proto.OpOpen, 0, reply)
	}
	if err != nil {
		s.discard()
		return err
	}
	return nil
}

// discard ends a process that did what it must not.
func (s *subject) discard() {
	if s.p != nil {
		_ = s.p.Close() // why it goes has been said
		s.p = nil
	}
}

// ask sends a request that takes place at a time. The error is what the implementation refused or cannot do, or
// errGone. A breach of the protocol ends the case.
func (s *subject) ask(r *proto.Request, at timers.Time) (*proto.Reply, error) {
	if s.p == nil {
		return nil, errGone
	}
	r.Instance = s.name
	reply, err := s.p.Ask(r)
	if err == nil {
		err = s.absorb(r.Op, at, reply)
	}
	var death *DeathError
	switch {
	case errors.As(err, &death):
		s.out.Died = death.Error()
		s.discard()
		return nil, errGone
	case err != nil:
		s.discard()
		panic(&conformance.TargetError{Err: err})
	case reply.Unsupported != "":
		return reply, fmt.Errorf("%w: %s", errors.ErrUnsupported, reply.Unsupported)
	case reply.Error != "":
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// absorb takes what a reply says of time and what was put out, and holds it to the protocol. at is when the request
// was to take place.
func (s *subject) absorb(op string, at timers.Time, r *proto.Reply) error {
	bad := func(field, format string, args ...any) error {
		return &ReplyError{Op: op, Err: &proto.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}}
	}
	failed := r.Error+r.Unsupported != ""
	if r.Now == nil {
		switch {
		case !failed:
			return bad("now", "is missing")
		case len(r.Outputs) > 0:
			return bad("now", "is missing beside outputs")
		}
		return nil
	}
	switch now := *r.Now; {
	case now < s.behind:
		return bad("now", "goes back from %d to %d", s.behind, now)
	case op == proto.OpAdvance && now > at:
		return bad("now", "is %d, but time was to pass until %d only", now, at)
	case op == proto.OpAdvance && now < at && len(r.Outputs) == 0 && !failed:
		return bad("now", "is %d, before %d, but nothing was put out", now, at)
	case now < at && op != proto.OpAdvance && !failed:
		return bad("now", "is %d, but the request was for %d", now, at)
	}
	if err := s.absorbOutputs(bad, at, r); err != nil {
		return err
	}
	s.behind, s.deadline = *r.Now, r.Deadline
	if s.deadline.Known && s.deadline.At < s.behind {
		return bad("deadline", "is %d, before now, %d", s.deadline.At, s.behind)
	}
	s.now = max(s.now, s.behind)
	return nil
}

func (s *subject) absorbOutputs(bad func(string, string, ...any) error, at timers.Time, r *proto.Reply) error {
	last := s.behind
	for i, o := range r.Outputs {
		field := fmt.Sprintf("outputs.%d", i)
		switch {
		case o.At < last || o.At > *r.Now:
			return bad(field+".at", "is %d, not between %d and %d", o.At, last, *r.Now)
		case o.At < at && s.deadline.Known && o.At < s.deadline.At:
			return bad(field+".at", "is %d, but the deadline before that was %d: nothing was to come sooner", o.At,
				s.deadline.At)
		}
		last = o.At
		stamp := conformance.At(o.At)
		switch {
		case o.Datagram != nil && o.Packet == nil && o.Died == "":
			d := o.Datagram
			sent := conformance.SentDatagram{At: stamp,
				Datagram: conformance.Datagram{Local: d.Local, Remote: d.Remote, Bytes: d.Bytes}}
			if d.TOS != nil {
				sent.TOS = *d.TOS
			}
			if d.Mark != nil {
				sent.Mark, sent.Marked = *d.Mark, true
			}
			s.out.Datagrams = append(s.out.Datagrams, sent)
		case o.Packet != nil && o.Datagram == nil && o.Died == "":
			s.out.Packets = append(s.out.Packets, conformance.SentPacket{At: stamp, Bytes: *o.Packet})
		case o.Died != "" && o.Datagram == nil && o.Packet == nil:
			s.out.Died = o.Died
		default:
			return bad(field, "is to have one of datagram, packet and died")
		}
	}
	return nil
}

// do is ask for what has no error: a refusal ends the case.
func (s *subject) do(r *proto.Request, at timers.Time) {
	if _, err := s.ask(r, at); err != nil && err != errGone {
		panic(&conformance.TargetError{Err: fmt.Errorf("%s: %w", r.Op, err)})
	}
}

// sync lets the shim's time catch up, for requests that have no time of their own.
func (s *subject) sync() {
	for s.p != nil && s.behind < s.now {
		until := s.now
		s.do(&proto.Request{Op: proto.OpAdvance, Until: &until}, until)
	}
}

// at moves the suite's time on.
func (s *subject) at(now timers.Time) timers.Time {
	s.now = max(s.now, now)
	return s.now
}

// Now implements conformance.Subject.
func (s *subject) Now() timers.Time { return s.now }

// Input implements conformance.Subject.
func (s *subject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	at := s.at(now)
	r := &proto.Request{Op: proto.OpDatagrams, At: &at}
	for i := range in {
		d := &in[i]
		r.Datagrams = append(r.Datagrams, proto.Datagram{Local: d.Local, Remote: d.Remote, TOS: &d.TOS, Bytes: d.Bytes})
	}
	s.do(r, at)
	return conformance.At(at)
}

// Packets implements conformance.Subject.
func (s *subject) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	at := s.at(now)
	r := &proto.Request{Op: proto.OpPackets, At: &at}
	for _, p := range in {
		r.Packets = append(r.Packets, p)
	}
	s.do(r, at)
	return conformance.At(at)
}

// Advance implements conformance.Subject.
func (s *subject) Advance(until timers.Time) timers.Time {
	switch {
	case len(s.out.Datagrams)+len(s.out.Packets) > 0 || s.out.Died != "":
	case s.p == nil, s.deadline.Known && s.deadline.At > until:
		s.at(until)
	default:
		until = max(until, s.now)
		s.do(&proto.Request{Op: proto.OpAdvance, Until: &until, Pause: true}, until)
	}
	return s.now
}

// Configure implements conformance.Subject.
func (s *subject) Configure(now timers.Time, c conformance.Change) error {
	at := s.at(now)
	_, err := s.ask(&proto.Request{Op: proto.OpConfigure, At: &at, Change: proto.ChangeOf(c)}, at)
	return err
}

// Restart implements conformance.Subject.
func (s *subject) Restart(now timers.Time, wall time.Time) error {
	at := s.at(now)
	_, err := s.ask(&proto.Request{Op: proto.OpRestart, At: &at, Wall: proto.WallOf(wall)}, at)
	return err
}

// SetWall implements conformance.Subject.
func (s *subject) SetWall(now timers.Time, wall time.Time) error {
	at := s.at(now)
	_, err := s.ask(&proto.Request{Op: proto.OpWall, At: &at, Wall: proto.WallOf(wall)}, at)
	return err
}

// SetAddresses implements conformance.HostSubject.
func (s *subject) SetAddresses(now timers.Time, add, remove []netip.Prefix) error {
	if !s.f.addresses {
		return fmt.Errorf("the addresses of its host: %w", errors.ErrUnsupported)
	}
	at := s.at(now)
	_, err := s.ask(&proto.Request{Op: proto.OpAddresses, At: &at, Add: add, Remove: remove}, at)
	return err
}

// State implements conformance.Subject.
func (s *subject) State() (conformance.State, error) {
	s.sync()
	reply, err := s.ask(&proto.Request{Op: proto.OpState}, s.now)
	if err != nil {
		return conformance.State{}, err
	}
	if reply.State == nil {
		s.breach(proto.OpState, &proto.FieldError{Field: "state", Problem: "is missing"})
	}
	state, err := reply.State.State()
	if err != nil {
		s.breach(proto.OpState, err)
	}
	return state, nil
}

func (s *subject) breach(op string, err error) {
	s.discard()
	panic(&conformance.TargetError{Err: &ReplyError{Op: op, Err: err}})
}

// UAPI implements conformance.UAPISubject: the shim opens the connection when something is sent over it.
func (s *subject) UAPI() (net.Conn, error) {
	if s.f.capabilities.Has&conformance.NeedUAPI == 0 {
		return nil, fmt.Errorf("a configuration socket: %w", errors.ErrUnsupported)
	}
	s.lines++
	return &conn{s: s, number: s.lines}, nil
}

// talk is the op behind a connection.
func (s *subject) talk(connection int, text string, end bool) (answer string, eof bool, err error) {
	s.sync()
	reply, err := s.ask(&proto.Request{Op: proto.OpUAPI, Connection: connection, Text: new(proto.Text(text)), Close: end},
		s.now)
	switch {
	case err == errGone:
		return "", false, io.ErrClosedPipe
	case err != nil:
		return "", false, err
	case reply.Text == nil:
		s.breach(proto.OpUAPI, &proto.FieldError{Field: "text", Problem: "is missing"})
	}
	return string(*reply.Text), reply.EOF, nil
}

// Take implements conformance.Subject.
func (s *subject) Take(o *conformance.Output) {
	*o, s.out = s.out, conformance.Output{Died: s.out.Died}
}

// Close implements conformance.Subject. The process goes on to the next instance, unless something is wrong with it.
func (s *subject) Close() error {
	if s.p == nil {
		return nil
	}
	reply, err := s.p.Ask(&proto.Request{Op: proto.OpClose, Instance: s.name})
	if err == nil && reply.Error+reply.Unsupported != "" {
		err = fmt.Errorf("close: %s%s", reply.Error, reply.Unsupported)
	}
	if err != nil {
		s.discard()
		return err
	}
	s.f.give(s.p)
	s.p = nil
	return nil
}
