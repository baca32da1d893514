package main

import (
	"context"
	"sync"

	"github.com/purewire/purewire/transports/sim/explore"
)

// sweep runs the seeds of a plan, several at once, and calls done with each outcome in the order of the seeds. It ends
// early, without an error, when ctx is done or enough seeds have failed.
func sweep(ctx context.Context, p explore.Plan, jobs int, done func(*explore.Outcome)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seeds, c := p.Seeds(), explore.NewCollector(&p, done)
	work, results := make(chan int), make(chan func())
	var workers sync.WaitGroup
	for range min(jobs, len(seeds)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range work {
				results <- c.Put(i, seeds[i], p.Options)
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
	for deliver := range results {
		deliver()
		if c.Over() {
			stop()
		}
	}
	return c.Err()
}
