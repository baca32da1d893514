package protocoltest

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// pick reads which datagrams on the wire are meant: numbers, ranges, "all", a path, or all of one kind.
func (c *command) pick() (ds []*datagram) {
	for _, w := range c.rest() {
		from, to, isPath := strings.Cut(w, "->")
		first, last, isRange := strings.Cut(w, "..")
		switch {
		case w == "all":
			ds = append(ds, c.env.wire...)
		case w == "initiation", w == "response", w == "cookie", w == "data", w == "keepalive":
			for _, d := range c.env.wire {
				if strings.HasPrefix(d.kind(), w) {
					ds = append(ds, d)
				}
			}
		case isPath:
			a, b := c.named(from), c.named(to)
			for _, d := range c.env.wire {
				if a != nil && b != nil && d.sender == a && c.env.owner(d.to) == b {
					ds = append(ds, d)
				}
			}
		case isRange:
			for i, end := c.ordinal(first), c.ordinal(last); i <= end && c.err == nil; i++ {
				ds = append(ds, c.inFlight(i))
			}
		default:
			ds = append(ds, c.inFlight(c.ordinal(w)))
		}
	}
	return ds
}

func (c *command) ordinal(text string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(text, "#"))
	if err != nil {
		c.fail("%q is no number of a datagram", text)
	}
	return i
}

// inFlight gives the datagram on the wire with the number.
func (c *command) inFlight(n int) *datagram {
	for _, d := range c.env.wire {
		if d.n == n {
			return d
		}
	}
	c.fail("#%d is not on the wire", n)
	return nil
}

// known gives a datagram that was ever seen.
func (c *command) known(n int) *datagram {
	if n < 1 || n > len(c.env.seen) {
		c.fail("there never was a #%d", n)
		return nil
	}
	return c.env.seen[n-1]
}

func (c *command) from() *netip.AddrPort {
	if a := c.addrPort("from", netip.AddrPort{}); a.IsValid() {
		return &a
	}
	return nil
}

func (e *Env) deliver(c *command) error {
	oldest := len(c.words) == 0
	ds := c.pick()
	if oldest && len(e.wire) > 0 {
		ds = e.wire[:1]
	}
	from, ce, batch := c.from(), c.flag("ce", false), c.flag("batch", false)
	if len(ds) == 0 {
		c.fail("nothing of that is on the wire")
	}
	if err := c.done(); err != nil {
		return err
	}
	ds = append([]*datagram(nil), ds...)
	for _, d := range ds {
		if ce {
			d.tos |= 3
			e.marked = true
		}
		e.unlist(d)
	}
	if batch {
		e.receive(from, ds...)
		return nil
	}
	for _, d := range ds {
		e.receive(from, d)
		e.quiesce()
	}
	return nil
}

func (e *Env) drop(c *command) error {
	ds := c.pick()
	if len(ds) == 0 {
		c.fail("nothing of that is on the wire")
	}
	if err := c.done(); err != nil {
		return err
	}
	for _, d := range append([]*datagram(nil), ds...) {
		e.unlist(d)
		e.log.add(nil, showWire, "lost", "#%d is lost", d.n)
	}
	return nil
}

func (e *Env) duplicate(c *command) error {
	d := c.inFlight(c.ordinal(c.word("a number")))
	if err := c.done(); err != nil {
		return err
	}
	twin := *d
	twin.bytes = append([]byte(nil), d.bytes...)
	e.wire = append(e.wire, e.add(&twin))
	e.log.add(nil, showWire, "", "#%d is a copy of #%d", twin.n, d.n)
	return nil
}

func (e *Env) corrupt(c *command) error {
	d := c.inFlight(c.ordinal(c.word("a number")))
	at, bit := c.number("byte", -1), c.number("bit", 0)
	if d != nil && (at < 0 || at >= len(d.bytes) || bit < 0 || bit > 7) {
		c.fail("#%d has bytes 0 to %d with bits 0 to 7", d.n, len(d.bytes)-1)
	}
	if err := c.done(); err != nil {
		return err
	}
	d.bytes[at] ^= 1 << bit
	e.log.add(nil, showWire, "", "bit %d of byte %d of #%d is flipped", bit, at, d.n)
	return nil
}

func (e *Env) replay(c *command) error {
	d := c.known(c.ordinal(c.word("a number")))
	from := c.from()
	var twin datagram
	var changed string
	if d != nil {
		twin = *d
		twin.bytes = append([]byte(nil), d.bytes...)
	}
	if v, ok := c.look("to"); ok {
		if n := c.named(v); n != nil {
			twin.to = n.Addr
		}
	}
	if v, ok := c.look("index"); ok {
		i, known := e.index(v)
		if !known || len(twin.bytes) < 8 || twin.typ() != typeTransport {
			c.fail("index=%s: it has to be a known one, for a transport message", v)
		} else {
			binary.LittleEndian.PutUint32(twin.bytes[4:], i)
			changed = ", with another index"
		}
	}
	if err := c.done(); err != nil {
		return err
	}
	e.add(&twin)
	e.log.add(nil, showWire, "", "an attacker sends #%d, which is #%d once more%s: %s", twin.n, d.n, changed, twin.what(e))
	e.receive(from, &twin)
	return nil
}

func (e *Env) cutLink(c *command) error {
	cutting := c.name == "cut"
	a, b, both := c.link()
	if err := c.done(); err != nil {
		return err
	}
	e.setCut(cut{a, b}, cutting)
	if both {
		e.setCut(cut{b, a}, cutting)
	}
	return nil
}

func (e *Env) setCut(link cut, cutting bool) {
	kept := e.cuts[:0]
	for _, c := range e.cuts {
		if c != link {
			kept = append(kept, c)
		}
	}
	e.cuts = kept
	if cutting {
		e.cuts = append(e.cuts, link)
	}
}

func (e *Env) jobsCommand(c *command) error {
	n := c.node()
	verb := ""
	var numbers []int
	if len(c.words) > 0 {
		verb = c.word("")
		for _, w := range c.rest() {
			numbers = append(numbers, c.ordinal(w))
		}
	}
	if verb != "" && verb != "hold" && verb != "release" {
		c.fail("%q: hold or release", verb)
	}
	if err := c.done(); err != nil {
		return err
	}
	switch verb {
	case "hold":
		n.holding = true
	case "release":
		return n.release(c, numbers)
	default:
		e.log.add(n, showAlways, "", "has %d handshake jobs waiting", len(n.jobs))
	}
	return nil
}

// release does the held jobs with these numbers, in this order. Jobs that follow from them wait in their turn, with
// the next number. Without numbers it does all, and later ones no longer wait.
func (n *Node) release(c *command, numbers []int) error {
	if len(numbers) == 0 {
		n.holding = false
		held := n.jobs
		n.jobs = nil
		for _, h := range held {
			n.shake(h)
		}
		return nil
	}
	for _, number := range numbers {
		i := 0
		for i < len(n.jobs) && n.jobs[i].number != number {
			i++
		}
		if i == len(n.jobs) {
			c.fail("no job %d waits", number)
			return c.err
		}
		held := n.jobs[i]
		n.jobs = append(n.jobs[:i:i], n.jobs[i+1:]...)
		n.shake(held)
	}
	return nil
}

func (n *Node) shake(h heldJob) {
	n.env.log.add(n, showAlways, "", "does handshake job %d", h.number)
	jobs := []protocol.HandshakeJob{h.job}
	n.worker.Shake(jobs)
	n.Handle(func(now timers.Time, b *protocol.Batch) { n.Device.HandleShaken(now, jobs, b) })
}
