package bringup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/flynn/noise"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

func vectorsJSON(t *testing.T, seed uint64) []byte {
	t.Helper()
	v, err := NewVectors(seed)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorsConfirmed has every value computed again in Python, and every change of a value noticed there.
func TestVectorsConfirmed(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 confirms the vectors: %v; .ci/setup installs it", err)
	}
	for _, c := range []struct {
		seed uint64
		args []string
		want string
	}{
		{1, nil, " 0 changes, 0 complaints\n"},
		{2, nil, " 0 changes, 0 complaints\n"},
		{1, []string{"--damage"}, " changes, 0 complaints\n"},
	} {
		command := exec.Command(python, append([]string{"testdata/confirm.py"}, c.args...)...)
		command.Stdin = bytes.NewReader(vectorsJSON(t, c.seed))
		out, err := command.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), c.want) || strings.HasPrefix(string(out), "0 vectors") {
			t.Errorf("seed %d %v: %v (it needs Debian's python3-cryptography, which .ci/setup installs)\n%s", c.seed, c.args,
				err, out)
		}
	}
}

// TestVectorsSchema holds the JSON to its schema, which takes nothing else.
func TestVectorsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../../docs/vectors.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text := string(vectorsJSON(t, 1))
	for change, ok := range map[[2]string]bool{
		{"", ""}:                             true,
		{`"tai64n"`, `"tai65n"`}:             false,
		{`"result":"valid"`, `"result":"x"`}: false,
		{`"t0":"`, `"t0":"g`}:                false,
		{`"T2":`, `"T3":`}:                   false,
		{`"receiver":`, `"receivr":`}:        false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(text, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != ok {
			t.Errorf("%v: %v", change, err)
		}
	}
}

// TestVectorsDeterministic: a seed gives the same vectors, and another one others; the text has all of them.
func TestVectorsDeterministic(t *testing.T) {
	one, again, other := vectorsJSON(t, 1), vectorsJSON(t, 1), vectorsJSON(t, 2)
	if !bytes.Equal(one, again) || bytes.Equal(one, other) {
		t.Error("seed and vectors do not go together")
	}
	v, err := NewVectors(1)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteVectors(&text, v); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	first, ok := v.Groups[0].Tests[0].(*Handshake)
	if !ok || v.Count < 200 || v.Groups[0].Tests[0].common().ID != 1 {
		t.Fatalf("%d vectors, the first is %T", v.Count, v.Groups[0].Tests[0])
	}
	for _, s := range first.Steps {
		for _, value := range s.values() {
			digits, _ := value.Bytes.MarshalText()
			if !strings.Contains(text.String(), string(digits[:min(len(digits), 64)])) {
				t.Errorf("the text lacks %s of %s", value.Name, s.Name)
			}
		}
	}
}

// tap is a cipher of flynn/noise that remembers its keys and the additional data.
type tap struct {
	noise.CipherFunc
	keys, ads *[][]byte
}

func (t tap) Cipher(k [32]byte) noise.Cipher {
	*t.keys = append(*t.keys, k[:])
	return tapped{t.CipherFunc.Cipher(k), t.ads}
}

type tapped struct {
	noise.Cipher
	ads *[][]byte
}

func (t tapped) Encrypt(out []byte, n uint64, ad, plain []byte) []byte {
	*t.ads = append(*t.ads, bytes.Clone(ad))
	return t.Cipher.Encrypt(out, n, ad, plain)
}

// given is X25519 that gives out a chosen ephemeral key.
type given struct {
	noise.DHFunc
	pair KeyPair
}

func (g given) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	return noise.DHKey{Private: g.pair.Private, Public: g.pair.Public}, nil
}

// TestVectorsAgainstNoise runs flynn/noise by itself with the keys of each handshake: it comes to the same fields, the
// same key at every step and the same hash in front of every field.
func TestVectorsAgainstNoise(t *testing.T) {
	v, err := NewVectors(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range v.Groups[0].Tests {
		h := test.(*Handshake)
		var keys, ads [2][][]byte
		end := func(k int, own, ephemeral KeyPair, remote Hex) *noise.HandshakeState {
			suite := noise.NewCipherSuite(given{noise.DH25519, ephemeral}, tap{noise.CipherChaChaPoly, &keys[k], &ads[k]},
				noise.HashBLAKE2s)
			s, err := noise.NewHandshakeState(noise.Config{CipherSuite: suite, Pattern: noise.HandshakeIK, Initiator: k == 0,
				Prologue: []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"), PresharedKey: h.PSK, PresharedKeyPlacement: 2,
				StaticKeypair: noise.DHKey{Private: own.Private, Public: own.Public}, PeerStatic: remote})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		a := end(0, h.InitiatorStatic, h.InitiatorEphemeral, h.ResponderStatic.Public)
		b := end(1, h.ResponderStatic, h.ResponderEphemeral, nil)
		one, _, _, err1 := a.WriteMessage(nil, h.Timestamp)
		stamp, _, _, err2 := b.ReadMessage(nil, one)
		two, _, _, err3 := b.WriteMessage(nil, nil)
		_, _, _, err4 := a.ReadMessage(nil, two)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || !bytes.Equal(stamp, h.Timestamp) ||
			!bytes.Equal(one, h.Initiation[8:116]) || !bytes.Equal(two, h.Response[12:60]) {
			t.Fatalf("%s: the messages differ: %v %v %v %v", h.Comment, err1, err2, err3, err4)
		}
		at := map[string]Step{}
		for _, s := range h.Steps {
			at[s.Name] = s
		}
		// With a preshared key Noise derives a key from each ephemeral key too, which nothing uses; nor are those of ee and
		// se used.
		want := [][]byte{nil, at["es"].K, at["ss"].K, nil, nil, nil, at["psk"].K, at["transport"].T1, at["transport"].T2}
		for i, k := range keys[0] {
			if i >= len(want) || want[i] != nil && !bytes.Equal(k, want[i]) {
				t.Errorf("%s: key %d differs", h.Comment, i+1)
			}
		}
		got := slices.Concat(ads[0], ads[1])
		if len(keys[0]) != len(want) || len(got) != 3 || !bytes.Equal(got[0], at["static"].AD) ||
			!bytes.Equal(got[1], at["timestamp"].AD) || !bytes.Equal(got[2], at["empty"].AD) ||
			!bytes.Equal(a.ChannelBinding(), at["empty"].H) {
			t.Errorf("%s: the hashes differ", h.Comment)
		}
	}
}

// TestVectorsAgainstCore has two cores shake hands and tell their ephemeral keys: the ladder that makes the vectors
// makes the very messages that they sent.
func TestVectorsAgainstCore(t *testing.T) {
	for _, psk := range []peer.Key{{}, {5: 5}} {
		c := newCorePair(t, psk)
		one, two, data := c.exchange()
		x := asResponder(c.party(1), one, peer.PairOf(c.ephemeral[1]))
		x.er = peer.Key(two[12:44])
		ladder := climb(nil, x, true)
		made := exchange{si: x.si, sr: x.sr, ei: peer.PairOf(c.ephemeral[0]).Public, er: x.er, psk: psk,
			es: product(c.ephemeral[0], x.sr), ss: product(c.private[0], x.sr), ee: product(c.ephemeral[0], x.er),
			se: product(c.private[0], x.er), stamp: ladder.plain.when}
		own := &ladderOf{exchange: made}
		first, second := own.messages(peer.Sender(one), peer.Sender(two))
		if !bytes.Equal(first, one) || !bytes.Equal(second, two) {
			t.Errorf("psk %x:\n%x\n%x\nthe core sent\n%x\n%x", psk[:6], first, second, one, two)
		}
		keys := own.steps[len(own.steps)-1]
		from := tunnel{key: peer.Key(keys.T1)}
		if plain, ok := from.open(nil, data); !ok || !bytes.HasPrefix(plain, []byte{0x45}) {
			t.Errorf("psk %x: the core's data message does not open", psk[:6])
		}
	}
}

// ladderOf makes both messages of an exchange.
type ladderOf struct {
	exchange
	steps []Step
}

func (o *ladderOf) messages(sender, receiver uint32) (one, two []byte) {
	l := &ladder{}
	l.initiation(&o.exchange)
	l.response(&o.exchange)
	o.steps = l.steps
	none := mistakes(nil)
	one = append(none.header(peer.KindInitiation, sender), o.ei[:]...)
	one = peer.Remac(append(append(append(one, o.static...), o.when...), make([]byte, 32)...), o.sr, nil)
	two = append(none.header(peer.KindResponse, receiver, sender), o.er[:]...)
	return one, peer.Remac(append(append(two, o.empty...), make([]byte, 32)...), o.si, nil)
}

// corePair is two cores that tell their ephemeral keys.
type corePair struct {
	t         *testing.T
	devices   [2]*protocol.Device
	private   [2]peer.Key
	ephemeral [2]peer.Key
	psk       peer.Key
	batch     protocol.Batch
	worker    protocol.Worker
}

// coreAddr is where a core is.
func coreAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 51820)
}

func newCorePair(t *testing.T, psk peer.Key) *corePair {
	c := &corePair{t: t, private: [2]peer.Key{{1: 1}, {1: 2}}, psk: psk}
	preshared := protocol.PresharedKey(psk)
	for i := range c.devices {
		d, err := protocol.New(protocol.Config{Identity: protocol.NewIdentity(protocol.PrivateKey(c.private[i])),
			Entropy: rand.NewChaCha8([32]byte{byte(i)}), MTU: 1420, Trace: protocol.TraceSecrets})
		if err != nil {
			t.Fatal(err)
		}
		c.devices[i] = d
		d.Up(0, &c.batch)
		at := coreAddr(1 - i)
		if err := d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer,
			Peer: protocol.PublicKey(peer.PairOf(c.private[1-i]).Public), PresharedKey: &preshared, Endpoint: &at,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}, &c.batch); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *corePair) party(i int) *peer.Party {
	return &peer.Party{Static: peer.PairOf(c.private[i]), Remote: peer.PairOf(c.private[1-i]).Public, PSK: c.psk}
}

// exchange gives the initiation, the response and the first data message.
func (c *corePair) exchange() (one, two, data []byte) {
	packet := make([]byte, protocol.Headroom+20+protocol.Tailroom)
	copy(packet[protocol.Headroom:], []byte{0x45, 3: 20, 12: 10, 15: 1, 16: 10, 19: 2})
	c.batch.Reset()
	c.devices[0].HandlePackets(0, []protocol.Packet{{Buf: packet, Off: protocol.Headroom, Len: 20}}, &c.batch)
	var sent [][]byte
	for i := 0; len(sent) < 3; i = 1 - i {
		var now timers.Time
		protocol.Finish(now, c.devices[i], &c.batch, &c.worker)
		for _, e := range c.batch.Events {
			if e.Kind == protocol.EventSecrets {
				c.ephemeral[i] = e.Secret
			}
		}
		var arriving []protocol.Datagram
		for d := range c.batch.Outgoing() {
			b := bytes.Clone(d.Bytes())
			sent = append(sent, bytes.Clone(b))
			arriving = append(arriving, protocol.Datagram{Packet: protocol.Packet{Buf: b, Len: len(b)},
				Endpoint: protocol.Endpoint{Remote: coreAddr(i)}})
		}
		if len(arriving) == 0 {
			c.t.Fatalf("after %d messages nothing more is sent", len(sent))
		}
		c.batch.Reset()
		c.devices[1-i].HandleDatagrams(now, arriving, &c.batch)
	}
	if binary.LittleEndian.Uint32(sent[2]) != uint32(peer.KindTransport) {
		c.t.Fatalf("the third message is %x", sent[2][:4])
	}
	return sent[0], sent[1], sent[2]
}
