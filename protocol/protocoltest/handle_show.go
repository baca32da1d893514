package protocoltest

import (
	"fmt"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
)

func (e *Env) deadline(c *command) error {
	nodes := c.nodes()
	if err := c.done(); err != nil {
		return err
	}
	for _, n := range nodes {
		at, why, ok := n.Device.Deadline()
		if !ok {
			e.log.add(n, showAlways, "", "has nothing to wait for")
			continue
		}
		e.log.add(n, showAlways, "", "must be woken at %s: %s", seconds(at), timerName(why))
	}
	return nil
}

func (e *Env) stats(c *command) error {
	n := c.node()
	if err := c.done(); err != nil {
		return err
	}
	n.timeout() // Stats has no time of its own: it answers as of the last call
	known := false
	for s := range n.Device.Peers() {
		known = true
		e.log.add(n, showAlways, "", "%s: at %s%s, received %d bytes, sent %d, %s", n.names[s.ID], place(s.Endpoint),
			sticky(s.Endpoint), s.RxBytes, s.TxBytes, statsTail(&s))
		var allowed []string
		for p := range n.Device.AllowedIPs(s.ID) {
			allowed = append(allowed, p.String())
		}
		e.log.add(n, showAlways, "", "%s: allowed %s", n.names[s.ID], strings.Join(allowed, ", "))
	}
	if !known {
		e.log.add(n, showAlways, "", "has no peers")
	}
	return nil
}

// sticky tells the local address that is preferred for sending (ROAM-08).
func sticky(e protocol.Endpoint) string {
	if !e.Local.IsValid() {
		return ""
	}
	return " from " + e.Local.String()
}

func statsTail(s *protocol.PeerStats) string {
	text := "never shook hands"
	if !s.LastHandshake.IsZero() {
		text = "last handshake " + s.LastHandshake.UTC().Format("15:04:05.000")
	}
	if s.Session {
		text += ", session"
	} else {
		text += ", no session"
	}
	if s.Staged > 0 {
		text += fmt.Sprintf(", %d packets wait", s.Staged)
	}
	if s.PersistentKeepalive > 0 {
		text += fmt.Sprintf(", keepalive %d s", s.PersistentKeepalive)
	}
	return text
}

func (e *Env) slots(c *command) error {
	n := c.node()
	if err := c.done(); err != nil {
		return err
	}
	if len(n.pairs) == 0 {
		e.log.add(n, showAlways, "", "has no key pairs")
	}
	for _, slot := range []protocol.Slot{protocol.SlotPrevious, protocol.SlotCurrent, protocol.SlotNext} {
		for _, p := range n.pairs {
			if p.slot == slot {
				e.log.add(n, showAlways, "", "%s: %v is %s/%s", n.peerName(p.peer), slot, e.label(p.local),
					e.label(p.remote))
			}
		}
	}
	return nil
}

func (e *Env) drops(c *command) error {
	n := c.node()
	if err := c.done(); err != nil {
		return err
	}
	none := true
	for i, count := range n.Device.Drops() {
		if count > 0 {
			r := protocol.DropReason(i)
			e.log.add(n, showAlways, "", "dropped %d: %v (%s)", count, r, r.Rule())
			none = false
		}
	}
	if none {
		e.log.add(n, showAlways, "", "dropped nothing")
	}
	return nil
}

func (e *Env) load(c *command) error {
	n := c.node()
	if err := c.done(); err != nil {
		return err
	}
	not := "not "
	if n.Device.UnderLoad(e.now) {
		not = ""
	}
	e.log.add(n, showAlways, "", "is %sunder load", not)
	return nil
}

func (e *Env) wireCommand(c *command) error {
	if err := c.done(); err != nil {
		return err
	}
	if len(e.wire) == 0 {
		e.log.note("nothing is in flight")
	}
	for _, d := range e.wire {
		from := d.from.String()
		if d.sender != nil {
			from = d.sender.Name
		}
		e.log.note("#%d is in flight from %s to %s since %v: %s", d.n, from, d.path(e),
			e.age(d).Truncate(time.Millisecond), d.what(e))
	}
	return nil
}

func (e *Env) hide(c *command) error {
	hidden := c.name == "hide"
	words := c.rest()
	if len(words) == 0 {
		c.fail("what?")
	}
	var kinds []show
	for _, w := range words {
		found := false
		for k := showTimers; k < numShows; k++ {
			if showNames[k] == w {
				kinds, found = append(kinds, k), true
			}
		}
		if !found {
			c.fail("%q: timers, wire, inner or events", w)
		}
	}
	if err := c.done(); err != nil {
		return err
	}
	for _, k := range kinds {
		e.log.hidden[k] = hidden
	}
	return nil
}
