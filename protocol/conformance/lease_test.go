package conformance

import (
	"context"
	"testing"
)

// A case that waits for peers when the run is ended is one that the run did not get to, not one that cannot be.
func TestEndedWhileWaitingForPeers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRealRunner(nil, Capabilities{Given: &Given{Peers: make([]PeerOffer, 3)}}, Options{})
	r.ctx = ctx
	if l := r.keys.lease(t.Context()); len(l) != usualPeers {
		t.Fatalf("%d peers to begin with", len(l))
	}
	c := Case{ID: "t/waits"}
	if res, died := r.attempt(1, &T{Case: c}, nil); res.Verdict != NotRun || res.Reason != notBegun(c).Reason || died {
		t.Errorf("%s (%s), died: %t", res.Verdict, res.Reason, died)
	}
}
