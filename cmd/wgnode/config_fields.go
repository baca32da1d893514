package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/purewire/purewire/protocol"
)

// field is what a section may hold.
type field struct {
	name  string // as it is written in messages
	many  bool   // may be given several times
	empty bool   // may have no value
	set   func(*parser, string) error
}

// fields lists fields by their name in lower case, for wg(8) does not mind the case.
func fields(all ...field) map[string]field {
	m := map[string]field{}
	for _, f := range all {
		m[strings.ToLower(f.name)] = f
	}
	return m
}

var interfaceFields = fields(
	field{name: "PrivateKey", set: func(p *parser, v string) error { return setKey((*[32]byte)(&p.PrivateKey), v) }},
	field{name: "ListenPort", set: func(p *parser, v string) (err error) { p.ListenPort, err = parsePort(v); return err }},
	field{name: "FwMark", set: func(p *parser, v string) (err error) { p.FwMark, err = parseMark(v); return err }},
	field{name: "Address", many: true, set: (*parser).setAddresses},
	field{name: "MTU", set: (*parser).setMTU},
	field{name: "Table", set: func(p *parser, v string) (err error) { p.Table, err = parseTable(v); return err }},
	field{name: "DNS", many: true, set: func(p *parser, v string) error {
		p.DNS = append(p.DNS, split(v)...)
		return nil
	}},
	field{name: "SaveConfig", set: refuseSave},
	field{name: "PreUp", many: true, set: refuseCommand},
	field{name: "PostUp", many: true, set: refuseCommand},
	field{name: "PreDown", many: true, set: refuseCommand},
	field{name: "PostDown", many: true, set: refuseCommand},
)

var peerFields = fields(
	field{name: "PublicKey", set: (*parser).setPublicKey},
	field{name: "PresharedKey", set: func(p *parser, v string) error {
		p.peer().PresharedKey = new(protocol.PresharedKey)
		return setKey((*[32]byte)(p.peer().PresharedKey), v)
	}},
	field{name: "AllowedIPs", many: true, empty: true, set: (*parser).setAllowedIPs},
	field{name: "Endpoint", set: (*parser).setEndpoint},
	field{name: "PersistentKeepalive", set: (*parser).setKeepalive},
)

// split takes a list apart: commas, spaces, or both.
func split(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// setKey reads 32 bytes of base64. Neither its result nor its error quotes the value.
func setKey(k *[32]byte, v string) error {
	b, err := base64.StdEncoding.Strict().DecodeString(v)
	if err != nil || len(b) != len(k) {
		return errors.New("not a key: 32 bytes in base64, 44 characters")
	}
	copy(k[:], b)
	return nil
}

func parsePort(v string) (uint16, error) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port: a number from 0 to 65535", v)
	}
	return uint16(n), nil
}

func parseMark(v string) (uint32, error) {
	if v == "off" {
		return 0, nil
	}
	digits, base := v, 10
	if rest, hex := strings.CutPrefix(strings.ToLower(v), "0x"); hex {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a mark: off, or a number of 32 bits, hexadecimal after 0x", v)
	}
	return uint32(n), nil
}

func parseTable(v string) (table, error) {
	switch v {
	case "auto":
		return table{}, nil
	case "off":
		return table{mode: tableOff}, nil
	case "main":
		return table{tableNumber, 254}, nil
	case "default":
		return table{tableNumber, 253}, nil
	}
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil || n == 0 {
		return table{}, fmt.Errorf("%q is not a routing table: auto, off, main, default or a number from 1 on", v)
	}
	return table{tableNumber, int(n)}, nil
}

// parsePrefix takes an address with or without the length of a prefix.
func parsePrefix(v string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(v)
	if err != nil {
		addr, alone := netip.ParseAddr(v)
		if alone != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an IP address, with or without /BITS", v)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 address in IPv6 clothes: write %s", v, prefix.Addr().Unmap())
	}
	return prefix, nil
}

func (p *parser) setAddresses(v string) error {
	for _, s := range split(v) {
		prefix, err := parsePrefix(s)
		if err != nil {
			return err
		}
		p.Addresses = append(p.Addresses, prefix)
	}
	return nil
}

// The MTUs that a TUN device takes; IPv4 cannot do with less.
const minMTU, maxMTU = 68, 65535

func (p *parser) setMTU(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < minMTU || n > maxMTU {
		return fmt.Errorf("%q is not an MTU: a number from %d to %d", v, minMTU, maxMTU)
	}
	p.MTU = n
	return nil
}

func refuseSave(_ *parser, v string) error {
	switch v {
	case "false":
		return nil
	case "true":
		return errors.New("wgnode does not write configuration files; use wg-quick")
	}
	return fmt.Errorf("%q is neither true nor false", v)
}

// refuseCommand does not skip over a command: it may be the firewall that the tunnel is used under.
func refuseCommand(*parser, string) error {
	return errors.New("wgnode runs no commands; use wg-quick, or the service manager that starts wgnode")
}

func (p *parser) setPublicKey(v string) error {
	peer := p.peer()
	if err := setKey((*[32]byte)(&peer.PublicKey), v); err != nil {
		return err
	}
	if before := p.keys[peer.PublicKey]; before > 0 {
		return fmt.Errorf("this peer is there already, in line %d", before)
	}
	p.keys[peer.PublicKey] = p.line
	return nil
}

func (p *parser) setAllowedIPs(v string) error {
	peer := p.peer()
	for _, s := range split(v) {
		prefix, err := parsePrefix(s)
		if err != nil {
			return err
		}
		prefix = prefix.Masked()
		if before := p.routes[prefix]; before > 0 {
			return fmt.Errorf("%s is given already in line %d; only one peer can have it", prefix, before)
		}
		p.routes[prefix] = p.line
		peer.AllowedIPs = append(peer.AllowedIPs, prefix)
	}
	return nil
}

func (p *parser) setEndpoint(v string) error {
	host, port, err := net.SplitHostPort(v)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not HOST:PORT or [IPv6]:PORT", v)
	}
	n, err := parsePort(port)
	if err != nil || n == 0 {
		return fmt.Errorf("%q: the port is a number from 1 to 65535", v)
	}
	if strings.ContainsAny(host, " \t/") {
		return fmt.Errorf("%q is not the name or address of a host", host)
	}
	p.peer().Endpoint = endpoint{p.line, host, n}
	return nil
}

func (p *parser) setKeepalive(v string) error {
	seconds := uint16(0)
	if v != "off" {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not an interval: off, or seconds from 0 to 65535", v)
		}
		seconds = uint16(n)
	}
	p.peer().PersistentKeepalive = &seconds
	return nil
}
