package program

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

func TestSplit(t *testing.T) {
	env := func(name string) string { return map[string]string{"WORDS": "a b"}[name] }
	for command, want := range map[string][]string{
		"sh -f {if}":                   {"/sh", "-f", "wgc0"},
		"sh":                           {"/sh", "wgc0"},
		`sh --name={if} 'two words' x`: {"/sh", "--name=wgc0", "two words", "x"},
		`sh "$WORDS" \{if\}`:           {"/sh", "a b", "wgc0"},
	} {
		got, err := split(command, env)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if !strings.HasPrefix(got[0], "/") || !strings.HasSuffix(got[0], want[0]) || !slices.Equal(got[1:], want[1:]) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{"", "  ", "sh 'open", "no-such-program-here", "sh $(id)"} {
		if got, err := split(command, env); err == nil {
			t.Errorf("%q: taken as %q", command, got)
		}
	}
}

// The text of a set operation, in the order that the protocol wants.
func TestSetText(t *testing.T) {
	private, psk, port, mark, seconds := conformance.Key{1}, conformance.Key{}, uint16(51820), uint32(9), uint16(5)
	endpoint := netip.MustParseAddrPort("[fe80::1]:7")
	got := setText(&conformance.Change{PrivateKey: &private, ListenPort: &port, Mark: &mark, ReplacePeers: true,
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

// Answers that are none are errors that say why.
func TestConverse(t *testing.T) {
	for answer, want := range map[string]string{
		"errno=-98\n\n": "errno=-98", "errno=x\n\n": `errno is "x"`, "": "without errno", "listen_port=1\n": "without errno",
	} {
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 100))
			_, _ = far.Write([]byte(answer))
			far.Close()
		}()
		if _, err := converse(near, "get=1\n\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", answer, err, want)
		}
	}
	for _, lines := range [][]string{{"x"}, {"private_key=12"}, {"listen_port=99999"}, {"public_key=zz"},
		{"public_key=" + strings.Repeat("11", 32), "endpoint=nowhere"}} {
		if s, err := parseState(lines, realtime.PublicKey); err == nil {
			t.Errorf("%q: read as %+v", lines, s)
		}
	}
}
