package conformance

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

func qosCase(id, rule string, level Level, title, why string, run func(*T)) Case {
	return Case{ID: "qos/" + id, Rules: []string{rule}, Level: level, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedTOS, Lasts: 4 * time.Second, Title: title, Why: why, Run: run}
}

var ecnNames = [4]string{"Not-ECT", "ECT(1)", "ECT(0)", "CE"}

var qosCases = []Case{
	qosCase("data/dscp-stays-inside", "QOS-02", Must, "The DSCP of an inner packet is not on the outer one",
		"It tells an observer what kind of traffic is inside.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for _, tos := range []byte{0xb8, 0x20} {
				g := s.Fetch(SetTOS(p.Outbound(), tos))
				t.Equal("the outer DSCP", g.TOS>>2, byte(0))
			}
		}),
	qosCase("initiation/tos", "QOS-01", Should, "Initiations have the TOS 0x88",
		"Handshakes must get through when the line is full.", func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			t.Equal("the outer TOS", fmt.Sprintf("%#02x", p.Expect(Initiation, t.Soon()).TOS), "0x88")
		}),
	qosCase("response/tos", "QOS-01", Should, "Responses have the TOS 0x88",
		"Handshakes must get through when the line is full.", func(t *T) {
			p := t.Peer()
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			t.Equal("the outer TOS", fmt.Sprintf("%#02x", p.Expect(Response, t.Soon()).TOS), "0x88")
		}),
	qosCase("data/ecn-out", "QOS-03", Should, "The outer ECN field follows the inner one, but CE becomes ECT(0)",
		"Congestion control by ECN works through the tunnel only if its packets say that they understand it.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for inner, outer := range [4]byte{0, 1, 2, 2} {
				g := s.Fetch(SetTOS(p.Outbound(), byte(inner)))
				t.Equal("the outer ECN for "+ecnNames[inner], ecnNames[g.TOS&3], ecnNames[outer])
			}
		}),
	qosCase("data/ecn-in", "QOS-04", Should, "An outer CE mark comes out on an inner packet that understands it",
		"A router's only way to say that it is congested is this mark.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for inner, want := range [4]byte{0, 3, 3, 3} {
				b := SetTOS(p.Inbound(), byte(inner))
				p.SendTOS(p.Addr, s.Seal(pad(b)), 3)
				id := binary.BigEndian.Uint16(b[2:]) // the header differs after this, the text does not
				g := t.Expect(Delivery.That("of this length", func(g *Got) bool {
					return len(g.Packet) > 28 && binary.BigEndian.Uint16(g.Packet[2:]) == id &&
						string(g.Packet[28:]) == string(b[28:])
				}), t.Soon())
				t.Equal("the inner ECN that was "+ecnNames[inner], ecnNames[g.Packet[1]&3], ecnNames[want])
			}
		}),
	qosCase("data/ecn-delivers-all", "QOS-04", Should, "Every combination of inner and outer ECN is delivered",
		"A field that a router wrote must not lose a packet.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for inner := range byte(4) {
				for outer := range byte(4) {
					b := SetTOS(p.Inbound(), inner)
					p.SendTOS(p.Addr, s.Seal(pad(b)), outer)
					t.Expect(Delivery.That("inside "+ecnNames[inner]+" in "+ecnNames[outer], func(g *Got) bool {
						return len(g.Packet) == len(b) && string(g.Packet[28:]) == string(b[28:])
					}), t.Soon())
				}
			}
		}),
	{
		ID: "qos/mark/on-all", Rules: []string{"QOS-05"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 2 * time.Second,
		Title: "The configured mark is on handshakes and data",
		Why:   "Without it the tunnel's packets are routed into itself.",
		Run: func(t *T) {
			mark := uint32(0x77)
			t.Configure(Change{Mark: &mark})
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			if !g.Datagram.Marked {
				t.Unsupported("the mark of a packet cannot be seen")
			}
			t.Equal("the mark of the initiation", g.Datagram.Mark, mark)
			s := p.Reply(g)
			g = p.Expect(Data.On(s), t.Soon())
			t.Equal("the mark of the data", g.Datagram.Mark, mark)
		},
	},
}
