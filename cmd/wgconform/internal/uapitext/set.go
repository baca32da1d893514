package uapitext

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// Set writes a change as a set operation, with the empty line that ends it and without what concerns the interface
// itself: MTU, up and down.
func Set(c *conformance.Change) string {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(key + "=" + value + "\n") }
	b.WriteString("set=1\n")
	if c.PrivateKey != nil {
		line("private_key", hex.EncodeToString(c.PrivateKey[:]))
	}
	if c.ListenPort != nil {
		line("listen_port", strconv.Itoa(int(*c.ListenPort)))
	}
	if c.Mark != nil {
		line("fwmark", strconv.FormatUint(uint64(*c.Mark), 10))
	}
	if c.ReplacePeers {
		line("replace_peers", "true")
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		line("public_key", hex.EncodeToString(p.PublicKey[:]))
		if p.Remove {
			line("remove", "true")
		}
		if p.UpdateOnly {
			line("update_only", "true")
		}
		if p.PresharedKey != nil {
			line("preshared_key", hex.EncodeToString(p.PresharedKey[:]))
		}
		if p.Endpoint != nil {
			line("endpoint", p.Endpoint.String())
		}
		if p.Keepalive != nil {
			line("persistent_keepalive_interval", strconv.Itoa(int(*p.Keepalive)))
		}
		if p.ReplaceAllowedIPs {
			line("replace_allowed_ips", "true")
		}
		for _, a := range p.AllowedIPs {
			line("allowed_ip", a.String())
		}
	}
	b.WriteString("\n")
	return b.String()
}

// Says reports whether a change has anything that Set would write.
func Says(c *conformance.Change) bool {
	return c.PrivateKey != nil || c.ListenPort != nil || c.Mark != nil || c.ReplacePeers || len(c.Peers) > 0
}
