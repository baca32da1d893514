package explore

import (
	"context"
	"fmt"
	"sync"

	"github.com/purewire/purewire/transports/sim"
)

// Plan is which seeds are to be run and how.
type Plan struct {
	From, To uint64 // seeds, both included
	// Shard is which part of them, from 1 to Shards: every Shards-th seed. Zero Shards: all.
	Shard, Shards uint64
	Jobs          int // how many run at once; at least 1
	// Failures is after how many seeds that fail no more are begun; zero: never. Which ones those are does not depend on
	// Jobs.
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
	case p.Jobs < 1:
		return fmt.Errorf("%d jobs: at least one is needed", p.Jobs)
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

// Sweep runs the seeds of a plan and calls done with each outcome, in the order of the seeds, one at a time. It ends
// early, without an error, when ctx is done or enough seeds have failed. An error is a mistake of this package: a seed
// whose scenario cannot be run.
func Sweep(ctx context.Context, p Plan, done func(*Outcome)) error {
	if err := p.Validate(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seeds := p.Seeds()
	type numbered struct {
		i   int
		out *Outcome
		err error
	}
	work, results := make(chan int), make(chan numbered)
	var workers sync.WaitGroup
	for range min(p.Jobs, len(seeds)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range work {
				out, err := Seed(seeds[i], p.Options)
				results <- numbered{i, out, err}
			}
		}()
	}
	go func() {
		for i := 0; i < len(seeds) && ctx.Err() == nil; i++ {
			work <- i
		}
		close(work)
		workers.Wait()
		close(results)
	}()
	// Outcomes come in any order; those that are early wait.
	early := map[int]numbered{}
	next, failures := 0, 0
	var failed error
	for r := range results {
		early[r.i] = r
		for n, ok := early[next]; ok && failed == nil && (p.Failures == 0 || failures < p.Failures); n, ok = early[next] {
			delete(early, next)
			next++
			if n.err != nil {
				failed = n.err
				stop()
				continue
			}
			done(n.out)
			if n.out.Failed() {
				if failures++; failures == p.Failures {
					stop()
				}
			}
		}
	}
	return failed
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
