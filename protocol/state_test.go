package protocol_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// steps are what happens to a pair before and after it is copied.
var steps = []string{"tun alice bob", "tun bob alice count=3", "settle", "advance 3s", "advance 121s", "advance 10m",
	"cut alice->bob", "mend alice->bob", "update alice bob keepalive=25", "update alice bob keepalive=0",
	"down bob", "up bob",
	"wall alice -1h", "restart bob", "move bob 192.0.2.77:1"}

// play does the rest of a life to a device alone: what it does is what the batches say.
func play(t *rapid.T, d *protocol.Device, start timers.Time, seed uint64, inputs [][]byte) (history []byte) {
	var b protocol.Batch
	var w protocol.Worker
	now := start
	choose := rand.New(rand.NewPCG(seed, 1))
	for range 40 {
		b.Reset()
		switch choose.IntN(4) {
		case 0:
			d.HandlePackets(now, []protocol.Packet{protocoltest.Window(inputs[0])}, &b)
		case 1:
			msg := slices.Clone(inputs[1+choose.IntN(len(inputs)-1)])
			d.HandleDatagrams(now, []protocol.Datagram{{Packet: protocol.Packet{Buf: msg, Len: len(msg)}}}, &b)
		default:
			now = now.Add(time.Duration(choose.IntN(9)) * time.Second)
			d.HandleTimeout(now, &b)
		}
		protocol.Finish(now, d, &b, &w)
		for dg := range b.Outgoing() {
			history = append(append(history, dg.Bytes()...), dg.TOS)
		}
		for _, v := range b.Deliveries {
			history = append(history, v.Bytes()...)
		}
	}
	return d.AppendState(history)
}

// A copy does what the original would have done, byte for byte, and nothing done to it is seen in the original. Two
// copies with the same state text, moreover, go on alike: that is what the text is for.
func TestCloneLivesTheSameLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire [][]byte
		pair, err := protocoltest.NewPair(protocoltest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range rapid.SliceOfN(rapid.SampledFrom(steps), 0, 12).Draw(t, "steps") {
			if _, err := pair.Do(s); err != nil {
				t.Fatal(err)
			}
		}
		d, seed := pair.A.Device, rapid.Uint64().Draw(t, "seed")
		entropy := func() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(seed)}) }
		wire = append(wire, pair.A.Packet(pair.B, "after"), make([]byte, 32), append([]byte{4, 0, 0, 0}, make([]byte, 60)...))
		before := d.AppendState(nil)
		one, two := d.Clone(entropy()), d.Clone(entropy())
		if got := one.AppendState(nil); !bytes.Equal(got, before) {
			t.Fatalf("a copy has another state:\n%s\nwant\n%s", got, before)
		}
		if a, b := play(t, one, pair.Now(), seed, wire), play(t, two, pair.Now(), seed, wire); !bytes.Equal(a, b) {
			t.Fatalf("two copies lived differently:\n%q\n%q", a, b)
		}
		if got := d.AppendState(nil); !bytes.Equal(got, before) {
			t.Fatalf("what was done to a copy is seen in the original:\n%s\nwas\n%s", got, before)
		}
	})
}

// The state text does not depend on when or with which keys and indices something happened.
func TestStateIsCanonical(t *testing.T) {
	life := func(wait string) string {
		pair, err := protocoltest.NewPair(protocoltest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Do("advance " + wait); err != nil {
			t.Fatal(err)
		}
		if err := pair.Exchange(); err != nil {
			t.Fatal(err)
		}
		return string(pair.B.Device.AppendState(nil))
	}
	early, late := life("1h"), life("300h")
	if early == "" {
		t.Fatal("no state")
	}
	if early != late {
		t.Errorf("one life at two times:\n%s\n%s", early, late)
	}
}
