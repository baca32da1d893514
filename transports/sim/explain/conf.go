package explain

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"golang.org/x/crypto/curve25519"
)

// Config is the text of a configuration of wg-quick(8) or of wg setconf, and the name of its file.
type Config struct{ Name, Text string }

type key = [32]byte

// conf is what a configuration says about one side.
type conf struct {
	name            string
	private, public key
	port            uint16
	peers           []confPeer
}

type confPeer struct {
	line      int
	public    key
	psk       key
	allowed   []netip.Prefix
	endpoint  string
	keepalive int
}

func (c *conf) peer(k key) *confPeer {
	for i := range c.peers {
		if c.peers[i].public == k {
			return &c.peers[i]
		}
	}
	return nil
}

// readConf reads what matters here and leaves the rest, as commands and routes, alone: a file that works with
// wg-quick must do. Errors name file, line and setting and never a value, which may be secret.
func readConf(c Config) (*conf, error) {
	base := path.Base(strings.ReplaceAll(c.Name, "\\", "/"))
	out := &conf{name: strings.TrimSuffix(base, ".conf")}
	section, number, private := "", 0, false
	for text := range strings.Lines(c.Text) {
		number++
		line, _, _ := strings.Cut(text, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(line)
			if section == "[peer]" {
				out.peers = append(out.peers, confPeer{line: number})
			} else if section != "[interface]" {
				return nil, fmt.Errorf("%s:%d: there is no section %s in a configuration of wg-quick", c.Name, number, line)
			}
			continue
		}
		name, value, found := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || section == "" {
			return nil, fmt.Errorf("%s:%d: a setting KEY = VALUE in a section is needed", c.Name, number)
		}
		var err error
		if section == "[peer]" {
			err = out.peers[len(out.peers)-1].set(name, value)
		} else {
			private = private || strings.EqualFold(name, "PrivateKey")
			err = out.set(name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", c.Name, number, name, err)
		}
	}
	if !private {
		return nil, fmt.Errorf("%s:1: PrivateKey: it is missing from [Interface]", c.Name)
	}
	for _, p := range out.peers {
		if p.public == (key{}) {
			return nil, fmt.Errorf("%s:%d: PublicKey: it is missing from [Peer]", c.Name, p.line)
		}
	}
	return out, nil
}

func (c *conf) set(name, value string) (err error) {
	switch strings.ToLower(name) {
	case "privatekey":
		if c.private, err = parseKey(value); err == nil {
			c.public, err = publicOf(c.private)
		}
	case "listenport":
		var port uint64
		port, err = strconv.ParseUint(value, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no port", value)
		}
		c.port = uint16(port)
	}
	return err
}

func (p *confPeer) set(name, value string) (err error) {
	switch strings.ToLower(name) {
	case "publickey":
		p.public, err = parseKey(value)
	case "presharedkey":
		p.psk, err = parseKey(value)
	case "endpoint":
		p.endpoint = value
	case "persistentkeepalive":
		if strings.EqualFold(value, "off") {
			return nil
		}
		if p.keepalive, err = strconv.Atoi(value); err != nil || p.keepalive < 0 || p.keepalive > 65535 {
			return fmt.Errorf("%q is no number of seconds", value)
		}
	case "allowedips":
		for s := range strings.SplitSeq(value, ",") {
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			prefix, err := netip.ParsePrefix(s)
			if err != nil {
				a, err := netip.ParseAddr(s)
				if err != nil {
					return fmt.Errorf("%q is no address or block", s)
				}
				prefix = netip.PrefixFrom(a, a.BitLen())
			}
			p.allowed = append(p.allowed, prefix.Masked())
		}
	}
	return err
}

func parseKey(s string) (k key, err error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("it is no key: 32 bytes in base64 are needed")
	}
	return key(b), nil
}

func publicOf(private key) (key, error) {
	b, err := curve25519.X25519(private[:], curve25519.Basepoint)
	if err != nil {
		return key{}, fmt.Errorf("it is no private key")
	}
	return key(b), nil
}

// shortKey is how wg(8)'s users recognise a public key: its beginning.
func shortKey(k key) string { return base64.StdEncoding.EncodeToString(k[:])[:8] + "…" }
