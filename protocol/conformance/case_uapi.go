package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var uapiCases = withBugs(map[string]string{
	"uapi/peer/own-key": "B157", "uapi/connection/several-requests": "B160",
}, uapiFormCases, uapiPeerCases, uapiAllowedCases, uapiDeviceCases, uapiRefusals(), uapiEffectCases)

// withBugs names the known bugs that cases made by a helper would have caught.
func withBugs(bugs map[string]string, lists ...[]Case) []Case {
	all := slices.Concat(lists...)
	for i := range all {
		if b := bugs[all[i].ID]; b != "" {
			all[i].Bug = b
		}
	}
	return all
}

// uapiCase fills in what most cases of the text protocol have in common.
func uapiCase(id string, rules []string, level Level, title, why string, run func(*T)) Case {
	return Case{ID: "uapi/" + id, Rules: rules, Level: level, Isolation: Shared, Needs: NeedUAPI, Lasts: 4 * time.Second,
		Title: title, Why: why, Run: run}
}

// The text protocol is the only way to steer a userspace implementation, so most reasons are alike.
const (
	whyParsed = "wg(8) and every other tool reads these answers with a parser that knows this form only."
	whyTools  = "Tools write configurations with exactly these keys and rely on what they do."
)

// uset and uget are one request on a connection of its own, so that only the cases about it depend on whether a
// connection serves several.
func uset(t *T, lines ...string) int {
	u := t.UAPI()
	defer u.Close()
	return u.Set(lines...)
}

func uget(t *T) UAPIReply {
	u := t.UAPI()
	defer u.Close()
	return u.Get()
}

// accepted makes a set that must work.
func accepted(t *T, lines ...string) {
	if errno := uset(t, lines...); errno != 0 {
		t.Fail("errno=0 for "+strings.Join(lines, " "), fmt.Sprintf("errno %d", errno))
	}
}

// stranger gives a fresh public key that the subject has not heard of, and takes it away again after the case.
func stranger(t *T) (k Key, section string) {
	p := t.NewPeer(PeerOptions{Stranger: true})
	k = p.Party.Static.Public
	section = "public_key=" + Hex(k)
	t.Cleanup(func() {
		u := t.UAPI()
		defer u.Close()
		u.Set(section, "remove=true")
	})
	return k, section
}

// value is that of the first line with a key in a peer's section.
func value(lines []UAPILine, key string) (v string, ok bool) {
	for _, l := range lines {
		if l.Key == key {
			return l.Value, true
		}
	}
	return "", false
}

func values(lines []UAPILine, key string) (all []string) {
	for _, l := range lines {
		if l.Key == key {
			all = append(all, l.Value)
		}
	}
	slices.Sort(all)
	return all
}

// listed gives the section of a peer, which must be there.
func listed(t *T, k Key) []UAPILine {
	lines, ok := uget(t).Peer(k)
	t.Check(ok, "the peer in the answer to a get", "it is not there")
	return lines
}

// shows wants a key of a peer to have a value.
func shows(t *T, k Key, key, want string) {
	got, ok := value(listed(t, k), key)
	t.Check(ok && got == want, key+"="+want, fmt.Sprintf("%s=%q (there: %t)", key, got, ok))
}

var uapiFormCases = []Case{
	uapiCase("get/form", []string{"UAPI-01", "UAPI-02"}, Must, "A get is answered by key=value lines", whyParsed,
		func(t *T) {
			r := uget(t)
			t.Check(len(r.Lines) > 1, "lines about the device", fmt.Sprintf("%q", r.Raw))
			for _, l := range strings.Split(strings.TrimSuffix(r.Raw, "\n\n"), "\n") {
				t.Check(strings.Index(l, "=") > 0, "key=value on each line", fmt.Sprintf("%q", l))
			}
		}),
	uapiCase("set/form", []string{"UAPI-01", "UAPI-03"}, Must, "A set is answered by its errno and an empty line",
		whyParsed, func(t *T) {
			u := t.UAPI()
			r := u.Do("set=1\n\n")
			t.Equal("the answer to a set", r.Raw, "errno=0\n\n")
		}),
	uapiCase("get/errno-last", []string{"UAPI-39"}, Should, "errno is the last line of an answer", whyParsed, func(t *T) {
		r := uget(t)
		t.Equal("the last key", r.Lines[len(r.Lines)-1].Key, "errno")
	}),
	uapiCase("get/order", []string{"UAPI-09"}, Must, "The device's keys come before those of its peers",
		"The same key means something else after a public_key: a parser would give the port to a peer.", func(t *T) {
			k, section := stranger(t)
			accepted(t, section)
			listed(t, k)
			section = ""
			device := []string{"private_key", "listen_port", "fwmark"}
			ofPeer := []string{"preshared_key", "endpoint", "persistent_keepalive_interval", "allowed_ip", "rx_bytes",
				"tx_bytes", "last_handshake_time_sec", "last_handshake_time_nsec", "protocol_version"}
			for _, l := range uget(t).Lines {
				if l.Key == "public_key" {
					section = l.Value
				}
				wrong := device // further keys are a question of UAPI-40
				if section == "" {
					wrong = ofPeer
				}
				t.Check(!slices.Contains(wrong, l.Key),
					"keys of the device before the first public_key, those of peers after it",
					fmt.Sprintf("%s after public_key=%s", l.Key, section))
			}
		}),
	uapiCase("get/known-keys", []string{"UAPI-40"}, May, "Answers have no keys but the documented ones",
		"An old tool refuses an answer with a key that it does not know.", func(t *T) {
			known := []string{"private_key", "listen_port", "fwmark", "public_key", "preshared_key", "endpoint",
				"persistent_keepalive_interval", "allowed_ip", "rx_bytes", "tx_bytes", "last_handshake_time_sec",
				"last_handshake_time_nsec", "protocol_version", "errno"}
			for _, l := range uget(t).Lines {
				t.Check(slices.Contains(known, l.Key), "documented keys only", l.Key)
			}
		}),
	uapiCase("connection/several-requests", []string{"UAPI-06"}, Should, "One connection serves several requests",
		"Tools that watch a tunnel keep their connection open.", func(t *T) {
			k, section := stranger(t)
			u := t.UAPI()
			for i, request := range []string{"get=1\n\n", "set=1\n" + section + "\n\n", "get=1\n\n"} {
				err := u.Write(request)
				var r UAPIReply
				if err == nil {
					r, err = u.Read()
				}
				t.Check(err == nil, fmt.Sprintf("an answer to request %d on one connection", i+1), fmt.Sprint(err))
				if _, ok := r.Peer(k); i == 2 && !ok {
					t.Fail("the last answer to show what the second request did", r.Raw)
				}
			}
		}),
	uapiCase("connection/unknown-request", []string{"UAPI-07"}, Should,
		"A first line that is neither get nor set is an error", "Silence would leave a client of a newer version waiting.",
		func(t *T) {
			u := t.UAPI()
			err := u.Write("hello=1\n\n")
			var r UAPIReply
			if err == nil {
				r, err = u.Read()
			}
			t.Check(err != nil || r.Errno != 0, "an errno, or the end of the connection", fmt.Sprintf("%q", r.Raw))
		}),
	uapiCase("error/number", []string{"UAPI-05"}, Should, "The errno of an unknown key is EINVAL's number, 22",
		"Tools print the system's text for the number.", func(t *T) {
			t.Equal("the errno of an unknown key, without its sign", uset(t, "no_such_key=1"), 22)
		}),
	uapiCase("get/hex", []string{"UAPI-08"}, Must, "Keys are 64 lowercase hexadecimal digits", whyParsed, func(t *T) {
		k, section := stranger(t)
		accepted(t, section, "preshared_key="+strings.Repeat("ab", 32))
		listed(t, k)
		for _, l := range uget(t).Lines {
			if !slices.Contains([]string{"private_key", "public_key", "preshared_key"}, l.Key) {
				continue
			}
			good := len(l.Value) == 64 && strings.Trim(l.Value, "0123456789abcdef") == ""
			t.Check(good, "64 lowercase hexadecimal digits as "+l.Key, l.Value)
		}
	}),
}

var uapiPeerCases = []Case{
	uapiCase("peer/create", []string{"UAPI-04", "UAPI-16"}, Must, "A public key that is not known makes a peer",
		whyTools, func(t *T) {
			k, section := stranger(t)
			errno := uset(t, section, "persistent_keepalive_interval=43")
			_, ok := uget(t).Peer(k)
			t.Check(errno == 0 && ok, "errno=0 and the peer in the next get", fmt.Sprintf("errno %d, there: %t", errno, ok))
		}),
	uapiCase("peer/update-keeps", []string{"UAPI-16"}, Must, "A second set changes only what it names",
		"Setting the endpoint of a peer must not forget its keepalive.", func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "persistent_keepalive_interval=41", "allowed_ip=10.41.0.0/16")
			accepted(t, section, "endpoint=192.0.2.41:4141")
			lines := listed(t, k)
			interval, _ := value(lines, "persistent_keepalive_interval")
			t.Equal("the interval and allowed IPs after a set of the endpoint only",
				fmt.Sprint(interval, values(lines, "allowed_ip")), "41[10.41.0.0/16]")
		}),
	uapiCase("peer/remove", []string{"UAPI-17"}, Must, "remove=true removes a peer", whyTools, func(t *T) {
		k, section := stranger(t)
		accepted(t, section)
		listed(t, k)
		accepted(t, section, "remove=true")
		_, ok := uget(t).Peer(k)
		t.Check(!ok, "no such peer after remove=true", "it is still there")
	}),
	uapiCase("peer/remove-unknown", []string{"UAPI-17"}, Must, "Removing a peer that is not there is no error",
		"A script that runs twice must not fail the second time.", func(t *T) {
			k, section := stranger(t)
			errno := uset(t, section, "remove=true")
			_, ok := uget(t).Peer(k)
			t.Check(errno == 0 && !ok, "errno=0 and no such peer", fmt.Sprintf("errno %d, there: %t", errno, ok))
		}),
	uapiCase("peer/update-only-unknown", []string{"UAPI-18"}, Must, "update_only=true makes no peer",
		"Tools that follow a changing endpoint must not bring back a peer that was removed meanwhile.", func(t *T) {
			k, section := stranger(t)
			errno := uset(t, section, "update_only=true", "persistent_keepalive_interval=18")
			_, ok := uget(t).Peer(k)
			t.Check(errno == 0 && !ok, "errno=0 and no such peer", fmt.Sprintf("errno %d, there: %t", errno, ok))
		}),
	uapiCase("peer/update-only-known", []string{"UAPI-18"}, Must, "update_only=true changes a peer that is there",
		whyTools, func(t *T) {
			k, section := stranger(t)
			accepted(t, section)
			accepted(t, section, "update_only=true", "persistent_keepalive_interval=19")
			shows(t, k, "persistent_keepalive_interval", "19")
		}),
	uapiCase("peer/keepalive-off", []string{"UAPI-21"}, Must, "An interval of 0 switches persistent keepalives off",
		whyTools, func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "persistent_keepalive_interval=27")
			accepted(t, section, "persistent_keepalive_interval=0")
			v, _ := value(listed(t, k), "persistent_keepalive_interval")
			t.Check(v == "0" || v == "", "persistent_keepalive_interval=0, or none", v)
		}),
	{
		ID: "uapi/peer/keepalive-shown", Rules: []string{"UAPI-21"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 4 * time.Second, Title: "A persistent keepalive that is set is reported",
		Why: "Tools write back what they read.",
		Run: func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "persistent_keepalive_interval=65535")
			shows(t, k, "persistent_keepalive_interval", "65535")
		},
	},
	uapiCase("peer/endpoint-v4", []string{"UAPI-20"}, Must, "An IPv4 endpoint is shown as it is set", whyTools,
		func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "endpoint=192.0.2.77:1234")
			shows(t, k, "endpoint", "192.0.2.77:1234")
		}),
	uapiCase("peer/endpoint-v6", []string{"UAPI-20"}, Must, "An IPv6 endpoint is shown in brackets, as it is set",
		whyTools, func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "endpoint=[2001:db8::77]:1234")
			shows(t, k, "endpoint", "[2001:db8::77]:1234")
		}),
	uapiCase("peer/preshared-key-shown", []string{"UAPI-38"}, Should, "A preshared key is shown", "wg showconf must "+
		"give a configuration that works.", func(t *T) {
		k, section := stranger(t)
		accepted(t, section, "preshared_key="+strings.Repeat("5c", 32))
		shows(t, k, "preshared_key", strings.Repeat("5c", 32))
	}),
	uapiCase("peer/preshared-key-removed", []string{"UAPI-19", "UAPI-38"}, Must, "A preshared key of zeros removes it",
		whyTools, func(t *T) {
			k, section := stranger(t)
			accepted(t, section, "preshared_key="+strings.Repeat("5d", 32))
			accepted(t, section, "preshared_key="+strings.Repeat("0", 64))
			v, _ := value(listed(t, k), "preshared_key")
			t.Check(strings.Trim(v, "0") == "", "no preshared_key, or zeros", v)
		}),
	uapiCase("peer/protocol-version", []string{"UAPI-25"}, Must, "A peer section may say protocol_version=1",
		"Newer tools send it, and older devices must not stop at it.", func(t *T) {
			_, section := stranger(t)
			t.Equal("the errno of protocol_version=1", uset(t, section, "protocol_version=1"), 0)
		}),
	uapiCase("peer/protocol-version-shown", []string{"UAPI-26"}, Should, "A peer's protocol version is shown", whyTools,
		func(t *T) {
			k, section := stranger(t)
			accepted(t, section)
			shows(t, k, "protocol_version", "1")
		}),
	uapiCase("peer/never-shaken", []string{"UAPI-27"}, Must, "The last handshake of a new peer is 0 s and 0 ns",
		"wg show prints no last handshake then; anything else is a date.", func(t *T) {
			k, section := stranger(t)
			accepted(t, section)
			lines := listed(t, k)
			sec, _ := value(lines, "last_handshake_time_sec")
			nsec, _ := value(lines, "last_handshake_time_nsec")
			t.Equal("last_handshake_time_sec and _nsec", sec+" "+nsec, "0 0")
		}),
	uapiCase("peer/own-key", []string{"UAPI-33"}, Must, "A peer with the device's own public key is silently ignored",
		"One configuration for all hosts of a network lists each of them, itself too.", func(t *T) {
			u := t.UAPI()
			own := u.OwnKey()
			errno := u.Set("public_key="+Hex(own), "allowed_ip=10.33.0.0/16")
			_, ok := uget(t).Peer(own)
			t.Check(errno == 0 && !ok, "errno=0 and no such peer", fmt.Sprintf("errno %d, there: %t", errno, ok))
		}),
	uapiCase("peer/many", []string{"UAPI-37"}, Must, "A get with many peers and prefixes is complete",
		"Answers longer than a socket buffer have been cut off.", func(t *T) {
			const peers, prefixes = 60, 40
			var lines, removal []string
			var keys []Key
			for i := range peers {
				k := Key(t.Text(32)) // nobody has its private key, and nobody needs it
				keys = append(keys, k)
				lines = append(lines, "public_key="+Hex(k))
				removal = append(removal, "public_key="+Hex(k), "remove=true")
				for j := range prefixes {
					lines = append(lines, fmt.Sprintf("allowed_ip=10.%d.%d.0/24", 100+i, j))
				}
			}
			accepted(t, lines...)
			t.Cleanup(func() { uset(t, removal...) })
			r := uget(t)
			for i, k := range keys {
				section, _ := r.Peer(k)
				t.Equal("allowed IPs of peer "+strconv.Itoa(i), len(values(section, "allowed_ip")), prefixes)
			}
		}),
}
