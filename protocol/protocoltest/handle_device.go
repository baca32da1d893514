package protocoltest

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// defaultMTU is what wg-quick gives an interface on an ordinary path.
const defaultMTU = 1420

func (e *Env) device(c *command) error {
	name := c.word("a name")
	config := protocol.Config{MTU: c.number("mtu", defaultMTU), Trace: protocol.TraceAll}
	seed := c.number("seed", 1)
	key := c.keyNumber(1)
	for _, l := range []struct {
		key   string
		field *int
	}{
		{"peers", &config.Limits.Peers},
		{"staged", &config.Limits.StagedPackets},
		{"staged-bytes", &config.Limits.StagedBytes},
		{"jobs", &config.Limits.Jobs},
		{"handshakes", &config.Limits.HandshakesPerSecond},
		{"cookies", &config.Limits.CookiesPerSecond},
		{"cookies-per-source", &config.Limits.CookiesPerSource},
	} {
		*l.field = c.number(l.key, 0)
	}
	addr := c.addrPort("addr", netip.AddrPort{})
	wall := c.duration(c.str("wall", "0s"))
	switch t := c.str("trace", "all"); t {
	case "all":
	case "none":
		config.Trace = 0
	default:
		c.fail("trace=%s: all or none", t)
	}
	if e.Node(name) != nil {
		c.fail("there is a device %q already", name)
	}
	if err := c.done(); err != nil {
		return err
	}
	if key > 0 {
		config.Identity = Identity(name, key)
	}
	n, err := newNode(e, name, config, uint64(seed))
	if err != nil {
		return fmt.Errorf("%s: %w", c.at, err)
	}
	n.key = key
	if addr.IsValid() {
		n.Addr = addr
	}
	if wall != 0 {
		n.setWall(wall)
	}
	return nil
}

// keyNumber reads key=N or key=none, which is 0.
func (c *command) keyNumber(fallback int) int {
	v, ok := c.look("key")
	switch {
	case !ok:
		return fallback
	case v == "none":
		return 0
	}
	i, err := strconv.Atoi(v)
	if err != nil || i < 1 || i > maxKeys {
		c.fail("key=%s: a number from 1 to %d, or none", v, maxKeys)
	}
	return i
}

func (e *Env) upDown(c *command) error {
	up := c.name == "up"
	nodes := c.nodes()
	if err := c.done(); err != nil {
		return err
	}
	for _, n := range nodes {
		n.isUp = up
		n.Handle(func(now timers.Time, b *protocol.Batch) {
			if up {
				n.Device.Up(now, b)
			} else {
				n.Device.Down(now, b)
			}
		})
	}
	return nil
}

// lockedIdentity knows its public key but never does its Diffie-Hellman.
type lockedIdentity struct{ public protocol.PublicKey }

var errLocked = errors.New("protocoltest: the key's owner refuses")

func (l lockedIdentity) PublicKey() protocol.PublicKey { return l.public }

func (l lockedIdentity) DH([protocol.KeySize]byte) (s [protocol.KeySize]byte, err error) {
	return s, errLocked
}

func (e *Env) identity(c *command) error {
	n := c.node()
	key := c.keyNumber(-1)
	works := c.flag("works", true)
	if key < 0 {
		c.fail("key is missing")
	}
	if err := c.done(); err != nil {
		return err
	}
	var id protocol.Identity
	switch {
	case key > 0 && works:
		id = Identity(n.Name, key)
	case key > 0:
		id = lockedIdentity{public: Identity(n.Name, key).PublicKey()}
	}
	n.key = key
	n.config.Identity = id
	n.configure(protocol.Change{Op: protocol.OpIdentity, Identity: id})
	return nil
}

func (e *Env) mtu(c *command) error {
	n := c.node()
	mtu, err := strconv.Atoi(c.word("a number of bytes"))
	if err != nil {
		c.fail("no number of bytes")
	}
	if err := c.done(); err != nil {
		return err
	}
	n.configure(protocol.Change{Op: protocol.OpMTU, MTU: mtu})
	return nil
}

func (e *Env) restart(c *command) error {
	n := c.node()
	if err := c.done(); err != nil {
		return err
	}
	history, up := n.history, n.isUp
	n.history = nil
	e.log.add(n, showAlways, "", "restarts and remembers nothing")
	if err := n.start(); err != nil {
		return fmt.Errorf("%s: %w", c.at, err)
	}
	for _, change := range history {
		n.configure(change)
	}
	if up {
		n.isUp = true
		n.Handle(func(now timers.Time, b *protocol.Batch) { n.Device.Up(now, b) })
	}
	return nil
}

func (e *Env) wallClock(c *command) error {
	n := c.node()
	by := c.duration(c.word("a duration"))
	if err := c.done(); err != nil {
		return err
	}
	n.setWall(by)
	return nil
}

// setWall moves the wall clock and tells the device, as whoever owns the clock has to.
func (n *Node) setWall(by time.Duration) {
	n.wallStep += by
	n.Device.SetWallClock(n.env.now, n.wall())
	n.env.log.add(n, showAlways, "", "has its wall clock at %s", n.wall().Format("2006-01-02 15:04:05.000"))
}

func (e *Env) entropyState(c *command) error {
	n := c.node()
	state := c.word("fails or works")
	if state != "fails" && state != "works" {
		c.fail("%q: fails or works", state)
	}
	if err := c.done(); err != nil {
		return err
	}
	n.Entropy.Failing = state == "fails"
	return nil
}

func (e *Env) move(c *command) error {
	n := c.node()
	text := c.word("an address")
	to, err := netip.ParseAddrPort(text)
	if err != nil {
		c.fail("%q is no address with port", text)
	}
	told := true
	if rest := c.rest(); len(rest) > 0 {
		told = false
		if len(rest) > 1 || rest[0] != "untold" {
			c.fail("what is %q?", rest[0])
		}
	}
	if err := c.done(); err != nil {
		return err
	}
	old := n.Addr
	n.Addr = to
	e.log.add(n, showAlways, "", "is at %v now, no longer at %v", to, old)
	if told && old.Addr() != to.Addr() { // as the socket's owner does for an address that is gone (ROAM-09)
		n.Device.ForgetSources(e.now, old.Addr())
	}
	return nil
}

func (e *Env) forget(c *command) error {
	n := c.node()
	var local netip.Addr
	if rest := c.rest(); len(rest) > 0 {
		var err error
		if local, err = netip.ParseAddr(rest[0]); err != nil {
			c.fail("%q is no address", rest[0])
		}
	}
	if err := c.done(); err != nil {
		return err
	}
	n.Device.ForgetSources(e.now, local)
	return nil
}
