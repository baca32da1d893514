package main

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
)

// keyText is a key of 32 equal bytes as a file has it.
func keyText(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string([]byte{b}), 32)))
}

func keyOf(b byte) (k [32]byte) {
	for i := range k {
		k[i] = b
	}
	return k
}

var fullConfig = `# a comment
[Interface]
PrivateKey = ` + keyText(1) + `
listenport=51820 # and another
FwMark = 0xCA6c
Address = 10.0.0.1/24, fd00::1/64
Address = 10.9.9.9
MTU = 1380
Table = 1234
DNS = 9.9.9.9, example.org

[peer]
PublicKey = ` + keyText(2) + `
PresharedKey = ` + keyText(3) + `
AllowedIPs = 10.0.0.2/32,10.7.1.9/16
AllowedIPs = fd00::2
Endpoint = [2001:db8::1]:51820
PersistentKeepalive = 25
[Peer]
PublicKey=` + keyText(4) + `
AllowedIPs =
Endpoint = vpn.example.org:443
PersistentKeepalive = off`

func prefixes(s ...string) (all []netip.Prefix) {
	for _, p := range s {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestConfigEveryField(t *testing.T) {
	c, err := parseConfig("wg0.conf", strings.NewReader(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	psk, keepalive, off := protocol.PresharedKey(keyOf(3)), uint16(25), uint16(0)
	want := &config{
		path: "wg0.conf", PrivateKey: keyOf(1), ListenPort: 51820, FwMark: 0xca6c,
		Addresses: prefixes("10.0.0.1/24", "fd00::1/64", "10.9.9.9/32"), MTU: 1380, Table: table{tableNumber, 1234},
		DNS: []string{"9.9.9.9", "example.org"},
		Peers: []peerConfig{{
			line: 12, PublicKey: keyOf(2), PresharedKey: &psk,
			AllowedIPs: prefixes("10.0.0.2/32", "10.7.0.0/16", "fd00::2/128"),
			Endpoint:   endpoint{17, "2001:db8::1", 51820}, PersistentKeepalive: &keepalive,
		}, {
			line: 19, PublicKey: keyOf(4), Endpoint: endpoint{22, "vpn.example.org", 443}, PersistentKeepalive: &off,
		}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if w := c.warnings(0o600); len(w) != 1 || !strings.Contains(w[0], "DNS") {
		t.Errorf("warnings: %q", w)
	}
	if w := c.warnings(0o644); len(w) != 2 || !strings.Contains(w[1], "private key") {
		t.Errorf("warnings of a file that all can read: %q", w)
	}
}

// Each mistake is answered with the file, its line and its field, and never with a key.
func TestConfigMistakes(t *testing.T) {
	head := "[Interface]\nPrivateKey=" + keyText(1) + "\n"
	peer := head + "[Peer]\nPublicKey=" + keyText(2) + "\n"
	secret := keyText(9)[:20]
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "f.conf: there is no [Interface]"},
		{"field first", "MTU=1\n", "f.conf:1: MTU: stands before"},
		{"no equals sign", head + "hello\n", "f.conf:3: neither"},
		{"section", head + "[Peers]\n", "f.conf:3: [Peers]: not a section"},
		{"two interfaces", head + "[Interface]\n", "f.conf:3: [Interface]: given already in line 1"},
		{"no private key", "[Interface]\nMTU=1400\n", "f.conf:1: PrivateKey: missing"},
		{"no public key", head + "\n[Peer]\nPersistentKeepalive=1\n[Peer]", "f.conf:4: PublicKey: missing"},
		{"unknown field", head + "Adress=10.0.0.1\n", "f.conf:3: Adress: not a field"},
		{"field of the other section", peer + "MTU=1400\n", "f.conf:5: MTU: not a field"},
		{"twice", head + "mtu=1400\nMTU=1400\n", "f.conf:4: MTU: given already in line 3"},
		{"no value", head + "MTU=\n", "f.conf:3: MTU: has no value"},
		{"short key", "[Interface]\nPrivateKey=" + secret + "\n", "f.conf:2: PrivateKey: not a key"},
		{"key with bits behind it", peer + "PresharedKey=" + keyText(0)[:42] + "B=\n", "f.conf:5: PresharedKey: not a key"},
		{"port", head + "ListenPort=65536\n", `f.conf:3: ListenPort: "65536" is not a port`},
		{"mark", head + "FwMark=0x1ffffffff\n", "f.conf:3: FwMark: "},
		{"MTU", head + "MTU=67\n", "f.conf:3: MTU: "},
		{"table", head + "Table=vpn\n", `f.conf:3: Table: "vpn"`},
		{"address", head + "Address=10.0.0.1/33\n", `f.conf:3: Address: "10.0.0.1/33"`},
		{"mapped address", head + "Address=::ffff:10.0.0.1\n", "f.conf:3: Address: "},
		{"zone", peer + "AllowedIPs=fe80::1%eth0\n", "f.conf:5: AllowedIPs: "},
		{"peer twice", peer + "[Peer]\nPublicKey=" + keyText(2) + "\n",
			"f.conf:6: PublicKey: this peer is there already, in line 4"},
		{"route twice", peer + "AllowedIPs=10.1.0.0/16\n[Peer]\nPublicKey=" + keyText(3) + "\nAllowedIPs=10.1.2.3/16\n",
			"f.conf:8: AllowedIPs: 10.1.0.0/16 is given already in line 5"},
		{"endpoint without port", peer + "Endpoint=10.0.0.1\n", "f.conf:5: Endpoint: "},
		{"endpoint with port 0", peer + "Endpoint=10.0.0.1:0\n", "f.conf:5: Endpoint: "},
		{"endpoint without brackets", peer + "Endpoint=2001:db8::1:5\n", "f.conf:5: Endpoint: "},
		{"keepalive", peer + "PersistentKeepalive=-1\n", "f.conf:5: PersistentKeepalive: "},
		{"command", head + "PostUp=iptables -F\n", "f.conf:3: PostUp: wgnode runs no commands"},
		{"save", head + "SaveConfig=true\n", "f.conf:3: SaveConfig: "},
		{"long line", head + strings.Repeat("x", 1<<20) + "\n", "f.conf:3: the line is longer"},
	} {
		_, err := parseConfig("f.conf", strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that begins with %q", c.name, err, c.want)
		}
		for _, b := range []byte{0, 1, 2, 3, 9} {
			if err != nil && strings.Contains(err.Error(), keyText(b)[:20]) {
				t.Errorf("%s: the message has a key in it: %v", c.name, err)
			}
		}
	}
}

func TestConfigInterfaceName(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/wireguard/wg0.conf": "wg0", "a-b_c=d+e.f.conf": "a-b_c=d+e.f", "fifteen-letters.conf": "fifteen-letters",
		"sixteen-letters1.conf": "", "wg0": "", "/etc/wg 0.conf": "", ".conf": "",
	} {
		if got, err := interfaceOf(path); got != want || (err == nil) != (want != "") {
			t.Errorf("interfaceOf(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
}

// names answers each look-up with the next of its errors, then with an address.
type names struct{ errs []error }

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if len(n.errs) > 0 {
		err := n.errs[0]
		n.errs = n.errs[1:]
		return nil, err
	}
	return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.7")}, nil
}

func TestConfigChanges(t *testing.T) {
	c, err := parseConfig("wg0.conf", strings.NewReader(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := c.changes(t.Context(), &names{errs: []error{&net.DNSError{IsTemporary: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := changes[0].Identity.PublicKey(); got != protocol.NewIdentity(keyOf(1)).PublicKey() || len(changes) != 3 {
		t.Fatalf("%d changes, the first for key %v", len(changes), got)
	}
	if got := endpoints(changes); len(got) != 2 || got[0].String() != "2001:db8::1" || got[1].String() != "192.0.2.7" {
		t.Errorf("endpoints %v", got)
	}
	gone := errors.New("no such host")
	_, err = c.changes(t.Context(), &names{errs: []error{gone}})
	if err == nil || err.Error() != "wg0.conf:22: Endpoint: no such host" {
		t.Errorf("a name that does not exist: %v", err)
	}
}
