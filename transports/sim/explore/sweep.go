package explore

import (
	"fmt"

	"github.com/purewire/purewire/transports/sim"
)

// Plan is which seeds are to be run and how.
type Plan struct {
	From, To uint64 // seeds, both included
	// Shard is which part of them, from 1 to Shards: every Shards-th seed. Zero Shards: all.
	Shard, Shards uint64
	// Failures is after how many seeds that fail no more are begun; zero: never. Which ones those are does not depend on
	// how many run at once.
	Failures int
	Options  Options
}

// Validate checks that the plan makes sense.
func (p *Plan) Validate() error {
	switch {
	case p.From > p.To:
		return fmt.Errorf("seeds %d..%d: the first is behind the last", p.From, p.To)
	case p.To-p.From >= mostSeeds:
		return fmt.Errorf("seeds %d..%d: more than %d at once; use shards and several ranges", p.From, p.To, mostSeeds)
	case p.Shards > 0 && (p.Shard < 1 || p.Shard > p.Shards):
		return fmt.Errorf("shard %d/%d: it must be from 1 to %d", p.Shard, p.Shards, p.Shards)
	}
	return nil
}

// mostSeeds keeps a summary, which has a line for each, within a few hundred megabytes.
const mostSeeds = 10_000_000

// Seeds lists the seeds of the plan's shard.
func (p *Plan) Seeds() (list []uint64) {
	for i := uint64(0); i <= p.To-p.From; i++ {
		if p.Shards < 2 || i%p.Shards == p.Shard-1 {
			list = append(list, p.From+i)
		}
	}
	return list
}

// Sweep runs the seeds of a plan, one after the other, and calls done with each outcome. It ends early, without an
// error, when enough seeds have failed. An error is a mistake of this package: a seed whose scenario cannot be run.
func Sweep(p Plan, done func(*Outcome)) error {
	if err := p.Validate(); err != nil {
		return err
	}
	c := NewCollector(&p, done)
	for i, seed := range p.Seeds() {
		if c.Over() {
			break
		}
		c.Put(i, seed, p.Options)()
	}
	return c.Err()
}

// Collector takes the outcomes of a plan in any order, as they come from several processors, and shows them in the
// order of the seeds. It belongs to one goroutine.
type Collector struct {
	plan     *Plan
	done     func(*Outcome)
	early    map[int]result
	next     int
	failures int
	err      error
}

type result struct {
	out *Outcome
	err error
}

// NewCollector makes one that calls done with each outcome.
func NewCollector(p *Plan, done func(*Outcome)) *Collector {
	return &Collector{plan: p, done: done, early: map[int]result{}}
}

// Over reports whether no more outcomes are wanted: enough seeds have failed, or one could not be run.
func (c *Collector) Over() bool {
	return c.err != nil || c.plan.Failures > 0 && c.failures >= c.plan.Failures
}

// Err says why a seed could not be run.
func (c *Collector) Err() error { return c.err }

// Put runs seed number i of the plan's list and gives what hands its outcome to the collector. The running may happen
// anywhere; what it gives must be called where the collector is.
func (c *Collector) Put(i int, seed uint64, o Options) (deliver func()) {
	out, err := Seed(seed, o)
	return func() {
		c.early[i] = result{out, err}
		for r, ok := c.early[c.next]; ok && !c.Over(); r, ok = c.early[c.next] {
			delete(c.early, c.next)
			c.next++
			if c.err = r.err; r.err != nil {
				return
			}
			c.done(r.out)
			if r.out.Failed() {
				c.failures++
			}
		}
	}
}

// Seed runs one seed. If there is something to spoil with, half of the seeds have it in all hosts, the others in some.
func Seed(seed uint64, o Options) (*Outcome, error) {
	f := Draw(seed)
	if o.Spoil != nil && o.Spoiled == nil {
		if r := sim.NewRand(seed, "spoiled"); r.Intn(2) == 0 {
			first := r.Intn(len(f.Hosts))
			for i := range f.Hosts {
				if i == first || r.Intn(2) == 0 {
					o.Spoiled = append(o.Spoiled, f.Hosts[i].Name)
				}
			}
		}
	}
	return Run(f, o)
}
