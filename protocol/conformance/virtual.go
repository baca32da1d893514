package conformance

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// virtual is the world of one case in virtual time: the subject is its own and is called where the case stands.
type virtual struct {
	s    Subject
	t    *T
	out  Output
	next int
}

func (v *virtual) now() timers.Time { return v.s.Now() }

func (v *virtual) do(f func(Subject)) { f(v.s) }

func (v *virtual) await(_ *T, until timers.Time) { v.s.Advance(until) }

func (v *virtual) collect(t *T) {
	v.s.Take(&v.out)
	queue(t, &v.out)
}

// queue hands outputs to a case, which stops there if the subject died.
func queue(t *T, o *Output) {
	for i := range o.Datagrams {
		d := o.Datagrams[i]
		t.queue = append(t.queue, &Got{At: d.At, Datagram: &d})
	}
	for _, p := range o.Packets {
		b := p.Bytes
		if b == nil {
			b = []byte{} // an empty packet is a packet
		}
		t.queue = append(t.queue, &Got{At: p.At, Packet: b})
	}
	for _, p := range o.Others {
		t.queue = append(t.queue, &Got{At: p.At, Other: p.Bytes})
	}
	if o.Died != "" {
		panic(death(o.Died))
	}
}

func death(how string) *outcome {
	return &outcome{verdict: Fail, expected: "a subject that lives", actual: "it died: " + how,
		reason: "the subject died: " + how, died: true}
}

func (v *virtual) allot(n int) int {
	v.next += n
	return v.next - n
}

func (v *virtual) claim(*T, netip.AddrPort)                    {}
func (v *virtual) claimInner(*T, netip.Prefix)                 {}
func (v *virtual) pace(int)                                    {}
func (v *virtual) stalled(_, _ timers.Time) (no time.Duration) { return 0 }
func (v *virtual) alone() bool                                 { return true }
