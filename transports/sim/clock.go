package sim

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// clock is a host's monotonic clock, which runs during sleep (LIFE-06): local at the moment base of the run, and from
// there on too fast by ppm millionths.
type clock struct {
	ppm         int64
	base, local timers.Time
	highest     timers.Time // that the core was given: it takes no time back
	sync        uint32      // numbers the boots, for the wall clock that is set after one
	unsure      bool        // the wall clock was moved in this life
}

const million = 1_000_000

// at is what the clock shows at a moment of the run.
func (c *clock) at(t timers.Time) timers.Time {
	d := int64(t - c.base)
	return c.local + timers.Time(d+d/million*c.ppm+d%million*c.ppm/million)
}

// when is the first moment of the run, from now on, at which the clock shows local or more.
func (c *clock) when(now, local timers.Time) timers.Time {
	if c.ppm == 0 {
		return max(now, c.base+local-c.local)
	}
	if local <= c.at(now) {
		return now
	}
	hi, lo := bits.Mul64(uint64(local-c.local), million)
	q, _ := bits.Div64(hi, lo, uint64(million+c.ppm))
	t := c.base + timers.Time(q)
	for c.at(t) < local {
		t++
	}
	for t > now && c.at(t-1) >= local {
		t--
	}
	return max(t, now)
}

// step moves the clock.
func (c *clock) step(now timers.Time, by time.Duration) {
	c.local, c.base = c.at(now).Add(by), now
}

// now is the time that the core is given.
func (n *node) now() timers.Time {
	t := n.clock.at(n.s.now)
	if n.clock.ppm != 0 {
		n.s.took(FaultDrift)
	}
	n.clock.highest = max(n.clock.highest, t)
	return t
}

// felt is the present time as the core has it: it does not go back.
func (n *node) felt() timers.Time { return max(n.clock.highest, n.clock.at(n.s.now)) }

// wallClock is what the host's wall clock shows: it goes as the monotonic one does.
func (n *node) wallClock() time.Time {
	return n.s.sc.Wall.Add(time.Duration(n.clock.at(n.s.now)) + n.wall)
}

// bootClock sets the wall clock as it is after a boot.
func (n *node) bootClock() {
	n.clock.sync++
	n.clock.highest = 0 // another core
	n.clock.unsure = n.wall != 0 || n.clock.at(n.s.now) != n.s.now
	if !n.cfg.NoRTC {
		return
	}
	n.s.took(FaultNoRTC)
	n.clock.unsure = true
	n.wall -= n.wallClock().Sub(time.Unix(0, 0))
	if n.cfg.TimeSync > 0 {
		n.s.later(n.cfg.TimeSync, event{kind: evSync, who: int32(n.index), gen: n.clock.sync})
	}
}

// synced comes up when a host without a clock of its own has learnt the time.
func (n *node) synced(boot uint32) {
	if boot != n.clock.sync || !n.running {
		return
	}
	right := n.s.sc.Wall.Add(time.Duration(n.s.now))
	n.wall += right.Sub(n.wallClock())
	n.note(ActionWallClock, "", "learns that it is "+right.UTC().Format(time.DateTime))
	n.dev.SetWallClock(n.now(), n.wallClock())
}

// stepClock moves the monotonic clock and with it the wall clock.
func (n *node) stepClock(a *Action) {
	n.s.took(FaultClockStep)
	n.clock.step(n.s.now, a.For)
	n.clock.unsure = true
	n.note(ActionClockStep, "", "finds its clocks moved by "+seconds(a.For))
	n.wakeAt, n.wakeGen = timers.Never, n.wakeGen+1
	if n.awake() {
		n.runTimers()
	}
}

// deadline is when the core wants to be called, as a moment of the run.
func (n *node) deadline() (timers.Time, timers.Kind, bool) {
	if !n.awake() {
		return timers.Never, timers.None, false
	}
	at, why, ok := n.dev.Deadline()
	if !ok {
		return at, why, ok
	}
	return n.clock.when(n.s.now, at), why, ok
}

// config is what a core of the node is made of.
func (n *node) config(limits protocol.Limits) protocol.Config {
	return protocol.Config{
		Identity: n.identity(),
		Entropy:  source{n.s.stream(fmt.Sprintf("host/%s/%d", n.cfg.Name, n.life)), n},
		Start:    n.now(), Wall: n.wallClock(), MTU: n.mtu(), Limits: limits,
		Trace: baseTrace | n.s.o.Trace,
	}
}
