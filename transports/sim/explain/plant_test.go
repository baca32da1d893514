package explain

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const ms = time.Millisecond

// plant is a capture with one fault in it and what must be said about it.
type plant struct {
	name      string
	build     func(s *stage, a, b *actor) []Config
	kind      string
	certainty Certainty
	title     string   // part of it
	text      []string // parts of text, alternatives or advice
	deviation bool     // whether deviations are expected besides
}

// quietly has nothing else in the capture than a working tunnel.
func quietly(s *stage, a, b *actor, at time.Duration) *handshake {
	h := s.initiate(at, a, b).respond(at + 10*ms)
	h.talk(at+20*ms, at+5*time.Second)
	return h
}

// again sends n initiations 5.1 s apart and gives the last.
func again(s *stage, at time.Duration, from, to *actor, n int, each func(at time.Duration,
	h *handshake)) (h *handshake) {
	for i := range n {
		now := at + time.Duration(i)*5100*ms
		h = s.initiate(now, from, to)
		if each != nil {
			each(now, h)
		}
	}
	return h
}

// cookiesInVain has a use the cookies that it gets, and b refuse them.
func cookiesInVain(s *stage, a, b *actor) {
	var cookie []byte
	for i := range 6 {
		at := time.Duration(i) * 5100 * ms
		cookie = s.initiate(at, a, b, func(o *initiated) { o.cookie = cookie }).cookie(at + 10*ms)
	}
}

var plants = []plant{
	{"nobody there", func(s *stage, a, b *actor) []Config {
		again(s, 0, a, b, 6, nil)
		return nil
	}, "no-answer", Possible, "no answer at all", []string{"wrong, or nothing runs there", "refuses them silently"},
		false},
	{"a closed port", func(s *stage, a, b *actor) []Config {
		again(s, 0, a, b, 6, nil)
		s.raw(5*ms, 0, unreachablePort(s, a, b, 3, 0))
		return nil
	}, "no-answer", Certain, "no answer at all", []string{"nothing listens there"}, false},
	{"replies cut before the tap", func(s *stage, a, b *actor) []Config {
		s.ttl[0] = 64
		h := quietly(s, a, b, 0)
		for i := range 30 {
			h.data(time.Duration(6+i)*time.Second, a, 64)
			h.lost(b, 1)
		}
		again(s, 21*time.Second, a, b, 3, nil)
		h.talk(36*time.Second, 40*time.Second)
		return nil
	}, "replies-lost", Certain, "never reach this side", []string{"counters jump by 31", "these 30 messages"}, false},
	{"replies cut behind the tap", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		h.talk(6*time.Second, 35*time.Second)
		again(s, 20*time.Second, a, b, 3, func(at time.Duration, h *handshake) { h.respond(at + 10*ms) })
		return nil
	}, "replies-lost", Likely, "never reach", []string{"does not hear it", "keys fit"}, false},
	{"requests lost", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		for i := range 20 {
			h.data(time.Duration(6+i)*time.Second, a, 64)
		}
		h.talk(26*time.Second, 30*time.Second)
		return nil
	}, "requests-lost", Likely, "nothing of", []string{"counters go on without a gap", "slept"}, false},
	{"peer gone", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		for i := range 30 {
			h.data(time.Duration(6+i)*time.Second, a, 64)
		}
		return nil
	}, "peer-gone", Possible, "not heard any more", []string{"one direction is broken"}, false},
	{"cookie loop", func(s *stage, a, b *actor) []Config {
		cookiesInVain(s, a, b)
		return nil
	}, "cookie-loop", Certain, "cookie loop", []string{"carried a mac2 and were refused", "changes on the way"}, false},
	{"cookie loop, with the file", func(s *stage, a, b *actor) []Config {
		cookiesInVain(s, a, b)
		return []Config{a.conf("a")}
	}, "cookie-loop", Certain, "cookie loop", []string{"mac2 of 5 fits the cookie before it"}, false},
	{"cookies not taken", func(s *stage, a, b *actor) []Config {
		again(s, 0, a, b, 6, func(at time.Duration, h *handshake) { h.cookie(at + 10*ms) })
		return nil
	}, "cookie-loop", Certain, "cookie loop", []string{"carried no mac2", "do not reach"}, false},
	{"clock back", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		h.talk(6*time.Second, 30*time.Second)
		for i := range 4 {
			at := 15*time.Second + time.Duration(i)*5100*ms
			s.initiate(at, a, b, func(o *initiated) { o.stamp = -time.Hour + at })
		}
		return []Config{b.conf("b")}
	}, "clock-back", Certain, "timestamp refused: the clock of", []string{"TAI-02", "0 of them were answered"}, false},
	{"initiations refused, no keys", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		h.talk(6*time.Second, 30*time.Second)
		again(s, 10*time.Second, a, b, 3, nil)
		return nil
	}, "initiations-refused", Possible, "alive but does not answer", []string{"clock of", "went back"}, false},
	{"wrong psk, both files", func(s *stage, a, b *actor) []Config {
		b.psk[0] = 1
		again(s, 0, a, b, 5, func(at time.Duration, h *handshake) { h.respond(at + 10*ms) })
		return []Config{a.conf("a"), b.conf("b")}
	}, "wrong-psk", Certain, "different preshared keys", []string{"CRYPTO-15"}, false},
	{"wrong psk, one tap at the initiator", func(s *stage, a, b *actor) []Config {
		s.ttl[0], b.psk[0] = 64, 1
		again(s, 0, a, b, 5, func(at time.Duration, h *handshake) { h.respond(at + 10*ms) })
		return nil
	}, "wrong-psk", Possible, "most often the preshared keys differ", []string{"firewall on its own host"}, false},
	{"wrong psk or lost", func(s *stage, a, b *actor) []Config {
		b.psk[0] = 1
		again(s, 0, a, b, 5, func(at time.Duration, h *handshake) { h.respond(at + 10*ms) })
		return nil
	}, "replies-lost", Possible, "never accepts an answer", []string{"the preshared keys differ", "are lost between"},
		false},
	{"wrong public key", func(s *stage, a, b *actor) []Config {
		own := a.conf("a")
		a.believe = s.key().Public
		again(s, 0, a, b, 5, nil)
		return []Config{b.conf("b"), own}
	}, "wrong-public-key", Likely, "wrong public key (mac1)", []string{"COOKIE-02", "PublicKey of the peer must be"},
		false},
	{"unknown peer", func(s *stage, a, b *actor) []Config {
		b.believe = s.key().Public
		again(s, 0, a, b, 5, nil)
		return []Config{b.conf("b")}
	}, "unknown-peer", Certain, "does not know the key of", []string{"HS-05"}, false},
}

var plantsOfTraffic = []plant{
	{"NAT port", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		a.at = netip.MustParseAddrPort("192.0.2.1:40000")
		h.talk(6*time.Second, 9*time.Second)
		return nil
	}, "nat-port-changed", Certain, "192.0.2.1:1111 became 192.0.2.1:40000", []string{"The same session"}, false},
	{"NAT port, between handshakes", func(s *stage, a, b *actor) []Config {
		quietly(s, a, b, 0)
		a.at = netip.MustParseAddrPort("192.0.2.1:40000")
		quietly(s, a, b, 60*time.Second)
		return nil
	}, "nat-port-changed", Likely, "192.0.2.1:1111 became 192.0.2.1:40000", []string{"another client behind"}, false},
	{"roaming", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		a.at = netip.MustParseAddrPort("198.51.100.9:1111")
		h.talk(6*time.Second, 9*time.Second)
		return nil
	}, "roamed", Certain, "moved from 192.0.2.1:1111 to 198.51.100.9:1111", nil, false},
	{"idle, then NAT timeout", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		h.data(14040*ms, a, 0)
		for i := range 15 {
			h.data(time.Duration(60+i)*time.Second, b, 64)
		}
		a.at = netip.MustParseAddrPort("192.0.2.1:40000")
		h.talk(76*time.Second, 80*time.Second)
		return nil
	}, "idle-nat-timeout", Certain, "idle, then unreachable", []string{"PersistentKeepalive = 25", "another port"}, false},
	{"replay window", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		late := h.message(a, inner(a, 64))
		h.lost(a, 9000)
		h.talk(6*time.Second, 9*time.Second)
		s.send(9*time.Second, a, b, late)
		h.talk(10*time.Second, 12*time.Second)
		return nil
	}, "replay-window", Likely, "1 messages of", []string{"REPLAY-04", "8128"}, false},
	{"one-way data", func(s *stage, a, b *actor) []Config {
		h := s.initiate(0, a, b).respond(10 * ms)
		for i := range 30 {
			h.data(time.Duration(i)*time.Second+20*ms, a, 64)
			if i%10 == 9 {
				h.data(time.Duration(i)*time.Second+30*ms, b, 0)
			}
		}
		return nil
	}, "one-way-data", Certain, "one direction only", []string{"AllowedIPs", "ROUTE-02"}, false},
	{"handshake storm", func(s *stage, a, b *actor) []Config {
		for i := range 10 {
			quietly(s, a, b, time.Duration(i)*5500*ms)
		}
		return nil
	}, "handshake-storm", Certain, "10 handshakes in 49.5 s", []string{"two machines use the same key"}, false},
	{"crossing", func(s *stage, a, b *actor) []Config {
		x := s.initiate(0, a, b)
		y := s.initiate(5*ms, b, a)
		x.respond(50 * ms)
		y.respond(55 * ms)
		quietly(s, a, b, 5100*ms)
		return nil
	}, "crossing", Certain, "at the same time", []string{"HS-12", "Neither led to a session"}, false},
	{"peer restarted", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		for i := range 15 {
			h.data(time.Duration(6+i)*time.Second, a, 64)
		}
		n := s.initiate(21100*ms, a, b).respond(21110 * ms)
		n.talk(21120*ms, 30*time.Second)
		return nil
	}, "peer-restarted", Likely, "was restarted, or lost its sessions", []string{"LIFE-02", "cut and came back"}, false},
	{"MTU, by ICMP", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		h.data(6*time.Second, a, 1420)
		s.raw(6*time.Second+ms, 0, unreachablePort(s, a, b, 4, 1400))
		h.talk(7*time.Second, 9*time.Second)
		return nil
	}, "mtu-black-hole", Likely, "too big for the way", []string{"MTU of 1400", "Set MTU to 1312"}, false},
	{"MTU, by two taps", func(s *stage, a, b *actor) []Config {
		h := s.initiate(0, a, b, func(o *initiated) { o.taps = []int{0, 1} }).respond(10*ms, 1, 0)
		h.talk(20*ms, 10*time.Second, 0, 1)
		for i := range 5 {
			h.data(time.Duration(i)*time.Second+500*ms, a, 1408, 0)
		}
		return nil
	}, "mtu-black-hole", Certain, "no large message", []string{"1440 bytes or more", "up to 148 bytes"}, false},
	{"loss", func(s *stage, a, b *actor) []Config {
		h := quietly(s, a, b, 0)
		for i := range 60 {
			h.talk(time.Duration(6+i)*time.Second, time.Duration(7+i)*time.Second)
			if i%10 == 5 {
				h.lost(b, 1)
			}
		}
		return nil
	}, "loss", Certain, "6 of 71 messages", []string{"counters skip them"}, false},
	{"gave up", func(s *stage, a, b *actor) []Config {
		again(s, 0, a, b, 20, nil)
		s.initiate(200*time.Second, a, b)
		return nil
	}, "gave-up", Certain, "gave up after 20 initiations", []string{"TIMER-03"}, false},
}

// unreachablePort is an ICMP error about an initiation-like datagram from a to b.
func unreachablePort(s *stage, a, b *actor, code byte, mtu uint16) []byte {
	about := s.ipv4(a.at, b.at, 60, make([]byte, 148))[:56]
	ip := make([]byte, 28, 28+len(about))
	ip[0], ip[8], ip[9], ip[20], ip[21] = 0x45, 64, 1, 3, code
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(about)))
	src, dst := b.at.Addr().As4(), a.at.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[26:], mtu)
	return append(ip, about...)
}

func TestPlantedFaults(t *testing.T) {
	for _, p := range append(plants, plantsOfTraffic...) {
		t.Run(p.name, func(t *testing.T) {
			s, a, b := newStage(t)
			r := s.explain(p.build(s, a, b)...)
			f := r.kind(p.kind)
			// That somebody gave up is a consequence, and never the first thing to say.
			if f == nil || f != &r.Findings[0] && p.kind != "gave-up" {
				t.Fatalf("want %s first, got:\n%s", p.kind, show(r))
			}
			if f.Certainty != p.certainty || !strings.Contains(f.Title, p.title) || len(f.Packets) == 0 {
				t.Errorf("want %s, %q, with packets, got:\n%s", p.certainty, p.title, show(r))
			}
			if f.Certainty == Possible && len(f.Or) == 0 {
				t.Errorf("it is only possible, and nothing else is named:\n%s", show(r))
			}
			all := f.Text + strings.Join(f.Or, "; ") + f.Advice
			for _, want := range p.text {
				if !strings.Contains(all, want) {
					t.Errorf("%q is not said:\n%s", want, show(r))
				}
			}
			for line := range strings.Lines(show(r)) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("a line of %d columns: %s", n, line)
				}
			}
			if !p.deviation && len(r.Deviations) > 0 {
				t.Errorf("nothing here is against the protocol:\n%s", show(r))
			}
		})
	}
}

// A tunnel that works must be left in peace, at every depth.
func TestNothingIsWrong(t *testing.T) {
	for _, depth := range []Depth{DepthNoKeys, DepthConfig, DepthFull} {
		s, a, b := newStage(t)
		h := quietly(s, a, b, 0)
		h.talk(6*time.Second, 119*time.Second)
		h.data(120100*ms, a, 64)
		h = s.initiate(120110*ms, a, b).respond(120120 * ms)
		h.talk(120130*ms, 150*time.Second)
		var o Options
		if depth == DepthConfig {
			o.Configs = []Config{a.conf("a"), b.conf("b")}
		}
		r := s.explainAll(0, depth == DepthFull, o)
		if r.Depth != depth || len(r.Findings)+len(r.Deviations) > 0 {
			t.Errorf("depth %s: want nothing, got:\n%s", depth, show(r))
		}
		if n := len(r.Tunnels[0].Sessions); n != 2 || r.Tunnels[0].Sessions[1].CauseRule != "TIMER-07" {
			t.Errorf("want two sessions, the second because of TIMER-07:\n%s", show(r))
		}
	}
}
