package explore

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/scenario"
)

const (
	second = scenario.Duration(time.Second)
	ms     = scenario.Duration(time.Millisecond)
	minute = 60 * second
)

// calm is how long a run goes on after all trouble has ended: longer than every bound on a recovery, the longest being
// that of a persistent keepalive after a key that is useless (docs/RECOVERY-BOUND.md).
const calm = 5 * minute

// drawer makes the scenario of one seed. What it draws depends on nothing but the seed.
type drawer struct {
	r     *sim.Rand
	f     *scenario.File
	heal  scenario.Duration
	pairs []link // peers, each pair once
	named int    // numbers what needs a name
}

// link is a pair of hosts that are peers, by their places in the file.
type link struct{ a, b int }

// Draw makes the scenario of a seed: swarm testing, where each seed has a few kinds of trouble out of many, so that
// none hides behind all the others.
func Draw(seed uint64) *scenario.File {
	d := &drawer{r: sim.NewRand(seed, "explore"), f: &scenario.File{Version: scenario.Version, Seed: seed,
		Name: fmt.Sprintf("explore-%d", seed)}}
	d.f.Duration = 9*minute + calm/4*scenario.Duration(d.r.Intn(13))
	d.f.Heal = d.f.Duration - calm
	d.heal = d.f.Heal
	d.topology()
	d.traffic()
	if d.percent(25) {
		d.crossing()
	}
	for _, i := range d.some(len(ingredients), 4+d.r.Intn(8)) {
		ingredients[i].add(d)
	}
	if d.percent(8) {
		d.receiving()
	}
	return d.f
}

// some draws k different numbers below n, in a random order.
func (d *drawer) some(n, k int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	for i := range min(k, n) {
		j := i + d.r.Intn(n-i)
		list[i], list[j] = list[j], list[i]
	}
	return list[:min(k, n)]
}

// in draws from low to high, both included.
func (d *drawer) in(low, high int) int { return low + d.r.Intn(high-low+1) }

// percent is true so many times in a hundred.
func (d *drawer) percent(n int) bool { return d.r.Intn(100) < n }

// share draws a share of low to high percent.
func (d *drawer) share(low, high int) scenario.Ratio {
	return scenario.Ratio(sim.Percent(uint32(d.in(low, high))))
}

// span draws a time from low to high in whole tenths of seconds, so that files are easy to read.
func (d *drawer) span(low, high scenario.Duration) scenario.Duration {
	return low + 100*ms*scenario.Duration(d.r.Intn(int((high-low)/(100*ms))+1))
}

// moment draws when trouble begins that lasts for so long: it is over before all trouble ends.
func (d *drawer) moment(lasts scenario.Duration) scenario.Duration {
	return d.span(2*second, max(2*second, d.heal-lasts-second))
}

func oneOf[T any](d *drawer, list ...T) T { return list[d.r.Intn(len(list))] }

// label makes a name that nothing else has.
func (d *drawer) label(word string) string {
	d.named++
	return fmt.Sprintf("%s-%d", word, d.named)
}

func (d *drawer) host() *scenario.Host { return &d.f.Hosts[d.r.Intn(len(d.f.Hosts))] }

// tunnel draws one direction between two hosts that are peers.
func (d *drawer) tunnel() (a, b *scenario.Host) {
	p := d.pairs[d.r.Intn(len(d.pairs))]
	if d.percent(50) {
		p.a, p.b = p.b, p.a
	}
	return &d.f.Hosts[p.a], &d.f.Hosts[p.b]
}

func (d *drawer) network(name string) *scenario.Network {
	for i := range d.f.Networks {
		if d.f.Networks[i].Name == name {
			return &d.f.Networks[i]
		}
	}
	panic("explore: there is no network " + name)
}

// open reports whether a host has an address of its own on the Internet at the start.
func (d *drawer) open(h *scenario.Host) bool {
	n := d.network(h.Network)
	return n.NAT == "" && n.Firewall == nil
}

func peerOf(h *scenario.Host, name string) *scenario.Peer {
	for i := range h.Peers {
		if h.Peers[i].Host == name {
			return &h.Peers[i]
		}
	}
	return nil
}
