package conformance

import (
	"context"
)

// realRunner runs cases side by side on subjects in real time.
type realRunner struct {
	f    Factory
	caps Capabilities
	o    Options
}

func newRealRunner(f Factory, caps Capabilities, o Options) *realRunner {
	return &realRunner{f: f, caps: caps, o: o}
}

func (r *realRunner) run(ctx context.Context, cases []Case, out chan<- Result) {
}
