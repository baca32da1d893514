package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A bench is a run of measure.
type bench struct {
	*network
	plan     plan
	progress io.Writer
	results  []result
}

// A figures is what one measurement of one implementation gives: metric name to value.
type figures map[string]float64

// measurements are the groups of --only.
var measurements = map[string]func(*bench, context.Context, implementation) (figures, error){
	"tcp1":       func(b *bench, ctx context.Context, i implementation) (figures, error) { return b.tcp(ctx, i, 1) },
	"tcp8":       func(b *bench, ctx context.Context, i implementation) (figures, error) { return b.tcp(ctx, i, 8) },
	"udp":        (*bench).udp,
	"ping":       (*bench).ping,
	"memory":     (*bench).memory,
	"handshakes": (*bench).handshakes,
	"flood":      (*bench).flood,
}

// measure carries out the plan. What it has is returned with an error too.
func measure(ctx context.Context, p plan, progress io.Writer) (results []result, s setup, err error) {
	s = setup{Started: time.Now().UTC().Truncate(time.Second), Rounds: p.rounds, Seconds: p.length.Seconds(),
		MTU: tunnelMTU, Flood: floodRate, Sources: numSources, Load: loadAverage()}
	n, err := newNetwork(ctx)
	defer func() { err = errors.Join(err, n.close()) }()
	if err != nil {
		return nil, s, err
	}
	if err := n.a.call(ctx, "Offloads", vethName, &s.Offloads); err != nil {
		return nil, s, err
	}
	b := &bench{network: n, plan: p, progress: progress}
	for round := 1; round <= p.rounds; round++ {
		for _, group := range p.groups {
			for _, i := range p.implementations {
				if err := b.one(ctx, round, group, i); err != nil {
					return b.results, s, fmt.Errorf("round %d, %s, %s: %w", round, group, i.Name, err)
				}
			}
		}
	}
	return b.results, s, nil
}

// one measures one group of one implementation, with daemons started for it alone.
func (b *bench) one(ctx context.Context, round int, group string, i implementation) error {
	f, err := measurements[group](b, ctx, i)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = errors.Join(err, b.stop(ctx)); err != nil {
		return err
	}
	line := fmt.Sprintf("round %d/%d  %-14s", round, b.plan.rounds, i.Name)
	for _, m := range metrics {
		if v, ok := f[m.Name]; ok {
			b.results = append(b.results, result{round, i.Name, m.Name, v})
			line += fmt.Sprintf("  %s %s %s", m.Name, figure(v), m.Unit)
		}
	}
	fmt.Fprintln(b.progress, line)
	return nil
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}
