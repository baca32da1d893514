package remote

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

const (
	key1 = "iNRPhJs5nQvKLOYdtD8BGoF0XXRbgwyhiWBJoDpBNUA="
	key2 = "KDN0NyJNLyTNDWWZyJX0oyjVxnFUeyPSyHyFYpAqM1U="
	psk  = "Y3VyaW9zaXR5IGtpbGxlZCB0aGUgY2F0LCBpdCBpcyE="
	good = `version: 1
name: lab router
addresses: ["192.0.2.1:51820", "[2001:db8::1]:51820"]
local: [192.0.2.2]
public-key: ` + key1 + `
trigger:
  echo-udp: ["10.99.0.1:7"]
  ping: ["fd99::1", 10.99.0.1]
  command: ssh router ping -c1 $address
observe: [tos]
reset: ssh router /etc/init.d/wg restart
peers:
- private-key: ` + key2 + `
  preshared-key: ` + psk + `
  allowed-ips: [10.99.0.2/32, "fd99::2/128"]
- private-key: ` + psk + `
  allowed-ips: [10.99.1.0/24, "fd99:1::/64"]
`
)

// TestParse: a file with everything in it means what it says.
func TestParse(t *testing.T) {
	d, err := parse("x.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	g := &d.given
	if text(g.PublicKey) != key1 || len(g.Outer) != 2 || g.Outer[1] != netip.MustParseAddrPort("[2001:db8::1]:51820") ||
		len(g.EchoUDP) != 1 || len(g.EchoPing) != 2 || !d.tos || d.local[0] != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("got %+v", d)
	}
	c := capabilities(d, "x.yaml")
	for _, n := range []conformance.Need{conformance.NeedIPv6, conformance.NeedTOS, conformance.NeedRestart} {
		if c.Has&n == 0 {
			t.Errorf("%v is lacking", n)
		}
	}
	if !c.Single || !c.Given.Sends || c.Name != "remote:lab router" {
		t.Errorf("got %+v", c)
	}
	if p := g.Peers[1]; text(p.Private) != psk || p.PresharedKey != (conformance.Key{}) || len(p.AllowedIPs) != 2 {
		t.Errorf("got %+v", p)
	}
	if a := inner(&g.Peers[1], false); a != netip.MustParseAddr("10.99.1.1") {
		t.Errorf("inner address %v", a)
	}
}

// TestBrokenFiles: whatever is wrong, the error is one line with the place and the field.
func TestBrokenFiles(t *testing.T) {
	own := text(peer.PairOf(conformance.Key{1}).Public)
	for _, c := range []struct{ old, replacement, want string }{
		{good, "", "x.yaml:1:1: the file is empty"},
		{good, "\x00", "x.yaml:1:1: this is no YAML file"},
		{good, "- a\n- b\n", "x.yaml:1:1: "},
		{"version: 1", "version: 2", "x.yaml:1:10: version: version 2 is not known"},
		{"version: 1\n", "", "x.yaml:1:1: version: version 0 is not known"},
		{"name: lab", "nam: lab", `x.yaml:2:1: unknown field "nam"`},
		{"name: lab router", "version: 1", "x.yaml:2:1: "},
		{"name: lab router", "name: [", "x.yaml:"},
		{"name: lab router", "name: {a: b}", "x.yaml:2:"},
		{"name: lab router", "---\nname: x", "x.yaml:3:1: a second document"},
		{"192.0.2.1:51820", "192.0.2.1", `x.yaml:3:13: addresses[0]: "192.0.2.1" is not ADDRESS:PORT`},
		{"192.0.2.1:51820", "router:51820", "x.yaml:3:13: addresses[0]: "},
		{"192.0.2.1:51820", "192.0.2.1:0", "x.yaml:3:13: addresses[0]: nothing can be sent to"},
		{"192.0.2.1:51820", "0.0.0.0:5", "x.yaml:3:13: addresses[0]: nothing can be sent to"},
		{"[2001:db8::1]:51820", "192.0.2.9:5", "x.yaml:3:32: addresses[1]: a second address of one family"},
		{`addresses: ["192.0.2.1:51820", "[2001:db8::1]:51820"]`, "addresses: []", "x.yaml:3:12: addresses: it is missing"},
		{`addresses: ["192.0.2.1:51820", "[2001:db8::1]:51820"]` + "\n", "", "x.yaml:1:1: addresses: it is missing"},
		{`addresses: ["192.0.2.1:51820", "[2001:db8::1]:51820"]`, "addresses: 192.0.2.1:5", "x.yaml:3:12: "},
		{"local: [192.0.2.2]", "local: [here]", `x.yaml:4:9: local[0]: "here" is no IP address`},
		{`, "[2001:db8::1]:51820"]` + "\nlocal: [192.0.2.2]", "]\nlocal: ['2001:db8::7']",
			"x.yaml:4:9: local[0]: the device has no"},
		{key1, "", "x.yaml:5:12: public-key: it is missing"},
		{key1, key1[1:], "x.yaml:5:13: public-key: it is no key"},
		{key1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "x.yaml:5:13: public-key: a key of zeros"},
		{key1, "5", "x.yaml:5:13: public-key: it is no key"},
		{"10.99.0.1:7", "10.99.0.1", "x.yaml:7:14: trigger.echo-udp[0]: "},
		{"ping: [\"fd99::1\", 10.99.0.1]", "ping: [10.99.0.1/16]", "x.yaml:8:10: trigger.ping[0]: "},
		{`"fd99::1", 10.99.0.1`, "10.99.0.2", "x.yaml:8:10: trigger.ping[0]: the device has one inner address"},
		{"command: ssh", "manual: true\n  command: ssh", "x.yaml:9:11: trigger.manual: a person or a command"},
		{"command: ssh", "manual: maybe\n  x: ssh", "x.yaml:"},
		{"command: ssh", "comand: ssh", `x.yaml:9:3: unknown field "comand"`},
		{"observe: [tos]", "observe: [tos, state]", `x.yaml:10:16: observe[1]: "state": only tos`},
		{good[strings.Index(good, "peers:"):], "peers: []\n", "x.yaml:12:8: peers: it is missing"},
		{good[strings.Index(good, "peers:"):], "", "x.yaml:1:1: peers: it is missing"},
		{good[strings.Index(good, "peers:"):], "peers: 5\n", "x.yaml:12:8: "},
		{"private-key: " + key2, "private-key: x", "x.yaml:13:16: peers[0].private-key: it is no key"},
		{"- private-key: " + key2 + "\n  ", "- ", "x.yaml:13:3: peers[0].private-key: it is missing"},
		{"- private-key: " + psk, "- private-key: " + key2, "x.yaml:16:16: peers[1].private-key: the key of peers[0]"},
		{"  preshared-key: " + psk, "  preshared-key: no", "x.yaml:14:18: peers[0].preshared-key: it is no key"},
		{"  preshared-key: " + psk, "  keepalive: 25", `x.yaml:14:3: unknown field "keepalive"`},
		{"10.99.1.0/24", "10.99.1.0", "x.yaml:17:17: peers[1].allowed-ips[0]: "},
		{"10.99.1.0/24", "10.99.0.2/31", "x.yaml:17:17: peers[1].allowed-ips[0]: 10.99.0.2/31 overlaps 10.99.0.2/32"},
		{"10.99.1.0/24", "10.99.0.1/32", "x.yaml:17:17: peers[1].allowed-ips[0]: 10.99.0.1 is where the device itself"},
		{`10.99.1.0/24, "fd99:1::/64"`, "10.99.1.0/24",
			"x.yaml:17:16: peers[1].allowed-ips: no address of the family of fd99::1"},
		{`10.99.1.0/24, "fd99:1::/64"`, "", "x.yaml:17:16: peers[1].allowed-ips: it is missing"},
		{key1 + "\n", own + "\n", ""},
	} {
		broken := strings.Replace(good, c.old, c.replacement, 1)
		_, err := parse("x.yaml", []byte(broken))
		if c.want == "" { // a control: the replacement itself does no harm
			if err != nil {
				t.Errorf("%q for %q: %v", c.replacement, c.old, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q for %q:\n\tgot  %v\n\twant %s", c.replacement, c.old, err, c.want)
		}
	}
	device := strings.Replace(good, key1, text(peer.PairOf(mustKey(t, key2)).Public), 1)
	if _, err := parse("x.yaml", []byte(device)); err == nil || !strings.Contains(err.Error(), "the device's own key") {
		t.Errorf("the device's own key: %v", err)
	}
}

func mustKey(t *testing.T, s string) conformance.Key {
	t.Helper()
	k, err := (&checker{name: "x"}).key(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestGenerate: what is written can be read, agrees with the printed configuration, and keeps to the schema.
func TestGenerate(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16"), netip.MustParsePrefix("fd99::/64")}
	p := Plan{Name: "phone", Addresses: []string{"192.0.2.1:51821"}, Peers: 7, Networks: networks,
		Trigger: Trigger{Ping: []string{"10.99.0.1", "fd99::1"}}, Observe: []string{"tos"}, Reset: "true"}
	file, configuration, err := Generate(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := parse("phone.yaml", file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.given.Peers {
		public := "PublicKey = " + text(peer.PairOf(d.given.Peers[i].Private).Public) + "\n"
		if !strings.Contains(string(configuration), public) {
			t.Errorf("peers[%d] is not configured", i)
		}
	}
	if !strings.Contains(string(configuration), "Address = 10.99.0.1/16, fd99::1/64\n") ||
		!strings.Contains(string(configuration), "ListenPort = 51821\n") ||
		strings.Count(string(configuration), "PresharedKey") != 2 {
		t.Errorf("got %s", configuration)
	}
	checkSchema(t, file)
	checkSchema(t, []byte(good))
	p.PublicKey = text(d.given.PublicKey)
	if _, configuration, err = Generate(p); err != nil || strings.Contains(string(configuration), "\nPrivateKey") {
		t.Errorf("a device with a key: %v\n%s", err, configuration)
	}
	for _, bad := range []func(*Plan){
		func(p *Plan) { p.Peers = 0 },
		func(p *Plan) { p.Peers = mostPeers + 1 },
		func(p *Plan) { p.Networks = []netip.Prefix{netip.MustParsePrefix("10.99.0.0/30")} },
		func(p *Plan) { p.Addresses = []string{"here"} },
		func(p *Plan) { p.PublicKey = "x" },
		func(p *Plan) { p.Observe = []string{"everything"} },
	} {
		q := p
		bad(&q)
		if _, _, err := Generate(q); err == nil {
			t.Errorf("%+v is no error", q)
		}
	}
}

// checkSchema holds a file to docs/remote.schema.json.
func checkSchema(t *testing.T, file []byte) {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../../../../docs/remote.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	j, err := yaml.YAMLToJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(j)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Error(err)
	}
}

// FuzzParse: no file, however broken, makes it panic, and every error is one line.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("peers: [{private-key: 5}, 7]\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := parse("x.yaml", []byte(s)); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}

// TestSchemaFields: the schema knows the fields as well as the program does.
func TestSchemaFields(t *testing.T) {
	text, err := os.ReadFile("../../../../../docs/remote.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"version", "name", "addresses", "local", "public-key", "trigger", "echo-udp", "ping",
		"command", "manual", "observe", "reset", "peers", "private-key", "preshared-key", "allowed-ips"} {
		if !strings.Contains(string(text), `"`+field+`": {`) {
			t.Errorf("the schema has no field %s", field)
		}
	}
}
