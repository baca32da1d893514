package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/purewire/purewire/protocol"
)

// config is a configuration file of wg-quick(8), checked in full.
type config struct {
	path string // as it was named, for messages

	PrivateKey protocol.PrivateKey
	ListenPort uint16 // 0: any
	FwMark     uint32 // 0: none
	Addresses  []netip.Prefix
	MTU        int // 0: to be computed from the routes to the endpoints
	Table      table
	DNS        []string // not applied, see warnings
	Peers      []peerConfig
}

// table is where routes go.
type table struct {
	mode   tableMode
	number int // for tableNumber
}

type tableMode int

const (
	tableAuto   tableMode = iota // the main one, and one of our own for a default route
	tableOff                     // no routes
	tableNumber                  // that one
)

// peerConfig is one [Peer] section.
type peerConfig struct {
	line                int // of its head
	PublicKey           protocol.PublicKey
	PresharedKey        *protocol.PresharedKey
	AllowedIPs          []netip.Prefix // masked
	Endpoint            endpoint
	PersistentKeepalive *uint16 // seconds
}

// endpoint is a host with a port. The host is a name or an address; it is looked up when the tunnel is set up.
type endpoint struct {
	line int // 0: there is none
	host string
	port uint16
}

// fieldError is a mistake in a configuration file. Its text never holds a key.
type fieldError struct {
	path  string
	line  int    // 0: the file as a whole
	field string // or section; "": the line as a whole
	text  string
}

func (e *fieldError) Error() string {
	at := e.path
	if e.line > 0 {
		at = fmt.Sprintf("%s:%d", e.path, e.line)
	}
	if e.field != "" {
		at += ": " + e.field
	}
	return at + ": " + e.text
}

// Sections of a file.
const (
	noSection = iota
	interfaceSection
	peerSection
)

// parser reads a file line by line.
type parser struct {
	config
	line    int
	section int
	first   int // line of [Interface]
	seen    map[string]int
	keys    map[protocol.PublicKey]int
	routes  map[netip.Prefix]int
}

// parseConfig reads a file in the form that wg-quick(8) takes. It is strict where wg(8) is not: a field or a section
// that is not known, a field given twice, a peer given twice and an allowed IP of two peers are mistakes. path is used
// in messages only.
func parseConfig(path string, r io.Reader) (*config, error) {
	p := parser{
		config: config{path: path}, seen: map[string]int{},
		keys: map[protocol.PublicKey]int{}, routes: map[netip.Prefix]int{},
	}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		p.line++
		if err := p.take(in.Text()); err != nil {
			return nil, err
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		p.line++
		return nil, p.mistake("", "the line is longer than 1 MiB")
	}
	if in.Err() != nil {
		return nil, in.Err()
	}
	if err := p.endSection(); err != nil {
		return nil, err
	}
	if p.first == 0 {
		return nil, &fieldError{path: path, text: "there is no [Interface] section"}
	}
	return &p.config, nil
}

func (p *parser) mistake(field, format string, args ...any) error {
	return &fieldError{p.path, p.line, field, fmt.Sprintf(format, args...)}
}

// take reads one line: a section, a field, or nothing.
func (p *parser) take(line string) error {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	if line[0] == '[' {
		return p.begin(line)
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return p.mistake("", "neither a section nor a field with a value")
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	fields := interfaceFields
	switch p.section {
	case noSection:
		return p.mistake(name, "stands before the first section")
	case peerSection:
		fields = peerFields
	}
	f, ok := fields[strings.ToLower(name)]
	if !ok {
		return p.mistake(name, "not a field of this section")
	}
	if before := p.seen[f.name]; before > 0 && !f.many {
		return p.mistake(f.name, "given already in line %d", before)
	}
	p.seen[f.name] = p.line
	if value == "" && !f.empty {
		return p.mistake(f.name, "has no value")
	}
	if err := f.set(p, value); err != nil {
		return p.mistake(f.name, "%v", err)
	}
	return nil
}

// begin starts a section.
func (p *parser) begin(line string) error {
	if err := p.endSection(); err != nil {
		return err
	}
	clear(p.seen)
	switch strings.ToLower(line) {
	case "[interface]":
		if p.first > 0 {
			return p.mistake("[Interface]", "given already in line %d", p.first)
		}
		p.section, p.first = interfaceSection, p.line
	case "[peer]":
		p.section = peerSection
		p.Peers = append(p.Peers, peerConfig{line: p.line})
	default:
		return p.mistake(line, "not a section; there are [Interface] and [Peer]")
	}
	return nil
}

// endSection asks for what a section must have.
func (p *parser) endSection() error {
	switch p.section {
	case interfaceSection:
		if p.seen["PrivateKey"] == 0 {
			return &fieldError{p.path, p.first, "PrivateKey", "missing in this [Interface]"}
		}
	case peerSection:
		if last := p.peer(); p.seen["PublicKey"] == 0 {
			return &fieldError{p.path, last.line, "PublicKey", "missing in this [Peer]"}
		}
	}
	return nil
}

func (p *parser) peer() *peerConfig { return &p.Peers[len(p.Peers)-1] }

// warnings tells what the file asks for and does not get, and what is unsafe about it.
func (c *config) warnings(mode uint32) (w []string) {
	if len(c.DNS) > 0 {
		w = append(w, c.path+": DNS is not applied: wgnode leaves the resolver of this host alone")
	}
	if mode&0o007 != 0 {
		w = append(w, c.path+": everybody on this host can read or change this file, and it holds a private key")
	}
	return w
}

var configName = regexp.MustCompile(`^([a-zA-Z0-9_=+.-]{1,15})\.conf$`)

// interfaceOf gives the name of the interface that a file is for, as wg-quick(8) does.
func interfaceOf(path string) (string, error) {
	m := configName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return "", fmt.Errorf("%s: a configuration file is named after its interface (at most 15 letters, digits or "+
			"_=+.-), followed by .conf; or name the interface as an argument", path)
	}
	return m[1], nil
}
