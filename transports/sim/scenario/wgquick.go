package scenario

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/purewire/purewire/protocol"
)

// Config is the text of a configuration of wg-quick(8) and the name of its file.
type Config struct{ Name, Text string }

// wgConf is such a configuration as far as a simulation needs it.
type wgConf struct {
	file    string
	name    string // of the interface
	public  protocol.PublicKey
	inner   []netip.Prefix
	port    uint16
	mtu     int
	peers   []wgPeer
	ignored []string
	private bool // a private key was there
}

type wgPeer struct {
	line      int
	public    protocol.PublicKey
	psk       string
	allowed   []netip.Prefix
	endpoint  string // "": none
	keepalive uint16
}

// confLine is one line of a configuration.
type confLine struct {
	file       string
	number     int
	col        int
	key, value string
	toPeer     *wgPeer // nil: of the interface
	conf       *wgConf
}

func (l *confLine) fail(format string, args ...any) error {
	return &Error{File: l.file, Line: l.number, Col: l.col, Field: l.key, Text: fmt.Sprintf(format, args...)}
}

// readConf reads a configuration. Keys and values are not in its errors, since some are secret.
func readConf(c Config) (*wgConf, error) {
	base := path.Base(strings.ReplaceAll(c.Name, "\\", "/"))
	conf := &wgConf{file: c.Name, name: safeName(strings.TrimSuffix(base, ".conf"))}
	section := ""
	number := 0
	for text := range strings.Lines(c.Text) {
		number++
		line := confLine{file: c.Name, number: number, col: 1, conf: conf}
		code, _, _ := strings.Cut(text, "#")
		code = strings.TrimSpace(code)
		switch {
		case code == "":
			continue
		case strings.HasPrefix(code, "["):
			section = strings.ToLower(code)
			if section == "[peer]" {
				conf.peers = append(conf.peers, wgPeer{line: number})
			} else if section != "[interface]" {
				return nil, line.fail("there is no section %s in a configuration of wg-quick; did you mean [Peer]?", code)
			}
			continue
		}
		key, value, found := strings.Cut(code, "=")
		line.key, line.value = strings.TrimSpace(key), strings.TrimSpace(value)
		line.col = strings.Index(text, line.key) + 1
		switch {
		case !found:
			line.key = ""
			return nil, line.fail("a setting is KEY = VALUE")
		case section == "":
			return nil, line.fail("a section is needed first: [Interface] or [Peer]")
		case section == "[peer]":
			line.toPeer = &conf.peers[len(conf.peers)-1]
		}
		if err := line.set(); err != nil {
			return nil, err
		}
	}
	return conf, conf.complete()
}

func (c *wgConf) complete() error {
	if !c.private {
		return &Error{File: c.file, Line: 1, Col: 1, Field: "PrivateKey", Text: "it is missing from [Interface]"}
	}
	for i := range c.peers {
		if c.peers[i].public == (protocol.PublicKey{}) {
			return &Error{File: c.file, Line: c.peers[i].line, Col: 1, Field: "PublicKey", Text: "it is missing from [Peer]"}
		}
	}
	return nil
}

// settings lists what a simulation makes use of; of wg-quick's others it says that they are ignored.
var interfaceKeys = []string{"PrivateKey", "ListenPort", "Address", "MTU"}
var peerKeys = []string{"PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"}
var ignoredKeys = []string{"DNS", "Table", "FwMark", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig"}

func (l *confLine) set() error {
	known := append(append([]string{}, interfaceKeys...), ignoredKeys...)
	if l.toPeer != nil {
		known = peerKeys
	}
	for _, k := range known {
		if strings.EqualFold(k, l.key) {
			l.key = k
			if l.toPeer != nil {
				return l.setPeer()
			}
			return l.setInterface()
		}
	}
	return l.fail("there is no such setting%s", DidYouMean(l.key, known))
}

func (l *confLine) setInterface() (err error) {
	switch c := l.conf; l.key {
	case "PrivateKey":
		k, err := l.keyBytes()
		if err != nil {
			return err
		}
		c.public, c.private = protocol.NewIdentity(k).PublicKey(), true
	case "ListenPort":
		c.port, err = l.port(l.value)
	case "Address":
		var list []netip.Prefix
		list, err = l.prefixes()
		c.inner = append(c.inner, list...)
	case "MTU":
		if c.mtu, err = strconv.Atoi(l.value); err != nil || c.mtu < 576 || c.mtu > 65535 {
			return l.fail("%q is no MTU", l.value)
		}
	default:
		c.ignored = append(c.ignored, fmt.Sprintf("%s:%d: %s is ignored: %s", l.file, l.number, l.key, whyIgnored(l.key)))
	}
	return err
}

// whyIgnored says why a setting means nothing to a simulation.
func whyIgnored(key string) string {
	switch key {
	case "DNS":
		return "simulated hosts look no names up"
	case "Table", "FwMark":
		return "simulated hosts have one routing table, which the allowed IPs make"
	case "SaveConfig":
		return "nothing is saved"
	}
	return "no commands are run"
}

func (l *confLine) setPeer() (err error) {
	switch p := l.toPeer; l.key {
	case "PublicKey":
		p.public, err = l.keyBytes()
	case "PresharedKey":
		p.psk = l.value
		_, err = l.keyBytes()
	case "AllowedIPs":
		var list []netip.Prefix
		list, err = l.prefixes()
		p.allowed = append(p.allowed, list...)
	case "Endpoint":
		i := strings.LastIndex(l.value, ":")
		if i < 1 {
			return l.fail("%q is not host:port", l.value)
		}
		_, err = l.port(l.value[i+1:])
		p.endpoint = l.value
	case "PersistentKeepalive":
		if l.value == "off" {
			return nil
		}
		n, err := strconv.ParseUint(l.value, 10, 16)
		if err != nil {
			return l.fail("%q is neither off nor a number of seconds up to 65535", l.value)
		}
		p.keepalive = uint16(n)
	}
	return err
}

func (l *confLine) keyBytes() (k [protocol.KeySize]byte, err error) {
	b, err := base64.StdEncoding.DecodeString(l.value)
	if err != nil || len(b) != len(k) {
		return k, l.fail("it is no key: %d bytes in base64 are needed", len(k))
	}
	copy(k[:], b)
	return k, nil
}

func (l *confLine) port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, l.fail("%q is no port", s)
	}
	return uint16(n), nil
}

func (l *confLine) prefixes() (list []netip.Prefix, err error) {
	for s := range strings.SplitSeq(l.value, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, bad := netip.ParseAddr(s)
			if bad != nil || a.Zone() != "" {
				return nil, l.fail("%q is neither an address nor a prefix", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// safeName makes a name of a host from one of a file or of a host on the Internet.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > 127 || strings.ContainsRune("*?[]{}<>() ,\"\t/:+=", r) {
			return '-'
		}
		return r
	}, s)
	if s = strings.Trim(s, "-."); s == "" {
		return "host"
	}
	return s
}
