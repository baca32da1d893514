package shim_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/timers"
)

const (
	private = "4000000000000000000000000000000000000000000000000000000000000041"
	other   = "5000000000000000000000000000000000000000000000000000000000000042"
)

// opening opens an instance with a peer whose persistent keepalive makes it act by itself.
var opening = `{"id":1,"op":"open","instance":"a","seed":"00000000000000ff","wall":{"s":1767225600,"ns":5},` +
	`"local4":"10.111.0.1/16","local6":"fd11:1111::1/64","config":{"privateKey":"` + private +
	`","listenPort":51820,"mtu":1420,"up":true,"peers":[{"publicKey":"` + other +
	`","endpoint":"10.111.0.9:7","keepalive":25,"allowedIPs":["10.0.0.9/32"]}]}}`

// converse gives each line to a shim of the core and returns its answers.
func converse(t *testing.T, lines ...string) (replies []shim.Reply, raw []string) {
	t.Helper()
	var out bytes.Buffer
	err := shim.Serve(context.Background(), strings.NewReader(strings.Join(lines, "\n")+"\n"), &out,
		coretarget.Factory{}, shim.Options{Has: []string{shim.Addresses}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var r shim.Reply
		if err := shim.Decode([]byte(line), &r, true); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		replies, raw = append(replies, r), append(raw, strings.TrimSuffix(line, "\n"))
	}
	if len(replies) != len(lines) {
		t.Fatalf("%d replies to %d requests: %q", len(replies), len(lines), raw)
	}
	return replies, raw
}

func TestServe(t *testing.T) {
	replies, raw := converse(t,
		`{"id":9,"op":"hello","protocol":1,"runner":"a test","unheard":["of"]}`,
		opening,
		`{"id":2,"op":"advance","instance":"a","until":5000000000,"pause":true}`,
		`{"id":3,"op":"advance","instance":"a","until":20000000000}`,
		`{"id":4,"op":"state","instance":"a"}`,
		`{"id":5,"op":"uapi","instance":"a","connection":1,"text":"get=1\n\n"}`,
		`{"id":6,"op":"uapi","instance":"a","connection":1,"text":"set=1\nlisten_port=7\n"}`,
		`{"id":7,"op":"uapi","instance":"a","connection":1,"text":"\nget=1\n\n"}`,
		`{"id":8,"op":"uapi","instance":"a","connection":2,"text":"hello=\u00ff\n\n","close":true}`,
		`{"id":9,"op":"close","instance":"a"}`,
		`{"id":10,"op":"state","instance":"a"}`,
	)
	if g := replies[0].Greeting; g == nil || g.Name != "core" || g.Layer != "device" || g.Kind != "exact" {
		t.Errorf("hello: %s", raw[0])
	}
	if r := replies[1]; len(r.Outputs) != 1 || r.Outputs[0].At != 0 || len(r.Outputs[0].Datagram.Bytes) != 148 {
		t.Errorf("open does not send the first initiation at once: %s", raw[1])
	}
	// The retransmission is due 5 s and a jitter after 0: not before the deadline, and not by 5 s.
	if r := replies[2]; len(r.Outputs) != 0 || *r.Now != 5e9 || !r.Deadline.Known || r.Deadline.At <= 5e9 ||
		r.Deadline.At > 5.4e9 {
		t.Errorf("advance, paused: %s", raw[2])
	}
	r := replies[3]
	if len(r.Outputs) != 3 || r.Outputs[0].At != replies[2].Deadline.At || *r.Now != 20e9 {
		t.Errorf("advance: %s", raw[3])
	}
	if s := replies[4].State; s == nil || len(s.Peers) != 1 || s.Peers[0].Keepalive != 25 || s.Peers[0].Sent != 4*148 ||
		s.Peers[0].LastHandshake != nil || s.Peers[0].Endpoint != "10.111.0.9:7" {
		t.Errorf("state: %s", raw[4])
	}
	for i, want := range []string{"private_key=" + private, "", "errno=0\n\nprivate_key=", "errno="} {
		if r := replies[5+i]; r.Text == nil || !strings.Contains(string(*r.Text), want) || want == "" && *r.Text != "" {
			t.Errorf("uapi %d: %s", i, raw[5+i])
		}
	}
	if replies[9].Error != "" || replies[10].Error == "" {
		t.Errorf("close: %s, then %s", raw[9], raw[10])
	}
}

// What cannot be understood is refused with the field's name, and changes nothing.
func TestServeRefuses(t *testing.T) {
	at := func(op, rest string) string {
		return `{"id":2,"op":"` + op + `","instance":"a","at":1000` + rest + `}`
	}
	datagram := func(local, bytes string) string {
		return at("datagrams", `,"datagrams":[{"local":"`+local+`","remote":"10.111.0.9:7","bytes":"`+bytes+`"}]`)
	}
	for _, c := range []struct{ request, want string }{
		{`nonsense`, "no JSON"},
		{datagram("10.111.0.1:51820", "0g"), "datagrams.0.bytes: "},
		{datagram("10.111.0.1", "00"), "datagrams.0.local: "},
		{at("packets", `,"packets":["AB"]`), "packets.0: upper-case"},
		{at("configure", `,"change":{"privateKey":"00"}`), "change.privateKey: a key of 1 bytes"},
		{at("configure", `,"change":{"listenPort":70000}`), "change.listenPort: "},
		{at("configure", ``), `"change" is missing`},
		{at("configure", `,"change":{"listenPort":53}`), "in use"},
		{`{"id":2,"op":"advance","instance":"a"}`, `"until" is missing`},
		{`{"id":2,"op":"restart","instance":"a","at":-1}`, "before now"},
		{at("wall", ``), `"wall" is missing`},
		{`{"id":2,"op":"state","instance":"b"}`, `no instance "b"`},
		{at("uapi", `,"connection":1,"text":"\u1234"`), "text: the character"},
		{`{"id":2,"op":"hello","protocol":2}`, "protocol 2"},
		{opening, "open already"},
	} {
		request, want := c.request, c.want
		replies, raw := converse(t, opening, request, `{"id":3,"op":"state","instance":"a"}`)
		if !strings.Contains(replies[1].Error, want) || !strings.Contains(request, fmt.Sprintf(`"id":%d,`, replies[1].ID)) &&
			replies[1].ID != 0 {
			t.Errorf("%s\n%s: want an error with %q", request, raw[1], want)
		}
		if s := replies[2].State; s == nil || s.ListenPort != 51820 || len(s.Peers) != 1 {
			t.Errorf("%s\nafterwards: %s", request, raw[2])
		}
	}
	replies, raw := converse(t, `{"id":7,"op":"fly","instance":"a"}`)
	if replies[0].ID != 7 || !strings.Contains(replies[0].Unsupported, `"fly"`) {
		t.Errorf("an unknown op: %s", raw[0])
	}
}

func TestDeadlineForms(t *testing.T) {
	for text, want := range map[string]shim.Deadline{
		`{"id":1}`:                 {},
		`{"id":1,"deadline":null}`: {Known: true, At: timers.Never},
		`{"id":1,"deadline":17}`:   {Known: true, At: 17},
	} {
		var r shim.Reply
		if err := shim.Decode([]byte(text), &r, true); err != nil || r.Deadline != want {
			t.Errorf("%s: %+v, %v", text, r.Deadline, err)
		}
		if b, err := shim.Encode(&r); err != nil || strings.TrimSpace(string(b)) != text {
			t.Errorf("%s becomes %s (%v)", text, b, err)
		}
	}
}

// What no case needs is said as the shim has it, with the reason where it lacks it.
func TestGreet(t *testing.T) {
	g := shim.Greet(coretarget.Factory{}.Capabilities(),
		&shim.Options{Has: []string{shim.Work}, Lacks: map[string]string{shim.Repeats: "no seed"}})
	if !slices.Contains(g.Capabilities, shim.Work) || slices.Contains(g.Capabilities, shim.Addresses) ||
		g.Lacks[shim.Repeats] != "no seed" {
		t.Errorf("%+v", g)
	}
	for _, word := range g.Capabilities {
		if !slices.Contains(shim.Words(), word) {
			t.Errorf("%q is not among the words", word)
		}
	}
}
