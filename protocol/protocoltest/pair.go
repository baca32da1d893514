package protocoltest

import (
	"fmt"
	"time"
)

// Pair is a world of two Devices that are each other's peers and up: for tests that need a tunnel. Tests inside
// package protocol must be in package protocol_test to use it.
type Pair struct {
	*Env
	A, B *Node
	sent [2]int
}

// NewPair makes the devices alice and bob. What one sends arrives at the other at once; Do("network manual") and the
// other commands of scripts change that. No session exists yet; the first packet makes one.
func NewPair(o Options) (*Pair, error) {
	e := New(o)
	if _, err := e.Do("device alice", "device bob", "peer alice bob", "up", "network delay=0s"); err != nil {
		return nil, err
	}
	return &Pair{Env: e, A: e.Node("alice"), B: e.Node("bob")}, nil
}

// Settle delivers everything on the wire, in order, until it is empty, and runs what is due; no time passes. The error
// is a violation of what must never happen.
func (p *Pair) Settle() error {
	_, err := p.Do("settle")
	return err
}

// Advance lets time pass, with everything that falls due on the way.
func (p *Pair) Advance(d time.Duration) error {
	_, err := p.Do("advance " + d.String())
	return err
}

// Exchange sends a packet from A to B and one back and reports an error unless both arrive, now, and nothing else.
func (p *Pair) Exchange() error {
	for i, n := range []*Node{p.A, p.B} {
		to := p.B
		if n == p.B {
			to = p.A
		}
		before := len(to.Delivered)
		n.Send(n.Packet(to, fmt.Sprintf("exchange %d", p.sent[i])))
		p.sent[i]++
		if err := p.Settle(); err != nil {
			return err
		}
		if got := len(to.Delivered) - before; got != 1 {
			return fmt.Errorf("%s sent 1 packet and %s got %d", n.Name, to.Name, got)
		}
	}
	return nil
}
