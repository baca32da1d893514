package eventlog

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Locker guards the writer: workers use the identity, and report what they sealed, while the device is at work. A
// *sync.Mutex is one. Whoever works on one goroutine gives nil.
type Locker interface {
	Lock()
	Unlock()
}

type unlocked struct{}

func (unlocked) Lock()   {}
func (unlocked) Unlock() {}

// device is embedded under a name of our own, so that it cannot be reached past the Recorder.
type device = protocol.Device

// Recorder is a protocol.Device that writes down all that it is told. It has the methods of transports.Core and
// transports.Observer and is used like the Device: by one goroutine at a time, except for Sealed.
//
// What it asks beyond that: a batch's Open jobs go to HandleOpened whole, with the batch that they came in, before it
// is used for other datagrams. Breaking this, or a writer that fails, ends the recording, not the Device: see Err.
type Recorder struct {
	*device
	guard Locker
	w     io.Writer
	err   error // under guard
	e     encoder
	drawn encoder // entropy drawn in the call under way
	draws uint64
	text  []byte
	now   timers.Time // of the last record

	sealed   encoder // under guard
	sealText []byte
	dh       encoder

	calls      uint64
	open       map[*protocol.Batch]openJobs
	jobs       map[protocol.HandshakeJob]uint64
	lastJob    uint64
	identities uint64
}

// openJobs are those of a batch that are out.
type openJobs struct {
	call uint64
	n    int
}

// ErrMisuse is the error of a Recorder whose caller handed jobs back otherwise than it asks.
var ErrMisuse = errors.New("purewire: the event log cannot follow the jobs")

// NewRecorder makes a Device of c and records it to w from its birth. Every call writes to w, so it should be
// buffered; the caller flushes it after Close. Errors are those of protocol.New and of w.
func NewRecorder(w io.Writer, guard Locker, c protocol.Config) (*Recorder, error) {
	if guard == nil {
		guard = unlocked{}
	}
	r := &Recorder{guard: guard, w: w, open: map[*protocol.Batch]openJobs{}, jobs: map[protocol.HandshakeJob]uint64{}}
	var id *identity
	if c.Identity != nil {
		id = r.wrap(c.Identity)
		c.Identity = id
	}
	if c.Entropy != nil {
		c.Entropy = &tap{r, c.Entropy}
	}
	if c.Wall.IsZero() {
		c.Wall = time.Unix(0, 0) // as protocol.New takes it; the year 1 cannot be written down in nanoseconds
	}
	d, err := protocol.New(c)
	if err != nil {
		return nil, err
	}
	r.device, r.now = d, c.Start
	r.e.int(int64(c.Start))
	r.e.wall(c.Wall)
	r.e.int(int64(c.MTU))
	r.e.limits(c.Limits)
	r.e.uint(uint64(c.Trace))
	r.e.identity(id)
	r.put(append([]byte(magic), version))
	r.write(kindNew, nil, marks{})
	return r, r.err
}

// tap is the entropy source, observed.
type tap struct {
	r  *Recorder
	in io.Reader
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	t.r.draws++
	t.r.drawn.bool(err == nil)
	t.r.drawn.bytes(p[:max(n, 0)])
	return n, err
}

// identity is one that somebody configured, observed.
type identity struct {
	protocol.Identity
	r      *Recorder
	number uint64
}

func (r *Recorder) wrap(id protocol.Identity) *identity {
	r.identities++
	return &identity{id, r, r.identities}
}

// DH records a success before the job that asked for it can come back. A failure is recorded with the job.
func (i *identity) DH(point [protocol.KeySize]byte) ([protocol.KeySize]byte, error) {
	secret, err := i.Identity.DH(point)
	if err != nil {
		return secret, err
	}
	r := i.r
	r.guard.Lock()
	defer r.guard.Unlock()
	r.dh.b = r.dh.b[:0]
	r.dh.uint(i.number)
	r.dh.bytes(point[:])
	r.dh.bytes(secret[:])
	r.record(kindDH, r.dh.b)
	return secret, nil
}

// Err gives what ended the recording; nil if nothing did.
func (r *Recorder) Err() error {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.err
}

// Close writes the end of the log, with which a replay can tell that nothing is missing, and gives Err. Nobody may
// use the Recorder any more.
func (r *Recorder) Close() error {
	r.e.b = r.e.b[:0]
	r.e.bytes(appendEnd(nil, r.device))
	r.guard.Lock()
	defer r.guard.Unlock()
	r.record(kindEnd, r.e.b)
	if r.err == nil {
		r.err = errClosed
		return nil
	}
	return r.err
}

var errClosed = errors.New("purewire: the event log was closed")

// put writes b unless something failed before. The guard is held, or nobody else is there yet.
func (r *Recorder) put(b []byte) {
	if r.err == nil {
		_, r.err = r.w.Write(b)
	}
}

// record writes a record whole, in two writes. The guard is held.
func (r *Recorder) record(k kind, payload []byte) {
	var head encoder
	head.b = append(head.b, byte(k))
	head.uint(uint64(len(payload)))
	r.put(head.b)
	r.put(payload)
}

// begin starts the record of a call. Entropy is noted from here on.
func (r *Recorder) begin(now timers.Time) {
	r.e.b, r.drawn.b, r.draws = r.e.b[:0], r.drawn.b[:0], 0
	r.e.int(int64(now - r.now))
	r.now = now
	r.calls++
}

// write ends the record of a call with the entropy and with the answer, if there is a batch.
func (r *Recorder) write(k kind, out *protocol.Batch, m marks) {
	r.e.uint(r.draws)
	r.e.b = append(r.e.b, r.drawn.b...)
	r.text = r.text[:0]
	if out != nil {
		r.text = appendAnswer(r.text, r.device, out, m)
		for _, j := range out.Handshakes[m.handshakes:] {
			r.lastJob++
			r.jobs[j] = r.lastJob
		}
	}
	r.e.bytes(r.text)
	r.guard.Lock()
	defer r.guard.Unlock()
	r.record(k, r.e.b)
}

func (r *Recorder) misuse(what string) {
	r.guard.Lock()
	defer r.guard.Unlock()
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMisuse, what)
	}
}

// HandlePackets records and does what the Device's does.
func (r *Recorder) HandlePackets(now timers.Time, in []protocol.Packet, out *protocol.Batch) {
	r.begin(now)
	r.e.uint(uint64(len(in)))
	for i := range in {
		r.e.bytes(in[i].Bytes())
	}
	m := mark(out)
	r.device.HandlePackets(now, in, out)
	r.write(kindPackets, out, m)
}

// HandleDatagrams records and does what the Device's does.
func (r *Recorder) HandleDatagrams(now timers.Time, in []protocol.Datagram, out *protocol.Batch) {
	r.begin(now)
	r.e.uint(uint64(len(in)))
	for i := range in {
		r.e.endpoint(in[i].Endpoint)
		r.e.uint(uint64(in[i].TOS))
		r.e.bytes(in[i].Bytes())
	}
	m := mark(out)
	r.device.HandleDatagrams(now, in, out)
	if m.open > 0 {
		r.misuse("datagrams for a batch whose open jobs are still out")
	}
	delete(r.open, out)
	if n := len(out.Open); n > 0 {
		r.open[out] = openJobs{r.calls, n}
	}
	r.write(kindDatagrams, out, m)
}

// HandleOpened records and does what the Device's does.
func (r *Recorder) HandleOpened(now timers.Time, in []protocol.OpenJob, out *protocol.Batch) {
	r.begin(now)
	jobs := r.open[out]
	delete(r.open, out)
	if len(in) != jobs.n {
		r.misuse(fmt.Sprintf("%d open jobs came back with a batch of %d", len(in), jobs.n))
	}
	r.e.uint(jobs.call)
	m := mark(out)
	r.device.HandleOpened(now, in, out)
	r.write(kindOpened, out, m)
}

// HandleShaken records and does what the Device's does, job by job.
func (r *Recorder) HandleShaken(now timers.Time, in []protocol.HandshakeJob, out *protocol.Batch) {
	for i := range in {
		number, ok := r.jobs[in[i]]
		if !ok {
			continue // it was given back before, and a second return is ignored
		}
		delete(r.jobs, in[i])
		r.begin(now)
		r.e.uint(number)
		m, before := mark(out), r.Drops()
		r.device.HandleShaken(now, in[i:i+1:i+1], out)
		after := r.Drops()
		// Nothing else in this call drops for these reasons; and if a job is dropped for another, it is all one.
		switch {
		case after[protocol.DropBusy] > before[protocol.DropBusy]:
			r.e.uint(uint64(outcomeUndone))
		case after[protocol.DropIdentityFailed] > before[protocol.DropIdentityFailed]:
			r.e.uint(uint64(outcomeIdentity))
		default:
			r.e.uint(uint64(outcomeDone))
		}
		r.write(kindShaken, out, m)
	}
}

// HandleTimeout records and does what the Device's does.
func (r *Recorder) HandleTimeout(now timers.Time, out *protocol.Batch) {
	r.begin(now)
	m := mark(out)
	r.device.HandleTimeout(now, out)
	r.write(kindTimeout, out, m)
}

// Configure records and does what the Device's does.
func (r *Recorder) Configure(now timers.Time, changes []protocol.Change, out *protocol.Batch) error {
	r.begin(now)
	r.e.uint(uint64(len(changes)))
	own := make([]protocol.Change, len(changes))
	for i := range changes {
		own[i] = changes[i]
		var id *identity
		if own[i].Identity != nil {
			id = r.wrap(own[i].Identity)
			own[i].Identity = id
		}
		r.e.change(&own[i], id)
	}
	m := mark(out)
	err := r.device.Configure(now, own, out)
	r.e.bytes(errorText(err))
	r.write(kindConfigure, out, m)
	return err
}

func errorText(err error) []byte {
	if err == nil {
		return nil
	}
	return []byte(err.Error())
}

// Up records and does what the Device's does.
func (r *Recorder) Up(now timers.Time, out *protocol.Batch) {
	r.begin(now)
	m := mark(out)
	r.device.Up(now, out)
	r.write(kindUp, out, m)
}

// Down records and does what the Device's does.
func (r *Recorder) Down(now timers.Time, out *protocol.Batch) {
	r.begin(now)
	m := mark(out)
	r.device.Down(now, out)
	r.write(kindDown, out, m)
}

// ForgetSources records and does what the Device's does.
func (r *Recorder) ForgetSources(now timers.Time, local netip.Addr) {
	r.begin(now)
	r.e.binary(local)
	r.device.ForgetSources(now, local)
	r.write(kindForget, nil, marks{})
}

// SetWallClock records and does what the Device's does.
func (r *Recorder) SetWallClock(now timers.Time, wall time.Time) {
	r.begin(now)
	r.e.wall(wall)
	r.device.SetWallClock(now, wall)
	r.write(kindWall, nil, marks{})
}

// Identity gives what was configured, not what observes it.
func (r *Recorder) Identity() protocol.Identity {
	if id, ok := r.device.Identity().(*identity); ok {
		return id.Identity
	}
	return nil
}

// Sealed records messages that a Worker has sealed, about to be sent. It may be called by any goroutine, but in the
// order in which the messages are sent, and for all of them or never: then they are not compared.
func (r *Recorder) Sealed(jobs []protocol.SealJob) {
	r.guard.Lock()
	defer r.guard.Unlock()
	r.sealText = r.sealText[:0]
	for i := range jobs {
		r.sealText = appendDatagram(r.sealText, "message", &jobs[i].Datagram)
	}
	r.sealed.b = r.sealed.b[:0]
	r.sealed.bytes(r.sealText)
	r.record(kindSealed, r.sealed.b)
}
