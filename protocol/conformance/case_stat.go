package conformance

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

func statCase(id string, rules []string, level Level, title string, lasts time.Duration, run func(*T)) Case {
	return Case{ID: "stat/" + id, Rules: rules, Level: level, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedState, Lasts: lasts, Title: title,
		Why: "People bill by these numbers, and look at them to find out why a tunnel does not work.", Run: run}
}

// counted gives what the subject says that it received from p and sent to it.
func counted(t *T, p *Peer) (received, sent uint64) {
	st, ok := p.State()
	t.Check(ok, "the peer in the state", "it is not there")
	return st.Received, st.Sent
}

// counts wants exact numbers.
func counts(t *T, p *Peer, received, sent uint64) {
	r, s := counted(t, p)
	t.Equal("the bytes received and sent", fmt.Sprint(r, " ", s), fmt.Sprint(received, " ", sent))
}

var statCases = []Case{
	statCase("sent/as-responder", []string{"STAT-01"}, Must, "Response and data count with the bytes of their datagrams",
		4*time.Second, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Fetch(p.Outbound()) // 80 bytes, 112 on the wire
			_, sent := counted(t, p)
			t.Equal("the bytes sent", sent, uint64(92+112))
		}),
	statCase("sent/as-initiator", []string{"STAT-01"}, Must, "Initiation and data count with the bytes of their datagrams",
		4*time.Second, func(t *T) {
			p := t.Peer()
			p.Accept()
			_, sent := counted(t, p)
			t.Equal("the bytes sent", sent, uint64(148+112))
		}),
	statCase("sent/keepalive", []string{"STAT-01"}, Must, "A keepalive counts with 32 bytes", 14*time.Second,
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			t.Premise(func() { p.Expect(Keepalive.On(s), t.Due(Passive, t.Last())) })
			_, sent := counted(t, p)
			t.Equal("the bytes sent", sent, uint64(92+32))
		}),
	statCase("received/as-responder", []string{"STAT-02"}, Must,
		"Initiation, keepalive and data count with the bytes of their datagrams", 4*time.Second, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			received, _ := counted(t, p)
			t.Equal("the bytes received", received, uint64(148+32+112))
		}),
	statCase("received/as-initiator", []string{"STAT-02"}, Must, "A response counts with its 92 bytes", 4*time.Second,
		func(t *T) {
			p := t.Peer()
			s := p.Accept()
			before, _ := counted(t, p)
			s.Deliver(p.Inbound())
			after, _ := counted(t, p)
			t.Equal("the bytes received, before and after a packet", fmt.Sprint(before, " ", after), "92 204")
		}),
	statCase("received/padding", []string{"STAT-02"}, Must, "Data counts before its padding is cut off", 4*time.Second,
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := p.Inbound()
			p.Send(s.Seal(append(pad(b), make([]byte, 64)...)))
			t.Premise(func() { t.Expect(Delivery.Carrying(b), t.Soon()) })
			received, _ := counted(t, p)
			t.Equal("the bytes received", received, uint64(148+32+112+64))
		}),
	statCase("received/bad-inner", []string{"STAT-03"}, Should, "Data that is dropped for what is inside does not count",
		4*time.Second, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			p.Send(s.Seal(make([]byte, 32)))
			t.Wait(100 * time.Millisecond)
			received, _ := counted(t, p)
			t.Equal("the bytes received", received, uint64(148+32))
		}),
	statCase("rejected/nothing", []string{"STAT-05", "QUIET-06"}, Must, "What is rejected counts nowhere", 4*time.Second,
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(p.Inbound()))
			b[len(b)-1] ^= 1
			mac1 := p.Initiate(peer.Spec{}).Bytes
			mac1[116] ^= 1
			old := p.Initiate(peer.Spec{Timestamp: &peer.Timestamp{}}).Bytes
			for range 3 {
				p.Send(b)
				p.Send(mac1)
				p.Send(old)
			}
			t.Wait(200 * time.Millisecond)
			counts(t, p, 148+32, 92)
		}),
	statCase("cookie/nothing", []string{"STAT-04"}, Must, "A cookie reply that is received counts nowhere", 9*time.Second,
		func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			p.Send(p.CookieReply(g, make([]byte, 16)))
			t.Wait(100 * time.Millisecond)
			counts(t, p, 0, 148)
		}),
	statCase("kept/new-session", []string{"STAT-06"}, Must, "The counters go on over a new handshake and a new endpoint",
		5*time.Second, func(t *T) {
			p := t.Peer()
			p.Connect()
			t.Wait(30 * time.Millisecond)
			p.Addr = p.NewPort()
			p.Connect()
			counts(t, p, 2*(148+32), 2*92)
		}),
	{
		ID: "stat/kept/down-and-up", Rules: []string{"STAT-06"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInterface | NeedState, Lasts: 2 * time.Second,
		Title: "The counters outlive the interface being down", Why: "Laptops do this many times a day.",
		Run: func(t *T) {
			p := t.Peer()
			p.Connect()
			t.up(false)
			t.up(true)
			counts(t, p, 148+32, 92)
		},
	},
	statCase("gone/with-the-peer", []string{"STAT-06"}, Must, "A peer that is removed and added again begins at zero",
		5*time.Second, func(t *T) {
			p := t.Peer()
			p.Connect()
			p.Configure(PeerChange{Remove: true})
			p.Configure(PeerChange{AllowedIPs: p.Allowed})
			counts(t, p, 0, 0)
		}),
	statCase("handshake/not-by-response", []string{"STAT-07"}, Must,
		"The last handshake's time is set when the initiator confirms, not when the response is sent", 4*time.Second,
		func(t *T) {
			p := t.Peer()
			s := p.Begin()
			st, _ := p.State()
			t.Check(st.LastHandshake.IsZero() || st.LastHandshake.Unix() == 0, "no last handshake before it is confirmed",
				st.LastHandshake.String())
			s.Keepalive()
			t.Wait(100 * time.Millisecond)
			st, _ = p.State()
			t.Check(st.LastHandshake.Unix() > 0, "a last handshake once it is confirmed", "none")
		}),
	statCase("handshake/by-initiator", []string{"STAT-07"}, Must, "An initiator sets it when it takes the response",
		4*time.Second, func(t *T) {
			p := t.Peer()
			p.Accept()
			st, _ := p.State()
			t.Check(st.LastHandshake.Unix() > 0, "a last handshake", "none")
		}),
	statCase("handshake/stays", []string{"STAT-08"}, Should, "It stays when the session is too old to be used",
		190*time.Second, func(t *T) {
			p := t.Peer()
			p.Connect()
			before, _ := p.State()
			t.Wait(182 * time.Second)
			after, _ := p.State()
			t.Equal("the last handshake 182 s later", after.LastHandshake.Unix(), before.LastHandshake.Unix())
		}),
}
