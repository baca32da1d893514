package conformance

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Run runs cases on a target and yields the result of each as soon as it is there. It prints nothing. When ctx ends,
// or the loop over the results does, the cases that run are ended and every subject is closed before Run returns. If it
// was ctx that ended, cases without a verdict have the result NotRun: each case has exactly one result.
//
// In virtual time each case has a subject of its own, so that its result depends on it and the seed alone. In real
// time cases share subjects as their Isolation allows (see Plan), and what fails or cannot be judged is repeated:
// design §7 and the package documentation say how.
func Run(ctx context.Context, f Factory, o Options) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		caps := f.Capabilities()
		results := make(chan Result)
		begin := time.Now()
		var work []Case
		var idle []Result
		for _, c := range o.Selected(caps) {
			if why := lacking(c, caps); why != "" {
				idle = append(idle, unsupported(c, why))
				continue
			}
			work = append(work, c)
		}
		var runner interface {
			run(ctx context.Context, cases []Case, out chan<- Result)
		}
		if caps.Virtual {
			runner = &virtualRunner{f: f, caps: caps, o: o}
		} else {
			runner = newRealRunner(f, caps, o)
		}
		go func() {
			defer close(results)
			runner.run(ctx, work, results)
		}()
		open := true
		give := func(r Result) {
			if r.Verdict == Pass && !o.Traces {
				r.Trace, r.Secrets = nil, nil
			}
			r.Start = time.Since(begin) - r.Took
			if open && !yield(r) {
				open = false
				cancel()
			}
		}
		for _, r := range idle {
			give(r)
		}
		for r := range results { // to the end, so that nothing is left behind
			give(r)
		}
	}
}

// lacking says what a target has not that a case needs.
func lacking(c Case, caps Capabilities) string {
	needs := c.Needs
	if g := caps.Given; g != nil && c.Device {
		needs &^= NeedConfigure
		if g.echoes() || g.Sends {
			needs &^= NeedInner
		}
	}
	var why []string
	for _, rule := range c.Rules { // one is enough: what decides the case is about all of them
		if beyond := caps.Layer.Beyond(rule); beyond != "" {
			why = append(why, rule+" is none of a library's: "+beyond)
			break
		}
	}
	for n := Need(1); n <= NeedErrors; n <<= 1 {
		if needs&n == 0 || caps.Has&n != 0 {
			continue
		}
		if reason := caps.Lacks[n]; reason != "" {
			why = append(why, reason)
		} else {
			why = append(why, "the target has no "+n.String())
		}
	}
	return strings.Join(why, "; ")
}

// needNames names the bits of Need in order.
var needNames = []string{"inner side", "configuration", "interface configuration", "restart", "state",
	"configuration socket", "wall clock", "virtual time", "load", "outer TOS", "outer headers", "IPv6", "host stack",
	"several source addresses"}

// String names what is needed.
func (n Need) String() string {
	var s []string
	for i, name := range needNames {
		if n&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, ", ")
}

func unsupported(c Case, why string) Result {
	return Result{Case: c.ID, Rules: c.Rules, Level: c.Level, Title: c.Title, Verdict: Unsupported, Reason: why}
}

// virtualRunner gives every case a subject of its own.
type virtualRunner struct {
	f    Factory
	caps Capabilities
	o    Options
}

func (v *virtualRunner) run(ctx context.Context, cases []Case, out chan<- Result) {
	todo := make(chan Case)
	var workers sync.WaitGroup
	for range max(1, v.o.Jobs) {
		workers.Go(func() {
			for c := range todo {
				out <- v.one(ctx, c)
			}
		})
	}
	// The longest first, so that none is left for the end.
	cases = slices.Clone(cases)
	slices.SortStableFunc(cases, func(a, b Case) int { return int((b.Lasts - a.Lasts) / time.Second) })
	for _, c := range cases {
		todo <- c
	}
	close(todo)
	workers.Wait()
}

func (v *virtualRunner) one(ctx context.Context, c Case) Result {
	if ctx.Err() != nil {
		return notBegun(c)
	}
	v.o.begins(c, 1)
	seed := caseSeed(v.o.Seed, c.ID)
	setup := newSetup(c.ID, seed, virtualWall)
	t := newT(c, setup, v.caps, 1, seed)
	if c.Setup != nil {
		c.Setup(&setup)
		t = newT(c, setup, v.caps, 1, seed)
	}
	s, err := v.f.New(setup)
	if err != nil {
		return cut(ctx, notStarted(c, err))
	}
	defer s.Close()
	if t.keys = newKeyPool(v.caps.Given); t.keys != nil {
		t.leased = t.keys.lease(context.Background())
	}
	r, _ := attempt(t, &virtual{s: s, t: t})
	r.Seed = v.o.Seed
	return cut(ctx, r)
}
