package explain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// What only decryption can tell.
func TestFullDepth(t *testing.T) {
	for _, c := range []struct {
		name, kind, text string
		build            func(s *stage, a, b *actor) []Config
	}{
		{"wrong psk", "wrong-psk", "the response does not fit", func(s *stage, a, b *actor) []Config {
			b.psk[0] = 1
			again(s, 0, a, b, 4, func(at time.Duration, h *handshake) { h.respond(at + 10*ms) })
			return nil
		}},
		{"source not allowed", "source-not-allowed", "ROUTE-02", func(s *stage, a, b *actor) []Config {
			h := quietly(s, a, b, 0)
			for i := range 5 {
				plain := inner(a, 64)
				copy(plain[12:], []byte{10, 9, 9, 9})
				s.send(time.Duration(6+i)*time.Second, a, b, h.message(a, plain))
			}
			return []Config{a.conf("a"), b.conf("b")}
		}},
		{"damaged", "damaged", "Session #1", func(s *stage, a, b *actor) []Config {
			h := quietly(s, a, b, 0)
			m := h.message(a, inner(a, 64))
			m[40] ^= 1
			s.send(6*time.Second, a, b, m)
			h.talk(7*time.Second, 9*time.Second)
			return nil
		}},
		{"TCP stuck", "mtu-black-hole", "was sent 6 times", func(s *stage, a, b *actor) []Config {
			h := quietly(s, a, b, 0)
			for i := range 6 {
				at := time.Duration(6+i) * time.Second
				plain := inner(a, 1408)
				plain[9], plain[32] = 6, 0x50
				s.send(at, a, b, h.message(a, plain))
				h.data(at+ms, b, 64)
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, a, b := newStage(t)
			confs := c.build(s, a, b)
			for _, o := range []Options{{Configs: confs}, {Configs: confs, KeyLogs: []Config{{"keys", string(s.keyLog)}}}} {
				r := s.explainAll(0, o.KeyLogs == nil, o)
				if len(r.Findings) == 0 || r.Findings[0].Kind != c.kind || !strings.Contains(r.Findings[0].Text, c.text) {
					t.Fatalf("want %s, got:\n%s", c.kind, show(r))
				}
				if c.kind != "wrong-psk" && r.Depth != DepthFull {
					t.Errorf("the depth is said to be %s", r.Depth)
				}
			}
		})
	}
}

// Every deviation, planted: rule, and who.
func TestDeviations(t *testing.T) {
	for _, c := range []struct {
		rule  string
		build func(s *stage, a, b *actor)
	}{
		{"MSG-02", func(s *stage, a, b *actor) {
			s.initiate(0, a, b, func(o *initiated) { o.reserved = 9 }).respond(10*ms).talk(20*ms, 3*time.Second)
		}},
		{"MSG-05", func(s *stage, a, b *actor) {
			quietly(s, a, b, 0)
			s.send(6*time.Second, a, b, append([]byte{1, 0, 0, 0}, make([]byte, 145)...))
		}},
		{"TIMER-01", func(s *stage, a, b *actor) {
			s.initiate(0, a, b)
			s.initiate(3*time.Second, a, b).respond(3010*ms).talk(3020*ms, 6*time.Second)
		}},
		{"HS-21", func(s *stage, a, b *actor) {
			quietly(s, a, b, 0)
			s.initiate(4500*ms, a, b).respond(4510*ms).talk(4520*ms, 6*time.Second)
		}},
		{"HS-22", func(s *stage, a, b *actor) {
			quietly(s, a, b, 0)
			s.initiate(4500*ms, b, a).respond(4510*ms).talk(4520*ms, 6*time.Second)
		}},
		{"HS-03", func(s *stage, a, b *actor) {
			h := s.initiate(0, a, b)
			h.respond(10 * ms)
			h.respond(12*ms).talk(20*ms, 3*time.Second)
		}},
		{"HS-16", func(s *stage, a, b *actor) {
			h := s.initiate(0, a, b).respond(10 * ms)
			h.data(15*ms, b, 64)
			h.talk(100*ms, 3*time.Second)
		}},
		{"HS-14", func(s *stage, a, b *actor) {
			s.initiate(0, a, b).respond(10*ms).talk(4*time.Second, 6*time.Second)
		}},
		{"MSG-14", func(s *stage, a, b *actor) {
			h := quietly(s, a, b, 0)
			h.counter[0]--
			h.data(6*time.Second, a, 80)
		}},
		{"PAD-01", func(s *stage, a, b *actor) {
			h := quietly(s, a, b, 0)
			h.data(6*time.Second, a, 1408)
			h.data(7*time.Second, a, 71)
		}},
		{"KEY-10", func(s *stage, a, b *actor) {
			quietly(s, a, b, 0).talk(6*time.Second, 20*time.Second)
			h := s.initiate(300*time.Second, a, b).respond(300010 * ms)
			h.talk(300020*ms, 301*time.Second)
			h.data(482*time.Second, b, 64)
		}},
		{"TIMER-07", func(s *stage, a, b *actor) { quietly(s, a, b, 0).talk(6*time.Second, 135*time.Second) }},
		{"KEY-02", func(s *stage, a, b *actor) {
			h := quietly(s, a, b, 0)
			n := s.initiate(20*time.Second, a, b)
			n.index = h.index
			m := s.frames[len(s.frames)-1].data
			copy(m[32:36], s.frames[0].data[32:36])
		}},
		{"QOS-02", func(s *stage, a, b *actor) {
			s.wrap = func(ip []byte) []byte { ip[1] = 0xb8; return ip }
			quietly(s, a, b, 0)
		}},
		{"TAI-07", func(s *stage, a, b *actor) {
			s.initiate(0, a, b, func(o *initiated) { o.precise = true }).respond(10*ms).talk(20*ms, 3*time.Second)
		}},
		{"PAD-04", func(s *stage, a, b *actor) {
			h := quietly(s, a, b, 0)
			plain := inner(a, 64)
			plain[63] = 1
			s.send(6*time.Second, a, b, h.message(a, plain))
		}},
		{"COOKIE-05", func(s *stage, a, b *actor) {
			s.initiate(0, a, b).cookie(10 * ms)
			wrong := func(o *initiated) { o.cookie = make([]byte, 16) }
			s.initiate(5100*ms, a, b, wrong).respond(5110*ms).talk(5120*ms, 8*time.Second)
		}},
		{"COOKIE-10", func(s *stage, a, b *actor) {
			cookie := s.initiate(0, a, b).cookie(10 * ms)
			old := func(o *initiated) { o.cookie = cookie }
			s.initiate(130*time.Second, a, b, old).respond(130010*ms).talk(130020*ms, 132*time.Second)
		}},
		{"INNER-01", func(s *stage, a, b *actor) {
			h := quietly(s, a, b, 0)
			s.send(6*time.Second, a, b, h.message(a, make([]byte, 64)))
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s, a, b := newStage(t)
			c.build(s, a, b)
			r := s.explainAll(0, true, Options{})
			if !slices.ContainsFunc(r.Deviations, func(d Deviation) bool { return d.Rule == c.rule && len(d.Packets) > 0 }) {
				t.Errorf("%s is not reported:\n%s", c.rule, show(r))
			}
			for _, d := range r.Deviations {
				if d.Rule != c.rule {
					t.Errorf("%s is reported, and was not planted: %s", d.Rule, d.Text)
				}
			}
		})
	}
}

// The JSON has what the text has, and its lists are never null.
func TestJSON(t *testing.T) {
	s, a, b := newStage(t)
	quietly(s, a, b, 0)
	var out bytes.Buffer
	if err := s.explain().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"tunnels", "findings", "deviations", "files"} {
		if _, ok := got[list].([]any); !ok {
			t.Errorf("%s is no list: %v", list, got[list])
		}
	}
	if got["version"] != 1.0 || got["depth"] != "no keys" {
		t.Errorf("version %v, depth %v", got["version"], got["depth"])
	}
}
