package protocol

import (
	"bytes"
	"errors"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// HandshakeJob is a piece of public-key work (design §4): a handle, to be done by [Worker.Shake] on any
// goroutine and given back, once, to [Device.HandleShaken]. It refers to a slot of the device's pool; the
// generation makes a handle that was given back before harmless. It does not belong to the Batch it came in.
type HandshakeJob struct {
	device     *Device
	slot       *jobSlot
	generation uint64
}

type jobKind uint8

const (
	jobCreate  jobKind = iota // initiator: make an initiation
	jobConsume                // initiator: consume a response
	jobOpen                   // responder, step 1: who is it?
	jobAnswer                 // responder, step 2: is it really them, and our response
)

// jobSlot is the work and all that it needs, so that a worker touches nothing of the device. The device fills
// it, one worker runs it, the device reads it and wipes it (SEC-03).
type jobSlot struct {
	generation uint64 // number of the job that was handed out, unique in the device; 0: none is out
	kind       jobKind
	done       bool

	device     uint32 // Device.generation when the job was made
	peer       *peer  // nil in jobOpen
	handshakes uint32 // peer.handshakes when the job was made
	arrival    timers.Time
	from       Endpoint

	identity Identity
	public   PublicKey
	remote   PublicKey
	psk      PresharedKey
	ss       handshake.StaticStatic
	drawn    drawn
	greatest [12]byte // no response need be made for an older timestamp
	stamp    [12]byte

	message   wire.Initiation // made, or received; a response lies at its start
	reply     wire.Response
	state     handshake.State
	ephemeral *handshake.Ephemeral
	keys      handshake.Keys
	refused   DropReason // why nothing came of it
}

// takeSlot takes a slot for a job of kind for p (nil if not known yet), or gives nil if there is none.
func (d *Device) takeSlot(kind jobKind, p *peer) *jobSlot {
	if len(d.free) == 0 {
		return nil
	}
	s := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	// The identity is an interface and may be slow: it is called by the worker, never under the device (design §4).
	s.kind, s.device, s.identity, s.public = kind, d.generation, d.identity, d.public
	if p != nil {
		d.bind(s, p)
	}
	return s
}

// bind copies what the job needs of p.
func (d *Device) bind(s *jobSlot, p *peer) {
	s.peer, s.handshakes, s.remote, s.psk, s.ss, s.greatest = p, p.handshakes, p.public, p.psk, p.ss, p.greatest
	if d.bad == "ignore-psk" {
		s.psk = PresharedKey{}
	}
	if d.bad == "ignore-timestamp" {
		s.greatest = [12]byte{}
	}
}

// hand gives the slot's job to the caller.
func (d *Device) hand(s *jobSlot, out *Batch) {
	d.lastJob++
	s.generation, s.done, s.refused = d.lastJob, false, DropNone
	out.Handshakes = append(out.Handshakes, HandshakeJob{d, s, s.generation})
}

// release wipes the slot and puts it back.
func (d *Device) release(s *jobSlot) {
	*s = jobSlot{}
	d.free = append(d.free, s)
}

// run does the work. It is called by a Worker, on any goroutine.
func (s *jobSlot) run() {
	var err error
	failed := DropResponseTag
	switch s.kind {
	case jobCreate:
		err = s.create()
	case jobConsume:
		s.keys, err = handshake.ConsumeResponse((*[wire.ResponseSize]byte)(s.message[:]), s.state, s.ephemeral,
			s.identity, (*[KeySize]byte)(&s.psk))
	case jobOpen:
		failed = DropStaticTag
		s.remote, s.state, err = handshake.ConsumeInitiationStatic((*[wire.InitiationSize]byte)(&s.message),
			(*[KeySize]byte)(&s.public), s.identity)
	case jobAnswer:
		failed = DropTimestampTag
		err = s.answer()
	}
	s.done = true
	switch {
	case err == nil:
	case errors.Is(err, handshake.ErrLowOrder):
		s.refused = DropLowOrder
	case errors.Is(err, handshake.ErrIdentity):
		s.refused = DropIdentityFailed
	default:
		s.refused = failed
	}
}

// create is jobCreate (paper §5.4.2).
func (s *jobSlot) create() (err error) {
	if s.ephemeral, err = handshake.NewEphemeral(&s.drawn.seed); err != nil {
		return err
	}
	s.state, err = handshake.CreateInitiation((*[wire.InitiationSize]byte)(&s.message), s.drawn.index, s.ephemeral,
		(*[KeySize]byte)(&s.public), (*[KeySize]byte)(&s.remote), s.identity, &s.ss, &s.stamp)
	return err
}

// answer is jobAnswer (paper §5.4.2, §5.4.3). A timestamp that was too old when the job was made can only
// have become older, so the response is spared; the device looks again (TAI-02).
func (s *jobSlot) answer() (err error) {
	s.stamp, err = handshake.ConsumeInitiationTimestamp((*[wire.InitiationSize]byte)(&s.message), &s.state,
		(*[KeySize]byte)(&s.remote), s.identity, &s.ss)
	if err != nil {
		return err
	}
	if bytes.Compare(s.stamp[:], s.greatest[:]) <= 0 {
		s.refused = DropOldTimestamp
		return nil
	}
	if s.ephemeral, err = handshake.NewEphemeral(&s.drawn.seed); err != nil {
		return err
	}
	s.keys, err = handshake.CreateResponse((*[wire.ResponseSize]byte)(&s.reply), &s.state, s.drawn.index,
		s.message.Sender(), s.ephemeral, s.message.Ephemeral(), (*[KeySize]byte)(&s.remote), (*[KeySize]byte)(&s.psk))
	return err
}

// HandleShaken takes back handshake jobs, done by a Worker or never given to one: that is dropped as DropBusy. A job
// that a Worker still has must not be given back. Each counts once; a second return is ignored, and so is the job of
// another Device.
func (d *Device) HandleShaken(now timers.Time, in []HandshakeJob, out *Batch) {
	d.tick(now, out)
	for _, job := range in {
		s := job.slot
		if s == nil || s.generation == 0 || s.generation != job.generation || job.device != d {
			continue
		}
		s.generation = 0 // from here on this handle is an old one
		if !s.done {
			s.refused = DropBusy
		}
		p, kept := s.peer, false
		switch s.kind {
		case jobCreate:
			d.commitCreate(s, job.generation, out)
		case jobConsume:
			d.commitConsume(s, out)
		case jobOpen:
			p, kept = d.commitOpen(s, out)
		case jobAnswer:
			d.commitAnswer(s, out)
		}
		if !kept {
			d.release(s)
		}
		d.traceTimers(p, timers.None, out)
		d.serveWaiting(out)
	}
}

// superseded reports whether what the job was for is gone: its peer, or the identity or uptime it belongs to.
func (d *Device) superseded(s *jobSlot) bool {
	return s.device != d.generation || s.peer != nil && s.peer.dead
}
