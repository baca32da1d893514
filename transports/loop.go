package transports

import (
	"errors"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// hand is one goroutine's own: its batch, its cipher scratch, its places in line.
type hand struct {
	node   *Node
	batch  protocol.Batch
	worker protocol.Worker
	out    place
	in     place
	turn   baton // the one to wait for before sending batch.Seal; nil if that is empty
	send   []protocol.Datagram
	tally  tally
}

func (n *Node) newHand() *hand {
	h := &hand{node: n, out: newPlace(), in: newPlace()}
	n.hands = append(n.hands, h)
	return h
}

// enter takes the lock and then reads the clock, so that time never runs backwards for the Core.
func (n *Node) enter() timers.Time {
	n.mu.Lock()
	return n.clock.Now()
}

// leave ends what enter began, once the Handle call is made: handshake jobs go to their pool, seal jobs draw a turn,
// and an earlier deadline wakes the goroutine that waits for it.
func (h *hand) leave() {
	n, b := h.node, &h.batch
	for _, j := range b.Handshakes {
		n.jobs.push(j)
		n.shakeable.Signal()
	}
	b.Handshakes = b.Handshakes[:0]
	if len(b.Seal) > 0 {
		h.turn = n.out.draw(&h.out)
	}
	if at, _, ok := n.core.Deadline(); ok && at < n.armed {
		n.armed = at
		select {
		case n.poke <- struct{}{}:
		default: // it has been told already and has not looked yet
		}
	}
	n.mu.Unlock()
}

// settle does what a Handle call left in the batch, except to open and to deliver: it reports events, sends finished
// datagrams, seals, waits for its turn, sends. References to keys do not stay behind (SEC-03).
func (h *hand) settle() {
	n, b := h.node, &h.batch
	if len(b.Events) > 0 && n.onEvents != nil {
		n.onEvents(b.Events)
	}
	b.Events = b.Events[:0]
	if len(b.Datagrams) > 0 {
		h.transmit(b.Datagrams)
		b.Datagrams = b.Datagrams[:0]
	}
	if len(b.Seal) == 0 {
		return
	}
	h.worker.Seal(b.Seal)
	h.send = h.send[:0]
	for i := range b.Seal {
		h.send = append(h.send, b.Seal[i].Datagram)
	}
	<-h.turn
	if n.observer != nil {
		n.observer.Sealed(b.Seal)
	}
	h.transmit(h.send)
	h.out.done()
	h.turn = nil
	clear(b.Seal)
	b.Seal = b.Seal[:0]
}

// transmit sends datagrams; what cannot be sent is lost, as on any network.
func (h *hand) transmit(d []protocol.Datagram) {
	bytes := 0
	for i := range d {
		bytes += d[i].Len
	}
	err := h.node.link.Send(d)
	h.tally.sent.add(len(d), bytes)
	if err != nil {
		h.tally.sent.errors.Add(1)
		h.node.sendFailed(err)
	}
}

// sendFailed makes the Core forget a source address that the host has no more (ROAM-09).
func (n *Node) sendFailed(err error) {
	if gone, ok := errors.AsType[*SourceError](err); ok {
		now := n.enter()
		n.core.ForgetSources(now, gone.Local)
		n.mu.Unlock()
	}
	if !n.closing() {
		n.log.Debug("send", "error", err)
	}
}

// outbound is a worker from the tunnel to the network.
func (n *Node) outbound(h *hand, read token) {
	p := Packets{Buf: make([]byte, PacketsBuf), List: make([]protocol.Packet, 0, MaxBatch)}
	var pause backoff
	for holding := false; ; {
		if !holding && !n.take(read) {
			return
		}
		holding = true
		p.List = p.List[:0]
		if err := n.tunnel.Read(&p); err != nil {
			if !n.survive(h, err, &pause) {
				read <- struct{}{}
				return
			}
			continue
		}
		pause = 0
		if len(p.List) == 0 {
			continue
		}
		bytes := 0
		for i := range p.List {
			bytes += p.List[i].Len
		}
		h.tally.read.add(len(p.List), bytes)
		h.batch.Reset()
		now := n.enter()
		n.core.HandlePackets(now, p.List, &h.batch)
		h.leave()
		if n.workers > 1 && worth(len(p.List), bytes) {
			read <- struct{}{}
			holding = false
		}
		if len(h.batch.Rejects) > 0 {
			n.icmp.refuse(n.clock.Now(), h.batch.Rejects)
		}
		h.settle()
	}
}

// inbound is a worker from one source of the network to the tunnel. It commits in the order of reading, so that an
// endpoint never goes back to where an older message came from (ROAM-03).
func (n *Node) inbound(h *hand, source int, read token) {
	d := Datagrams{Buf: make([]byte, DatagramsBuf), List: make([]protocol.Datagram, 0, MaxBatch)}
	var pause backoff
	for holding := false; ; {
		if !holding && !n.take(read) {
			return
		}
		holding = true
		d.List = d.List[:0]
		if err := n.link.Receive(source, &d); err != nil {
			if !n.survive(h, err, &pause) {
				read <- struct{}{}
				return
			}
			continue
		}
		pause = 0
		if len(d.List) == 0 {
			continue
		}
		bytes := 0
		for i := range d.List {
			bytes += d.List[i].Len
		}
		h.tally.received.add(len(d.List), bytes)
		var turn baton
		h.batch.Reset()
		now := n.enter()
		n.core.HandleDatagrams(now, d.List, &h.batch)
		if len(h.batch.Open) > 0 {
			turn = n.in.draw(&h.in)
		}
		h.leave()
		if n.workers > 1 && worth(len(d.List), bytes) {
			read <- struct{}{}
			holding = false
		}
		h.settle()
		if turn != nil {
			h.deliver(turn)
		}
	}
}

// deliver decrypts, waits for its turn, commits and writes to the tunnel.
func (h *hand) deliver(turn baton) {
	n, b := h.node, &h.batch
	h.worker.Open(b.Open)
	<-turn
	now := n.enter()
	n.core.HandleOpened(now, b.Open, b)
	clear(b.Open) // they hold keys
	b.Open = b.Open[:0]
	h.leave()
	h.settle()
	h.write(b.Deliveries)
	h.in.done()
}

// write gives packets to the tunnel; the caller has the inbound turn.
func (h *hand) write(p []protocol.Delivery) {
	if len(p) == 0 {
		return
	}
	bytes := 0
	for i := range p {
		bytes += p[i].Len
	}
	err := h.node.tunnel.Write(p)
	h.tally.delivered.add(len(p), bytes)
	if err != nil {
		h.tally.delivered.errors.Add(1)
		if !h.node.closing() {
			h.node.log.Debug("write", "tunnel", h.node.tunnel.Name(), "error", err)
		}
	}
}

// shakeHands does handshake jobs, one after the other.
func (n *Node) shakeHands(h *hand) {
	var job [1]protocol.HandshakeJob
	for n.nextJob(&job[0]) {
		h.worker.Shake(job[:])
		h.batch.Reset()
		now := n.enter()
		n.core.HandleShaken(now, job[:], &h.batch)
		h.leave()
		h.tally.shaken.Add(1)
		h.settle()
	}
}

// nextJob waits for a job, or gives false when the node stops.
func (n *Node) nextJob(job *protocol.HandshakeJob) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.jobs.len() == 0 && !n.stopped {
		n.shakeable.Wait()
	}
	if n.stopped {
		return false
	}
	*job = n.jobs.pop()
	return true
}

// wallRefresh is how often the wall clock is read where the system does not tell of its jumps.
const wallRefresh = time.Minute

// keepTime calls the Core at its deadlines.
func (n *Node) keepTime(h *hand) {
	alarm := n.clock.NewAlarm()
	defer alarm.Close()
	jumps := n.clock.Jumps()
	read := n.clock.Now()
	for {
		alarm.Set(n.due(h))
		select {
		case <-alarm.C():
			h.tally.wakeups.Add(1)
		case <-n.poke:
		case <-jumps:
			n.readWall()
		case <-n.quit:
			return
		}
		if now := n.clock.Now(); jumps == nil && now.Sub(read) >= wallRefresh {
			n.readWall()
			read = now
		}
	}
}

// due does all that is due and gives the next deadline, timers.Never if there is none.
func (n *Node) due(h *hand) timers.Time {
	for {
		h.batch.Reset()
		now := n.enter()
		at, _, ok := n.core.Deadline()
		if !ok || n.stopped {
			at = timers.Never
		}
		if at > now {
			n.armed = at
			n.mu.Unlock()
			return at
		}
		n.core.HandleTimeout(now, &h.batch)
		h.leave()
		h.settle()
	}
}

// readWall tells the Core the time of day (LIFE-07).
func (n *Node) readWall() {
	now := n.enter()
	n.core.SetWallClock(now, n.clock.Wall())
	n.mu.Unlock()
}

// take waits for the right to read, or gives false when the node stops.
func (n *Node) take(t token) bool {
	select {
	case <-t:
		return true
	case <-n.quit:
		return false
	}
}

// backoff is how long the next pause after a failed read is. A source that fails without pause must not take a core.
type backoff time.Duration

const maxBackoff = backoff(100 * time.Millisecond)

// survive decides what becomes of a worker whose read failed: false ends it.
func (n *Node) survive(h *hand, err error, pause *backoff) bool {
	if n.closing() {
		return false
	}
	if errors.Is(err, ErrClosed) {
		n.stop(ErrClosed)
		return false
	}
	h.tally.readErrors.Add(1)
	n.log.Debug("read", "error", err)
	if *pause > 0 {
		select {
		case <-time.After(time.Duration(*pause)):
		case <-n.quit:
			return false
		}
	}
	*pause = min(max(2**pause, backoff(time.Millisecond)), maxBackoff)
	return true
}
