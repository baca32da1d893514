package sim

import (
	"errors"
	"io"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// hampering is what a host lacks for a while to shake hands.
type hampering struct {
	on    bool
	gen   uint32      // numbers the times, so that an end that is overtaken does nothing
	since bool        // there was one
	ended timers.Time // when it last ended
}

// The things that a host can lack: the numbers of node.lacks.
const (
	lacksKey     = iota // its interface has no private key
	lacksToken          // what holds its private key does not answer
	lacksEntropy        // its random source fails
	numLacks
)

// lackOf gives what an action takes away, the kind of trouble that it is, and what is said of it.
func lackOf(k ActionKind) (what int, kind FaultKind, gone, back string) {
	switch k {
	case ActionNoKey:
		return lacksKey, FaultNoKey, "has its private key taken away", "gets its private key back"
	case ActionToken:
		return lacksToken, FaultToken, "has what holds its private key pulled out", "has what holds its private key again"
	}
	return lacksEntropy, FaultNoEntropy, "runs out of entropy", "has entropy again"
}

// hamper takes something away from a host, for a while or, if For is zero, until it boots or all trouble ends.
func (n *node) hamper(a *Action) {
	what, kind, gone, _ := lackOf(a.Kind)
	if !n.awake() {
		n.note(a.Kind, "", "cannot be hampered: it does not run")
		return
	}
	l := &n.lacks[what]
	l.gen++
	l.on, l.since = true, true
	n.note(a.Kind, "", gone)
	if kind == FaultNoKey {
		n.s.took(kind) // the others when they are felt
		n.configure(protocol.Change{Op: protocol.OpIdentity})
	}
	if a.For > 0 {
		n.s.later(a.For, event{kind: evMend, who: int32(n.index), gen: l.gen<<4 | uint32(a.Kind-ActionNoKey)})
	}
}

// mend comes up when a hampering is over.
func (n *node) mend(gen uint32) {
	k := ActionNoKey + ActionKind(gen&15)
	what, _, _, back := lackOf(k)
	l := &n.lacks[what]
	if !l.on || l.gen&(1<<28-1) != gen>>4 {
		return
	}
	if n.asleep {
		n.s.later(time.Second, event{kind: evMend, who: int32(n.index), gen: gen})
		return
	}
	n.restore(k, what, back)
}

func (n *node) restore(k ActionKind, what int, back string) {
	n.lacks[what].on, n.lacks[what].ended = false, n.s.now
	n.note(k, "", back)
	if k == ActionNoKey && n.running {
		n.configure(protocol.Change{Op: protocol.OpIdentity, Identity: n.identity()})
	}
}

// mendAll ends whatever a host lacks.
func (n *node) mendAll() {
	for _, k := range [...]ActionKind{ActionNoKey, ActionToken, ActionNoEntropy} {
		if what, _, _, back := lackOf(k); n.lacks[what].on {
			n.restore(k, what, back)
		}
	}
}

// hampered reports whether a host lacks something or has far too much to do, or did a moment ago: then it cannot be
// expected to shake hands.
func (n *node) hampered() bool {
	if n.strained > 0 && n.s.now.Sub(n.strained) < 2*rekeySlack {
		return true
	}
	for i := range n.lacks {
		if l := &n.lacks[i]; l.on || l.since && n.s.now.Sub(l.ended) < 2*rekeySlack {
			return true
		}
	}
	return false
}

// token is a private key that may be pulled out.
type token struct {
	protocol.PrivateKeyHolder
	n *node
}

var errToken = errors.New("sim: the token does not answer")

func (t token) DH(point [protocol.KeySize]byte) ([protocol.KeySize]byte, error) {
	if t.n.lacks[lacksToken].on {
		t.n.s.took(FaultToken)
		return [protocol.KeySize]byte{}, errToken
	}
	return t.PrivateKeyHolder.DH(point)
}

// identity is the private key of the host as its core gets it.
func (n *node) identity() protocol.Identity { return token{protocol.NewIdentity(n.private), n} }

// source is a random stream that may dry up.
type source struct {
	io.Reader
	n *node
}

var errDry = errors.New("sim: there is no entropy")

func (s source) Read(p []byte) (int, error) {
	if s.n.lacks[lacksEntropy].on {
		s.n.s.took(FaultNoEntropy)
		return 0, errDry
	}
	return s.Reader.Read(p)
}

// nonsense gives the tunnel something that is no IP packet, as a broken application with a raw socket may (ROUTE-10).
func (n *node) nonsense(a *Action) {
	if !n.awake() {
		n.note(a.Kind, "", "sends no nonsense: it does not run")
		return
	}
	n.s.took(FaultNonsense)
	n.note(a.Kind, "", "puts nonsense into its tunnel")
	p := n.buffer(ip4Header + upperHeader)
	w := p.window()
	clear(w.Bytes())
	n.batch.Reset()
	n.one = append(n.one[:0], w)
	n.dev.HandlePackets(n.now(), n.one, &n.batch)
	n.settle(nil)
	n.spare = append(n.spare, p.buf)
}
