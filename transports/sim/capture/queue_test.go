package capture

import (
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// told runs records through the queue and gives for each datagram that comes out its first byte and its comments.
func told(records ...sim.Record) (out []string) {
	var q queue
	q.init(func(e *entry) {
		if e.keyLog != nil {
			out = append(out, "keys "+string(e.keyLog))
			return
		}
		out = append(out, strings.Join(append([]string{string(e.data[:1])}, e.comments()...), "; "))
	})
	for i := range records {
		q.observe(&records[i])
	}
	q.flush()
	return out
}

func sent(n uint64, data string) sim.Record {
	return sim.Record{Kind: sim.KindDatagram, Datagram: n, Data: []byte(data), Src: home, Dst: office}
}

func fateOf(n uint64, f sim.Fate) sim.Record {
	return sim.Record{Kind: sim.KindFate, Datagram: n, Fate: f, To: "office"}
}

func TestQueueKeepsTheOrderOfSending(t *testing.T) {
	keys := sim.Record{Kind: sim.KindKeyLog, KeyLog: []byte("k")}
	got := told(sent(1, "a"), keys, sent(2, "b"), sent(3, "c"),
		fateOf(3, sim.FateDelivered), fateOf(2, sim.FateDelivered), fateOf(1, sim.FateDelivered))
	if want := []string{"a", "keys k", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQueueTellsEveryFate(t *testing.T) {
	by := func(rule string, r sim.Record) sim.Record {
		r.Rule = rule
		return r
	}
	refused := fateOf(1, sim.FateRejected)
	refused.Reason = protocol.DropReplayed
	for _, c := range []struct {
		fate sim.Record
		want string
	}{
		{fateOf(1, sim.FateDelivered), "a"},
		{refused, "a; rejected by office: replayed (REPLAY-01)"},
		{by("cafe up: loss", fateOf(1, sim.FateLost)), "a; lost: cafe up: loss"},
		{by("cafe nat: no mapping", fateOf(1, sim.FateFiltered)), "a; filtered: cafe nat: no mapping"},
		{fateOf(1, sim.FateNoAddress), "a; not delivered: nobody is at the destination"},
		{fateOf(1, sim.FateAsleep), "a; not delivered: office sleeps"},
		{fateOf(1, sim.FateDown), "a; not delivered: office does not run"},
		{sim.Record{}, "a; still on its way when the run ended"},
	} {
		if got := told(sent(1, "a"), c.fate); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: got %q, want %q", c.fate.Fate, got, c.want)
		}
	}
	if got := told(sent(1, "a"), fateOf(1, sim.FateUnsent)); got != nil {
		t.Errorf("what never was on a wire is in the capture: %q", got)
	}
}

func TestQueueShowsDamageAndForgery(t *testing.T) {
	hit := fateOf(1, sim.FateRejected)
	hit.Damaged, hit.Data, hit.Reason = true, []byte("aC"), protocol.DropTag // 'b' and 'C' differ in bits 0 and 5
	want := "a; damaged on the way (shown as sent): flipped bit 0 of byte 1, bit 5 of byte 1; " +
		"rejected by office: tag (REPLAY-02)"
	if got := told(sent(1, "ab"), hit); got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
	forged := sent(1, "a")
	forged.Attack, forged.Host = sim.AttackJunk, "mallory"
	if got := told(forged, fateOf(1, sim.FateDelivered)); got[0] != "a; forged: junk, by mallory" {
		t.Errorf("got %q", got[0])
	}
}

// Copies are decided later than their original, and may themselves be copied after it was.
func TestQueueWaitsForCopies(t *testing.T) {
	copied := func(n, of uint64) sim.Record {
		r := sent(n, "a")
		r.Original = of
		return r
	}
	lost := fateOf(3, sim.FateLost)
	lost.Rule = "home down: loss"
	got := told(sent(1, "a"), copied(2, 1), fateOf(1, sim.FateDelivered), sent(4, "d"), copied(3, 1),
		fateOf(4, sim.FateDelivered), lost, fateOf(2, sim.FateDelivered))
	want := []string{"a; copied on the way, the copy: accepted by office; " +
		"copied on the way, the copy: lost: home down: loss", "d"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
