package realtime

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// drain reads the tap until it is empty.
func (s *Subject) drain() {
	var low, high int64
	known := false
	begun := boottime()
	for {
		v, ok := s.tap.next()
		if !ok {
			break
		}
		if !known {
			low, high = s.heart.around(s.drained)
			known = true
		}
		s.see(&v, conformance.Stamp{Earliest: timers.Time(v.wall + low - s.origin),
			Latest: timers.Time(v.wall + high - s.origin)})
	}
	if known && s.tap.lost() > 0 {
		// How many and which is not known: nothing that was seen or not seen meanwhile counts.
		s.blur(s.drained, boottime())
	}
	s.drained = begun
}

// blur marks a time whose observations are worth nothing. A mark is at least as long as any stall that matters.
func (s *Subject) blur(from, until int64) {
	const enough = 1e9
	s.blurs = append(s.blurs, span{min(from, until-enough), until})
}

// see takes in what the tap saw.
func (s *Subject) see(v *sight, at conformance.Stamp) {
	switch {
	case v.link == s.cable.end.Attrs().Index && v.outgoing:
		s.seeOuter(v, at)
	case v.link == s.cable.end.Attrs().Index:
		if was, awaited := s.arrived[tagOf(v.bytes)]; awaited {
			s.arrived[tagOf(v.bytes)] = join(was, at) // of the last fragment, if there are some
		}
	case s.link == nil || v.link != s.link.Attrs().Index: // the loopback, or an interface that is gone
	case v.outgoing:
		s.seeEntering(v, at)
	default:
		for _, p := range segments(v.virtio, v.bytes) {
			s.out.Packets = append(s.out.Packets, conformance.SentPacket{At: at, Bytes: p})
		}
	}
}

// seeEntering takes in a packet that the host handed to the program: the suite's, or the host's own.
func (s *Subject) seeEntering(v *sight, at conformance.Stamp) {
	for i, p := range s.injected { // some may have found the queue full
		if bytes.Equal(p, v.bytes) {
			s.entered = join(s.entered, at)
			s.injected = s.injected[i+1:]
			return
		}
	}
	if !s.setup.Host {
		s.blur(int64(at.Earliest)+s.origin, int64(at.Latest)+s.origin)
		s.strangers = append(s.strangers, "into the interface: "+portray(v.bytes))
	}
}

// seeOuter takes in an outer packet of the subject's host.
func (s *Subject) seeOuter(v *sight, at conformance.Stamp) {
	o, ok := takeApart(v.bytes)
	if ok && o.fragment {
		if o, ok = s.fragments.add(&o); !ok {
			return
		}
	}
	from, to, payload, isUDP := ports(o.payload)
	if !ok || o.proto != protoUDP || !isUDP {
		s.out.Others = append(s.out.Others, conformance.SentPacket{At: at, Bytes: slices.Clone(v.bytes)})
		return
	}
	s.out.Datagrams = append(s.out.Datagrams, conformance.SentDatagram{
		Datagram: conformance.Datagram{
			Local: netip.AddrPortFrom(o.from, from), Remote: netip.AddrPortFrom(o.to, to), TOS: o.class,
			Bytes: slices.Clone(payload),
		},
		At: at, IP: slices.Concat(o.head, o.payload), Mark: v.mark, Marked: true,
	})
}
