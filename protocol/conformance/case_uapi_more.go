package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// OwnKey is the public key of the device, from the private key that it shows.
func (u *UAPI) OwnKey() (k Key) {
	text, ok := u.Get().Value("private_key")
	if !ok {
		u.t.Fail("private_key in the answer to a get", "none")
	}
	b, err := hexKey(text)
	if err != nil {
		u.t.Fail("a private key of 64 hexadecimal digits", text)
	}
	return peer.PairOf(b).Public
}

func hexKey(text string) (k Key, err error) {
	if len(text) != 2*len(k) {
		return k, fmt.Errorf("%d digits", len(text))
	}
	for i := range k {
		v, err := strconv.ParseUint(text[2*i:2*i+2], 16, 8)
		if err != nil {
			return k, err
		}
		k[i] = byte(v)
	}
	return k, nil
}

var uapiAllowedCases = []Case{
	uapiCase("allowed-ip/adds", []string{"UAPI-23"}, Must, "allowed_ip adds to the list", whyTools, func(t *T) {
		k, section := stranger(t)
		accepted(t, section, "allowed_ip=10.61.0.0/16")
		accepted(t, section, "allowed_ip=2001:db8:61::/48")
		t.Equal("the allowed IPs", fmt.Sprint(values(listed(t, k), "allowed_ip")), "[10.61.0.0/16 2001:db8:61::/48]")
	}),
	uapiCase("allowed-ip/moves", []string{"UAPI-23", "ROUTE-04"}, Must,
		"A prefix that is given to another peer leaves the first", "A prefix belongs to one peer: that is the routing.",
		func(t *T) {
			a, first := stranger(t)
			b, second := stranger(t)
			accepted(t, first, "allowed_ip=10.62.0.0/16", "allowed_ip=10.63.0.0/16")
			accepted(t, second, "persistent_keepalive_interval=62", "allowed_ip=10.62.0.0/16")
			t.Equal("the allowed IPs of both", fmt.Sprint(values(listed(t, a), "allowed_ip"),
				values(listed(t, b), "allowed_ip")), "[10.63.0.0/16] [10.62.0.0/16]")
		}),
	uapiCase("allowed-ip/replace", []string{"UAPI-22"}, Must, "replace_allowed_ips=true empties the list first", whyTools,
		func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "allowed_ip=10.64.0.0/16", "allowed_ip=10.65.0.0/16")
			accepted(t, section, "replace_allowed_ips=true", "allowed_ip=10.66.0.0/16")
			t.Equal("the allowed IPs", fmt.Sprint(values(listed(t, k), "allowed_ip")), "[10.66.0.0/16]")
		}),
	uapiCase("allowed-ip/minus", []string{"UAPI-24"}, Should, "allowed_ip=-PREFIX removes exactly that prefix",
		"Routing daemons change one prefix of thousands.", func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "allowed_ip=10.67.0.0/16", "allowed_ip=10.67.1.0/24")
			accepted(t, section, "allowed_ip=-10.67.0.0/16")
			t.Equal("the allowed IPs", fmt.Sprint(values(listed(t, k), "allowed_ip")), "[10.67.1.0/24]")
		}),
	uapiCase("allowed-ip/minus-absent", []string{"UAPI-24"}, Should,
		"Removing a prefix that the peer does not have is no error, and takes it from no other", whyTools, func(t *T) {
			a, first := stranger(t)
			_, second := stranger(t)
			accepted(t, first, "allowed_ip=10.68.0.0/16")
			errno := uset(t, second, "allowed_ip=-10.68.0.0/16")
			t.Equal("errno and the first peer's allowed IPs", fmt.Sprint(errno, values(listed(t, a), "allowed_ip")),
				"0 [10.68.0.0/16]")
		}),
	{
		ID: "uapi/allowed-ip/host-bits", Rules: []string{"ROUTE-07", "UAPI-23"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 4 * time.Second, Title: "Host bits of an allowed IP are cleared",
		Why: "Two spellings of one prefix must be one entry, or taking it away leaves the other.", Bug: "B131, B133",
		Run: func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "allowed_ip=10.70.0.0/16", "allowed_ip=10.69.2.3/16")
			t.Equal("the allowed IPs", fmt.Sprint(values(listed(t, k), "allowed_ip")), "[10.69.0.0/16 10.70.0.0/16]")
		},
	},
}

// ownUAPI is a case that changes what all peers share.
func ownUAPI(id string, rules []string, level Level, title, why string, run func(*T)) Case {
	c := uapiCase(id, rules, level, title, why, run)
	c.Isolation, c.Lasts = OwnInstance, time.Second
	return c
}

var uapiDeviceCases = []Case{
	ownUAPI("device/private-key", []string{"UAPI-10"}, Must, "The private key is shown as it was set",
		"wg showconf must give a configuration that works.", func(t *T) {
			clamped := "40" + strings.Repeat("11", 30) + "51"
			accepted(t, "private_key="+clamped)
			got, _ := uget(t).Value("private_key")
			t.Equal("private_key", got, clamped)
		}),
	{
		ID: "uapi/device/private-key-clamped", Rules: []string{"CRYPTO-13", "UAPI-10"}, Level: Must,
		Isolation: OwnInstance, Needs: NeedUAPI, Lasts: 4 * time.Second,
		Title: "A private key is stored clamped", Bug: "B152",
		Why: "Two spellings of one key would be told apart, and the same key set again would end all sessions.",
		Run: func(t *T) {
			accepted(t, "private_key="+strings.Repeat("ff", 32))
			got, _ := uget(t).Value("private_key")
			t.Equal("private_key", got, "f8"+strings.Repeat("ff", 30)+"7f")
		},
	},
	ownUAPI("device/private-key-removed", []string{"UAPI-11"}, Must, "A private key of zeros removes it", whyTools,
		func(t *T) {
			accepted(t, "private_key="+strings.Repeat("0", 64))
			got, _ := uget(t).Value("private_key")
			t.Check(strings.Trim(got, "0") == "", "no private_key, or zeros", got)
		}),
	{
		ID: "uapi/device/becomes-its-peer", Rules: []string{"UAPI-33"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedUAPI, Lasts: 4 * time.Second, Bug: "B153",
		Title: "A private key whose public key is a peer's removes that peer",
		Why:   "A device that is its own peer would talk to itself.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			k := p.Party.Static.Public
			accepted(t, "public_key="+Hex(k))
			accepted(t, "private_key="+Hex(p.Party.Static.Private))
			_, ok := uget(t).Peer(k)
			t.Check(!ok, "no peer with the device's own key", "it is still there")
		},
	},
	ownUAPI("device/listen-port", []string{"UAPI-12"}, Must, "listen_port sets the port, and is shown", whyTools,
		func(t *T) {
			accepted(t, "listen_port=51999")
			got, _ := uget(t).Value("listen_port")
			t.Equal("listen_port", got, "51999")
		}),
	ownUAPI("device/listen-port-chosen", []string{"UAPI-12"}, Must, "listen_port=0 chooses a port and shows it",
		"A peer can only be told of a port that is known.", func(t *T) {
			accepted(t, "listen_port=0")
			got, _ := uget(t).Value("listen_port")
			n, err := strconv.Atoi(got)
			t.Check(err == nil && n > 0 && n < 65536, "a listen_port from 1 to 65535", strconv.Quote(got))
		}),
	ownUAPI("device/listen-port-taken", []string{"UAPI-13"}, Should, "A port that another program has is refused as taken",
		"A program that seems to listen and does not is looked for in the firewall.", func(t *T) {
			errno := uset(t, fmt.Sprintf("listen_port=%d", TakenPort))
			t.Check(errno == int(syscall.EADDRINUSE), fmt.Sprintf("errno=%d (EADDRINUSE)", int(syscall.EADDRINUSE)),
				fmt.Sprintf("errno %d", errno))
		}),
	ownUAPI("device/fwmark", []string{"UAPI-14"}, Must, "fwmark is shown as a decimal number, and 0 removes it", whyTools,
		func(t *T) {
			accepted(t, "fwmark=4294967295")
			set, _ := uget(t).Value("fwmark")
			accepted(t, "fwmark=0")
			gone, _ := uget(t).Value("fwmark")
			t.Check(set == "4294967295" && strings.Trim(gone, "0") == "", "4294967295, then 0 or none",
				fmt.Sprintf("%q, then %q", set, gone))
		}),
	ownUAPI("device/replace-peers", []string{"UAPI-15"}, Must, "replace_peers=true removes the peers that were there",
		whyTools, func(t *T) {
			a, first := stranger(t)
			b, second := stranger(t)
			accepted(t, first)
			accepted(t, "replace_peers=true", second)
			r := uget(t)
			_, old := r.Peer(a)
			_, fresh := r.Peer(b)
			t.Check(!old && fresh, "the new peer only", fmt.Sprintf("the old one: %t, the new one: %t", old, fresh))
		}),
}

// refusal is a line that a set must refuse, and the rule that says so. In a peer's section unless it is the device's.
type refusal struct {
	id, line, rule string
	level          Level
	device         bool
	errno          int // wanted; 0: any
}

var refusals = []refusal{
	{"unknown-key", "frobnicate=1", "UAPI-29", Must, true, 22},
	{"unknown-peer-key", "frobnication=1", "UAPI-29", Must, false, 22},
	{"no-equals-sign", "allowed_ip", "UAPI-30", Must, false, 71},
	{"short-private-key", "private_key=00ff", "UAPI-31", Must, true, 22},
	{"bad-preshared-key", "preshared_key=" + strings.Repeat("zz", 32), "UAPI-31", Must, false, 22},
	{"bad-endpoint", "endpoint=192.0.2.1", "UAPI-31", Must, false, 22},
	{"bad-allowed-ip", "allowed_ip=10.0.0.0/33", "UAPI-31", Must, false, 22},
	{"bad-allowed-ip-v6", "allowed_ip=2001:db8::/129", "UAPI-31", Must, false, 22},
	{"interval-out-of-range", "persistent_keepalive_interval=65536", "UAPI-21", Must, false, 22},
	{"interval-no-number", "persistent_keepalive_interval=often", "UAPI-31", Must, false, 22},
	{"port-out-of-range", "listen_port=65536", "UAPI-12", Must, true, 22},
	{"mark-out-of-range", "fwmark=4294967296", "UAPI-14", Must, true, 22},
	{"other-protocol-version", "protocol_version=2", "UAPI-25", Must, false, 0},
	{"replace-peers-false", "replace_peers=false", "UAPI-32", Should, true, 22},
	{"remove-false", "remove=false", "UAPI-32", Should, false, 22},
	{"update-only-false", "update_only=false", "UAPI-32", Should, false, 22},
	{"replace-allowed-ips-false", "replace_allowed_ips=false", "UAPI-32", Should, false, 22},
}

// uapiRefusals makes a case of each.
func uapiRefusals() (list []Case) {
	for _, r := range refusals {
		list = append(list, uapiCase("refuse/"+r.id, []string{r.rule}, r.level, "A set with "+r.line+" is refused",
			"A mistake that is not reported is found when the tunnel does not work.", func(t *T) {
				lines := []string{r.line}
				if !r.device {
					_, section := stranger(t)
					lines = []string{section, r.line}
				}
				errno := uset(t, lines...)
				t.Check(errno != 0, "an error for "+r.line, "errno=0")
				if r.errno != 0 {
					t.Measure("errno", strconv.Itoa(errno))
				}
			}))
	}
	return list
}

var uapiEffectCases = []Case{
	{
		ID: "uapi/effect/preshared-key", Rules: []string{"UAPI-19"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 6 * time.Second, Bug: "B007",
		Title: "The next handshake uses a preshared key that was set",
		Why:   "A key that is shown but not used protects nothing.",
		Run: func(t *T) {
			p := t.Peer()
			p.Party.PSK = Key(t.Text(32))
			accepted(t, "public_key="+Hex(p.Party.Static.Public), "preshared_key="+Hex(p.Party.PSK))
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			p.Expect(Response.That("made with the new key", func(g *Got) bool { return g.Session != nil }), t.Soon())
		},
	},
	{
		ID: "uapi/effect/new-peer-is-used", Rules: []string{"UAPI-16"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI | NeedInner, Lasts: 4 * time.Second, Bug: "B155",
		Title: "A peer that is added to a device which is up is used at once",
		Why:   "One implementation started the last peer of a request only with the next request.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			section := "public_key=" + Hex(p.Party.Static.Public)
			accepted(t, section, "endpoint="+p.Addr.String(), "allowed_ip="+p.Inner4.String()+"/32")
			t.Cleanup(func() { uset(t, section, "remove=true") })
			t.Inject(p.Outbound())
			p.Expect(Initiation, t.Soon())
		},
	},
	{
		ID: "uapi/effect/last-handshake", Rules: []string{"UAPI-27", "UAPI-28"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 8 * time.Second,
		Title: "After a handshake a peer shows when it was, and what was received and sent",
		Why:   "This is how people see whether a tunnel works.",
		Run: func(t *T) {
			p := t.Peer()
			p.Connect()
			lines := listed(t, p.Party.Static.Public)
			sec, _ := value(lines, "last_handshake_time_sec")
			nsec, _ := value(lines, "last_handshake_time_nsec")
			rx, _ := value(lines, "rx_bytes")
			tx, _ := value(lines, "tx_bytes")
			n, err := strconv.ParseUint(nsec, 10, 32)
			t.Check(len(sec) >= 9 && err == nil && n < 1_000_000_000, "a Unix time", sec+" s "+nsec+" ns")
			t.Equal("rx_bytes and tx_bytes after initiation, response and keepalive", rx+" "+tx, "180 92")
		},
	},
	{
		ID: "uapi/effect/keepalive-starts", Rules: []string{"UAPI-34", "TIMER-22"}, Level: Should, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 6 * time.Second,
		Title: "An interval set on a device that is up makes it speak at once",
		Why:   "A host behind a NAT must open the way to itself without waiting for traffic.",
		Run: func(t *T) {
			p := t.Peer()
			accepted(t, "public_key="+Hex(p.Party.Static.Public), "persistent_keepalive_interval=34")
			p.Expect(Initiation, t.Soon())
		},
	},
	{
		ID: "uapi/effect/not-before-the-end", Rules: []string{"UAPI-36"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedUAPI, Lasts: 3 * time.Second, Bug: "B161",
		Title: "A peer takes part only after the set that makes it is complete",
		Why:   "Half a configuration is none: the peer's allowed IPs or preshared key may still be on the way.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			u := t.UAPI()
			t.Check(u.Write("set=1\npublic_key="+Hex(p.Party.Static.Public)+"\nallowed_ip=10.36.0.0/16\n") == nil,
				"half a request to be taken", "an error")
			t.Wait(100 * time.Millisecond)
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			p.SilenceStill(Response, time.Second)
			t.Check(u.Write("\n") == nil, "the end of the request to be taken", "an error")
			r, err := u.Read()
			t.Check(err == nil && r.Errno == 0, "errno=0", fmt.Sprint(r.Errno, err))
			t.Wait(50 * time.Millisecond) // one that read nothing meanwhile may answer the first one now
			t.Forget()
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			t.Premise(func() { p.Expect(Response, t.Soon()) })
		},
	},
	{
		ID: "uapi/effect/atomic", Rules: []string{"UAPI-35"}, Level: Impl, Isolation: Shared, Needs: NeedUAPI,
		Lasts: 4 * time.Second, Title: "Whether a set that fails leaves what stood before the failure",
		Why: "Who writes a tool must know whether to read back after an error.",
		Run: func(t *T) {
			k, section := stranger(t)
			errno := uset(t, section, "persistent_keepalive_interval=35", "endpoint=nowhere")
			t.Check(errno != 0, "an error for endpoint=nowhere", "errno=0")
			if _, ok := uget(t).Peer(k); ok {
				t.Measure("a set that fails", "applies the lines before the failure")
			} else {
				t.Measure("a set that fails", "changes nothing")
			}
		},
	},
}
