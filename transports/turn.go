package transports

import "github.com/purewire/purewire/protocol"

// baton is what one goroutine hands to the next in line when its turn is over. It has room for one value.
type baton chan struct{}

// place is one goroutine's place in a line. It has two batons and uses them by turns: when it draws again at once it
// has to wait for its own last one, and whoever comes behind must not take that in its stead. Two are enough, because
// a turn comes only after the baton of the turn before last was taken.
type place struct {
	batons [2]baton
	drawn  uint // how often
}

func newPlace() place { return place{batons: [2]baton{make(baton, 1), make(baton, 1)}} }

// done ends the turn that was drawn last.
func (p *place) done() { p.batons[p.drawn%2] <- struct{}{} }

// turnstile gives turns in the order in which they are drawn. Drawing is done under the Node's lock; then each waits
// for the baton of the one before and, when done, fills its own. Only the next in line is woken, and nothing is
// allocated. A turn that was drawn must be taken: the ones behind it wait for ever otherwise.
type turnstile struct{ last baton }

func newTurnstile() turnstile {
	first := make(baton, 1)
	first <- struct{}{}
	return turnstile{first}
}

// draw queues up p and gives what it has to wait for.
func (t *turnstile) draw(p *place) (before baton) {
	p.drawn++
	before, t.last = t.last, p.batons[p.drawn%2]
	return before
}

// token is the right to read a source: a value that one goroutine at a time takes out.
type token chan struct{}

func newToken() token {
	t := make(token, 1)
	t <- struct{}{}
	return t
}

// A batch is worth another core from this on; below it the hand-over costs more than it gains (passing the token for
// every packet was measured to take 17 to 33 % more CPU at 20,000 packets per second; design §6).
const (
	worthPackets = 16
	worthBytes   = 16 << 10
)

func worth(packets, bytes int) bool { return packets >= worthPackets || bytes >= worthBytes }

// jobQueue is a first-in, first-out queue of handshake jobs. How many there can be is bounded by the Core's
// Limits.Jobs, so that its ring stops growing.
type jobQueue struct {
	ring    []protocol.HandshakeJob
	head, n int
}

func (q *jobQueue) len() int { return q.n }

func (q *jobQueue) push(j protocol.HandshakeJob) {
	if q.n == len(q.ring) {
		grown := make([]protocol.HandshakeJob, max(16, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = j
	q.n++
}

func (q *jobQueue) pop() protocol.HandshakeJob {
	j := q.ring[q.head]
	q.ring[q.head] = protocol.HandshakeJob{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return j
}
