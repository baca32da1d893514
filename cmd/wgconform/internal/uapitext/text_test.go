package uapitext

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// The text of a set operation, in the order that the protocol wants.
func TestSet(t *testing.T) {
	private, psk, port, mark, seconds := conformance.Key{1}, conformance.Key{}, uint16(51820), uint32(9), uint16(5)
	endpoint := netip.MustParseAddrPort("[fe80::1]:7")
	got := Set(&conformance.Change{PrivateKey: &private, ListenPort: &port, Mark: &mark, ReplacePeers: true,
		Peers: []conformance.PeerChange{
			{PublicKey: conformance.Key{2}, UpdateOnly: true, PresharedKey: &psk, Endpoint: &endpoint, Keepalive: &seconds,
				ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			{PublicKey: conformance.Key{3}, Remove: true},
		}})
	zeros := strings.Repeat("00", 31)
	want := "set=1\nprivate_key=01" + zeros + "\nlisten_port=51820\nfwmark=9\nreplace_peers=true\n" +
		"public_key=02" + zeros + "\nupdate_only=true\npreshared_key=00" + zeros + "\nendpoint=[fe80::1]:7\n" +
		"persistent_keepalive_interval=5\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n" +
		"public_key=03" + zeros + "\nremove=true\n\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A get is read as it is meant, and what is no answer to one is an error.
func TestState(t *testing.T) {
	ones := strings.Repeat("11", 32)
	lines := strings.Split("listen_port=7\nfwmark=0x10\npublic_key="+ones+
		"\npreshared_key="+ones+"\nprotocol_version=1\nendpoint=[fd00::1]:9\nlast_handshake_time_sec=3\n"+
		"last_handshake_time_nsec=4\ntx_bytes=5\nrx_bytes=6\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\n"+
		"allowed_ip=::/0\nunheard=of\npublic_key="+strings.Repeat("22", 32), "\n")
	got, err := State(lines)
	var one, two conformance.Key
	for i := range one {
		one[i], two[i] = 0x11, 0x22
	}
	want := conformance.State{ListenPort: 7, Mark: 16, Peers: []conformance.PeerState{
		{PublicKey: one, PresharedKey: one, Endpoint: netip.MustParseAddrPort("[fd00::1]:9"), Sent: 5, Received: 6,
			Keepalive: 25, LastHandshake: time.Unix(3, 4),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}},
		{PublicKey: two}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, %v\nwant\n%+v", got, err, want)
	}
	// RFC 7748, section 6.1: Alice's key pair.
	got, err = State([]string{"private_key=77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"})
	const public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
	if err != nil || conformance.Hex(got.PublicKey) != public {
		t.Errorf("the public key of a private one: %x, %v", got.PublicKey, err)
	}
	for _, lines := range [][]string{{"x"}, {"private_key=12"}, {"listen_port=99999"}, {"public_key=zz"},
		{"public_key=" + ones, "endpoint=nowhere"}} {
		if s, err := State(lines); err == nil {
			t.Errorf("%q: read as %+v", lines, s)
		}
	}
}
