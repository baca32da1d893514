package remote

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/purewire/purewire/protocol/conformance"
)

// Version is that of the files that this package reads and writes.
const Version = 1

// mostBytes bounds a file, so that a wrong argument such as a capture is refused at once.
const mostBytes = 1 << 20

// File is a target file as it is written. docs/remote.schema.json describes it for other programs.
type File struct {
	Version   int      `yaml:"version"`
	Name      string   `yaml:"name,omitempty"`
	Addresses []string `yaml:"addresses,flow"`       // of the device, HOST:PORT, at most one of each family
	Local     []string `yaml:"local,flow,omitempty"` // addresses of this host to send from
	PublicKey string   `yaml:"public-key"`           // of the device
	Trigger   Trigger  `yaml:"trigger"`
	Observe   []string `yaml:"observe,flow,omitempty"` // "tos"
	Reset     string   `yaml:"reset,omitempty"`        // a shell command that starts the device anew
	Peers     []Peer   `yaml:"peers"`
}

// Trigger says by what the device's inner side shows itself and is made to send.
type Trigger struct {
	EchoUDP []string `yaml:"echo-udp,flow,omitempty"` // HOST:PORT inside, at most one of each family
	Ping    []string `yaml:"ping,flow,omitempty"`     // addresses inside, likewise
	Command string   `yaml:"command,omitempty"`       // a shell command that makes the device send to $address
	Manual  bool     `yaml:"manual,omitempty"`        // a person does
}

// Peer is a peer that the device knows, and its private key.
type Peer struct {
	PrivateKey   string   `yaml:"private-key"`
	PresharedKey string   `yaml:"preshared-key,omitempty"`
	AllowedIPs   []string `yaml:"allowed-ips,flow"` // as the device has them
}

// Error is a mistake in a target file, in one line.
type Error struct {
	File      string
	Line, Col int    // from 1
	Field     string // such as peers[2].private-key; empty: the file as a whole
	Text      string
}

// Error implements error: FILE:LINE:COL: field: what is wrong.
func (e *Error) Error() string {
	field := e.Field
	if field != "" {
		field += ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", e.File, e.Line, e.Col, field, strings.ReplaceAll(e.Text, "\n", " "))
}

// A device is a target file that was understood.
type device struct {
	File
	given conformance.Given
	local []netip.Addr
	tos   bool
}

// read reads a target file.
func read(path string) (*device, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

// parse understands a target file, strictly: everything in it must have a meaning. Errors are of type *Error.
func parse(name string, text []byte) (*device, error) {
	c := &checker{name: name}
	if len(text) > mostBytes || bytes.IndexByte(text, 0) >= 0 {
		return nil, c.fail(nil, "this is no YAML file of a target")
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, c.syntax(err)
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, c.fail(nil, "the file is empty; wgconform init-remote writes one")
	}
	if len(tree.Docs) > 1 {
		return nil, c.at(tree.Docs[1].Body, "", "a second document begins here; a file is one target")
	}
	c.tree = tree
	d := &device{}
	if err := yaml.UnmarshalWithOptions(text, &d.File, yaml.Strict()); err != nil {
		return nil, c.syntax(err)
	}
	if err := c.device(d); err != nil {
		return nil, err
	}
	return d, nil
}

// checker finds mistakes and their places.
type checker struct {
	name string
	tree *ast.File
}

// syntax makes one line of what the YAML package complains about.
func (c *checker) syntax(err error) error {
	e := &Error{File: c.name, Line: 1, Col: 1, Text: err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		e.Text = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Col = t.Position.Line, t.Position.Column
		}
	}
	return e
}

// path is the way to a field: names and indices.
type path []any

func (p path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", s)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

// fail complains about a field, at its place or at that of what it is missing in.
func (c *checker) fail(p path, format string, args ...any) error {
	for n := len(p); c.tree != nil; n-- {
		if node := c.node(p[:n]); node != nil {
			return c.at(node, p.String(), format, args...)
		}
		if n == 0 {
			break
		}
	}
	return &Error{File: c.name, Line: 1, Col: 1, Field: p.String(), Text: fmt.Sprintf(format, args...)}
}

func (c *checker) at(n ast.Node, field, format string, args ...any) error {
	e := &Error{File: c.name, Line: 1, Col: 1, Field: field, Text: fmt.Sprintf(format, args...)}
	t := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		t = m.Values[0].Key.GetToken() // its own is the colon
	}
	if t != nil && t.Position != nil {
		e.Line, e.Col = t.Position.Line, t.Position.Column
	}
	return e
}

// node finds a field in the file.
func (c *checker) node(p path) ast.Node {
	b := (&yaml.PathBuilder{}).Root()
	for _, step := range p {
		switch s := step.(type) {
		case int:
			b = b.Index(uint(s))
		case string:
			b = b.Child(s)
		}
	}
	n, err := b.Build().FilterFile(c.tree)
	if err != nil {
		return nil
	}
	return n
}

// key reads a key in base64, as wg(8) has it.
func (c *checker) key(p path, text string) (k conformance.Key, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case text == "":
		return k, c.fail(p, "it is missing")
	case err != nil || len(b) != len(k):
		return k, c.fail(p, "it is no key: 32 bytes in base64, as wg genkey writes them")
	}
	if copy(k[:], b); k == (conformance.Key{}) {
		return k, c.fail(p, "a key of zeros")
	}
	return k, nil
}

// families complains about a second address of one family.
func (c *checker) families(p path, seen *[2]bool, a netip.Addr) error {
	i := 0
	if a.Is6() {
		i = 1
	}
	if seen[i] {
		return c.fail(p, "a second address of one family; one of IPv4 and one of IPv6 may be given")
	}
	seen[i] = true
	return nil
}

// addresses reads a list of HOST:PORT.
func (c *checker) addresses(field path, list []string) (all []netip.AddrPort, err error) {
	var seen [2]bool
	for i, text := range list {
		at := append(field[:len(field):len(field)], i)
		a, err := netip.ParseAddrPort(text)
		switch {
		case err != nil:
			return nil, c.fail(at, "%q is not ADDRESS:PORT, such as 192.0.2.1:51820 or [2001:db8::1]:51820", text)
		case a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().Is4In6():
			return nil, c.fail(at, "nothing can be sent to %s", text)
		}
		if err := c.families(at, &seen, a.Addr()); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// hosts reads a list of addresses without a port.
func (c *checker) hosts(field path, list []string) (all []netip.Addr, err error) {
	var seen [2]bool
	for i, text := range list {
		at := append(field[:len(field):len(field)], i)
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.Is4In6() {
			return nil, c.fail(at, "%q is no IP address of a host", text)
		}
		if err := c.families(at, &seen, a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
