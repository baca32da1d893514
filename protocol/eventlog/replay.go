package eventlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Summary is what a replay went through.
type Summary struct {
	Calls      int           // of the Device, New not counted
	Packets    int           // from the tunnel
	Datagrams  int           // from the network
	Handshakes int           // jobs done
	Messages   int           // sealed, sent and compared
	Span       time.Duration // from the first call to the last
	Complete   bool          // the recording was closed; else it ended with the process
}

// Difference is the error of a replay that came to another answer than the recording, or met something else than it.
type Difference struct {
	Call      int         // its number, counted from 1; 0: New
	What      string      // which call
	At        timers.Time // its time
	Want, Got string      // the first line that differs: recorded, replayed
}

// Error tells what differs, over several lines.
func (d *Difference) Error() string {
	return fmt.Sprintf("purewire: replay differs at call %d, %s, time %d:\n  recorded: %s\n  replayed: %s", d.Call, d.What,
		int64(d.At), d.Want, d.Got)
}

// Replay runs a log through a new Device on one goroutine, in the recorded order, and compares every answer with the
// recorded one, byte for byte. It stops at the first difference, with a *Difference. Other errors: ErrFormat,
// ErrVersion, ErrTruncated (what there was agreed), and those of log.
func Replay(log io.Reader) (Summary, error) { return ReplayWith(log, nil) }

// ReplayWith is Replay with a hand on the Device: tune is called once it is made, for tests that need another one
// than was recorded.
func ReplayWith(log io.Reader, tune func(*protocol.Device)) (Summary, error) {
	r := &replay{source: source{in: bufio.NewReaderSize(log, 1<<16)}, tune: tune,
		jobs: map[uint64]protocol.HandshakeJob{}, rounds: map[uint64]*round{}, identities: map[uint64]*oracle{}}
	if err := r.preamble(); err != nil {
		return r.sum, err
	}
	for {
		k, payload, err := r.source.next()
		if errors.Is(err, io.EOF) {
			return r.sum, nil
		}
		if err != nil {
			return r.sum, err
		}
		if r.sum.Complete {
			return r.sum, fmt.Errorf("%w: more after the end", ErrFormat)
		}
		r.d = decoder{b: payload}
		if err := r.step(k); err != nil {
			return r.sum, err
		}
	}
}

// round is the batch of one HandleDatagrams whose open jobs are out, with the memory behind it.
type round struct {
	batch protocol.Batch
	in    []protocol.Datagram
}

type replay struct {
	source     source
	tune       func(*protocol.Device)
	device     *protocol.Device
	sum        Summary
	d          decoder
	what       kind
	now        timers.Time
	start      timers.Time
	batch      protocol.Batch
	worker     protocol.Worker
	jobs       map[uint64]protocol.HandshakeJob
	lastJob    uint64
	rounds     map[uint64]*round
	identities map[uint64]*oracle
	failing    bool     // the identity fails the job that is being done
	draws      []draw   // that the call under way may make
	short      string   // what entropy the call asked for in vain
	sealed     [][]byte // lines of messages that were not sent yet
	compares   bool     // there was a record of sealed messages
}

type draw struct {
	ok   bool
	data []byte
}

// Read gives the device the entropy that was drawn in the same call of the recording.
func (r *replay) Read(p []byte) (int, error) {
	if len(r.draws) == 0 || len(r.draws[0].data) > len(p) {
		r.short = fmt.Sprintf("a draw of %d bytes of entropy", len(p))
		return 0, io.ErrUnexpectedEOF
	}
	d := r.draws[0]
	r.draws = r.draws[1:]
	n := copy(p, d.data)
	if !d.ok {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// oracle is an identity that knows the answers that were recorded.
type oracle struct {
	public  protocol.PublicKey
	secrets map[[protocol.KeySize]byte][protocol.KeySize]byte
	failing *bool
}

var errOracle = errors.New("purewire: the recorded identity has no answer")

func (o *oracle) PublicKey() protocol.PublicKey { return o.public }

func (o *oracle) DH(point [protocol.KeySize]byte) (secret [protocol.KeySize]byte, err error) {
	secret, ok := o.secrets[point]
	if !ok || *o.failing {
		return secret, errOracle
	}
	return secret, nil
}

// identity makes the oracle of an identity that the log names.
func (r *replay) identity(d *decoder) protocol.Identity {
	number := d.uint()
	if number == 0 {
		return nil
	}
	o := &oracle{d.key(), map[[protocol.KeySize]byte][protocol.KeySize]byte{}, &r.failing}
	r.identities[number] = o
	return o
}

// preamble reads the beginning and makes the device.
func (r *replay) preamble() error {
	var head [len(magic) + 1]byte
	if _, err := io.ReadFull(r.source.in, head[:]); err != nil || string(head[:len(magic)]) != magic {
		return ErrFormat
	}
	if head[len(magic)] != version {
		return fmt.Errorf("%w: %d, not %d", ErrVersion, head[len(magic)], version)
	}
	k, payload, err := r.source.next()
	if err != nil || k != kindNew {
		return ErrFormat
	}
	d := &r.d
	*d, r.what = decoder{b: payload}, k
	c := protocol.Config{Entropy: r, Start: timers.Time(d.int()), Wall: d.wall(), MTU: int(d.int()), Limits: d.limits(),
		Trace: protocol.EventMask(d.uint()), Identity: r.identity(d)}
	r.now, r.start = c.Start, c.Start
	r.readDraws()
	if d.bad || c.Limits.Jobs > maxJobs {
		return ErrFormat
	}
	if r.device, err = protocol.New(c); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if r.tune != nil {
		r.tune(r.device)
	}
	return r.compare(nil, nil)
}

// maxJobs keeps a damaged log from asking for all memory there is.
const maxJobs = 1 << 16

func (r *replay) readDraws() {
	r.draws, r.short = r.draws[:0], ""
	for range r.d.count() {
		ok := r.d.bool()
		r.draws = append(r.draws, draw{ok, r.d.bytes()})
	}
}

// step replays one record.
func (r *replay) step(k kind) error {
	r.what = k
	switch k {
	case kindNew:
		return fmt.Errorf("%w: a second beginning", ErrFormat)
	case kindDH:
		return r.learn()
	case kindSealed:
		return r.sent()
	case kindEnd:
		return r.end()
	}
	r.sum.Calls++
	r.now += timers.Time(r.d.int())
	r.sum.Span = r.now.Sub(r.start)
	r.batch.Reset()
	switch k {
	case kindPackets:
		return r.packets()
	case kindDatagrams:
		return r.datagrams()
	case kindOpened:
		return r.opened()
	case kindShaken:
		return r.shaken()
	case kindConfigure:
		return r.configure()
	case kindTimeout:
		return r.call(func() { r.device.HandleTimeout(r.now, &r.batch) })
	case kindUp:
		return r.call(func() { r.device.Up(r.now, &r.batch) })
	case kindDown:
		return r.call(func() { r.device.Down(r.now, &r.batch) })
	case kindForget:
		var local netip.Addr
		r.d.binary(&local)
		return r.quiet(func() { r.device.ForgetSources(r.now, local) })
	default:
		wall := r.d.wall()
		return r.quiet(func() { r.device.SetWallClock(r.now, wall) })
	}
}

// call makes a call whose answer is in r.batch.
func (r *replay) call(f func()) error { return r.callWith(&r.batch, f) }

// callWith makes a call with the entropy that it drew then, and compares what it added to b.
func (r *replay) callWith(b *protocol.Batch, f func()) error {
	r.readDraws()
	if r.d.bad {
		return fmt.Errorf("%w: %v, call %d", ErrFormat, r.what, r.sum.Calls)
	}
	m := mark(b)
	f()
	return r.compare(appendAnswer(nil, r.device, b, m), func() {
		for _, j := range b.Handshakes[m.handshakes:] {
			r.lastJob++
			r.jobs[r.lastJob] = j
		}
		r.worker.Seal(b.Seal[m.seal:])
		for i := range b.Seal[m.seal:] {
			r.sealed = append(r.sealed, appendDatagram(nil, "message", &b.Seal[m.seal+i].Datagram))
		}
		b.Seal = b.Seal[:m.seal]
	})
}

// quiet makes a call that has no answer.
func (r *replay) quiet(f func()) error {
	r.readDraws()
	if r.d.bad {
		return fmt.Errorf("%w: %v, call %d", ErrFormat, r.what, r.sum.Calls)
	}
	f()
	return r.compare(nil, nil)
}

// compare ends a record of a call: the answer is to be the recorded one, and entropy used up. then follows if so.
func (r *replay) compare(got []byte, then func()) error {
	want := r.d.bytes()
	switch {
	case r.d.bad || len(r.d.b) > 0:
		return fmt.Errorf("%w: %v, call %d", ErrFormat, r.what, r.sum.Calls)
	case r.short != "":
		return r.differ("no such draw", r.short)
	case len(r.draws) > 0:
		return r.differ(fmt.Sprintf("%d more draws of entropy", len(r.draws)), "none")
	case !bytes.Equal(want, got):
		return r.differ(firstDifference(want, got))
	}
	if then != nil {
		then()
	}
	return nil
}

func (r *replay) differ(want, got string) error {
	return &Difference{Call: r.sum.Calls, What: r.what.String(), At: r.now, Want: want, Got: got}
}

func (r *replay) packets() error {
	in := make([]protocol.Packet, r.d.count())
	for i := range in {
		p := r.d.bytes()
		buf := make([]byte, protocol.Headroom+len(p)+protocol.Tailroom)
		copy(buf[protocol.Headroom:], p)
		in[i] = protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(p)}
	}
	r.sum.Packets += len(in)
	return r.call(func() { r.device.HandlePackets(r.now, in, &r.batch) })
}

func (r *replay) datagrams() error {
	o := &round{in: make([]protocol.Datagram, r.d.count())}
	for i := range o.in {
		o.in[i].Endpoint, o.in[i].TOS = r.d.endpoint(), uint8(r.d.uint())
		buf := bytes.Clone(r.d.bytes())
		o.in[i].Packet = protocol.Packet{Buf: buf, Len: len(buf)}
	}
	r.sum.Datagrams += len(o.in)
	err := r.callWith(&o.batch, func() { r.device.HandleDatagrams(r.now, o.in, &o.batch) })
	if len(o.batch.Open) > 0 {
		r.rounds[uint64(r.sum.Calls)] = o
	}
	return err
}

func (r *replay) opened() error {
	number := r.d.uint()
	o := r.rounds[number]
	switch {
	case number == 0:
		return r.call(func() { r.device.HandleOpened(r.now, nil, &r.batch) })
	case o == nil:
		return r.differ(fmt.Sprintf("the open jobs of call %d", number), "that call made none, or they came back before")
	}
	delete(r.rounds, number)
	r.worker.Open(o.batch.Open)
	return r.callWith(&o.batch, func() { r.device.HandleOpened(r.now, o.batch.Open, &o.batch) })
}

func (r *replay) shaken() error {
	number, result := r.d.uint(), outcome(r.d.uint())
	job, ok := r.jobs[number]
	if !ok {
		return r.differ(fmt.Sprintf("handshake job %d", number), "there is none")
	}
	delete(r.jobs, number)
	one := []protocol.HandshakeJob{job}
	if result != outcomeUndone {
		r.failing = result == outcomeIdentity
		r.worker.Shake(one)
		r.sum.Handshakes++
	}
	return r.call(func() { r.device.HandleShaken(r.now, one, &r.batch) })
}

func (r *replay) configure() error {
	changes := make([]protocol.Change, r.d.count())
	for i := range changes {
		changes[i] = r.d.change(r.identity)
	}
	want := string(r.d.bytes())
	var err error
	differs := r.call(func() { err = r.device.Configure(r.now, changes, &r.batch) })
	if got := string(errorText(err)); differs == nil && got != want {
		return r.differ("error: "+want, "error: "+got)
	}
	return differs
}

// learn notes a result of an identity.
func (r *replay) learn() error {
	o := r.identities[r.d.uint()]
	point, secret := r.d.key(), r.d.key()
	if o == nil || r.d.bad {
		return fmt.Errorf("%w: a result of no identity", ErrFormat)
	}
	o.secrets[point] = secret
	return nil
}

// sent compares messages that were sent with those that were sealed, in order.
func (r *replay) sent() error {
	want := r.d.bytes()
	if r.d.bad {
		return fmt.Errorf("%w: messages", ErrFormat)
	}
	r.compares = true
	for len(want) > 0 {
		var line []byte
		line, want, _ = bytes.Cut(want, []byte{'\n'})
		if len(r.sealed) == 0 {
			return r.differ(string(line), "nothing")
		}
		got := bytes.TrimSuffix(r.sealed[0], []byte{'\n'})
		r.sealed = r.sealed[1:]
		if !bytes.Equal(line, got) {
			return r.differ(string(line), string(got))
		}
		r.sum.Messages++
	}
	return nil
}

// end compares the counters, and sees whether everything sealed was sent.
func (r *replay) end() error {
	want := r.d.bytes()
	if r.d.bad {
		return fmt.Errorf("%w: the end", ErrFormat)
	}
	if got := appendEnd(nil, r.device); !bytes.Equal(want, got) {
		return r.differ(firstDifference(want, got))
	}
	if r.compares && len(r.sealed) > 0 {
		return r.differ("nothing", string(bytes.TrimSuffix(r.sealed[0], []byte{'\n'})))
	}
	r.sum.Complete = true
	return nil
}
