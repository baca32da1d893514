package protocoltest

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A command is one line of a script, taken apart: a name, plain words and key=value arguments. The accessors give a
// default for what is missing, remember the first mistake, and mark what they read, so that done can refuse the rest.
type command struct {
	env   *Env
	at    string // file and line
	name  string
	words []string
	args  []argument
	err   error
}

type argument struct {
	key, value string
	read       bool
}

// parseCommand splits a line at spaces. Double quotes hold a value together.
func parseCommand(env *Env, at, line string) (*command, error) {
	c := &command{env: env, at: at}
	fields, err := split(line)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	c.name = fields[0]
	for _, f := range fields[1:] {
		key, value, found := strings.Cut(f, "=")
		if !found {
			c.words = append(c.words, f)
			continue
		}
		c.args = append(c.args, argument{key: key, value: value})
	}
	return c, nil
}

func split(line string) (fields []string, err error) {
	var field strings.Builder
	quoted, begun := false, false
	flush := func() {
		if begun {
			fields = append(fields, field.String())
		}
		field.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			flush()
		default:
			field.WriteRune(r)
			begun = true
		}
	}
	flush()
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("no command")
	}
	return fields, nil
}

func (c *command) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s: %s", c.at, c.name, fmt.Sprintf(format, args...))
	}
}

// done reports the first mistake, or an argument that nothing has read. Handlers call it before they do anything.
func (c *command) done() error {
	for _, a := range c.args {
		if !a.read {
			c.fail("unknown argument %q", a.key)
		}
	}
	if len(c.words) > 0 {
		c.fail("what is %q?", c.words[0])
	}
	return c.err
}

// has reports whether the argument is there.
func (c *command) has(key string) bool {
	_, ok := c.look(key)
	return ok
}

func (c *command) look(key string) (value string, ok bool) {
	for i := range c.args {
		if c.args[i].key == key {
			c.args[i].read = true
			value, ok = c.args[i].value, true
		}
	}
	return value, ok
}

// word takes the next plain word.
func (c *command) word(what string) string {
	if len(c.words) == 0 {
		c.fail("%s is missing", what)
		return ""
	}
	w := c.words[0]
	c.words = c.words[1:]
	return w
}

func (c *command) rest() []string {
	w := c.words
	c.words = nil
	return w
}

// node takes the next word as the name of a device.
func (c *command) node() *Node {
	name := c.word("the name of a device")
	if c.err != nil {
		return nil
	}
	return c.named(name)
}

func (c *command) named(name string) *Node {
	n := c.env.Node(name)
	if n == nil {
		c.fail("there is no device %q", name)
	}
	return n
}

// nodes takes all remaining words as names of devices; none means every device.
func (c *command) nodes() []*Node {
	words := c.rest()
	if len(words) == 0 {
		return c.env.nodes
	}
	nodes := make([]*Node, 0, len(words))
	for _, w := range words {
		nodes = append(nodes, c.named(w))
	}
	return nodes
}

func (c *command) str(key, fallback string) string {
	if v, ok := c.look(key); ok {
		return v
	}
	return fallback
}

func (c *command) number(key string, fallback int) int {
	v, ok := c.look(key)
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		c.fail("%s=%s is no number", key, v)
	}
	return n
}

func (c *command) flag(key string, fallback bool) bool {
	switch v := c.str(key, ""); v {
	case "":
		return fallback
	case "yes":
		return true
	case "no":
		return false
	default:
		c.fail("%s=%s: yes or no", key, v)
		return false
	}
}

func (c *command) bytes(key string) []byte {
	b, err := hex.DecodeString(c.str(key, ""))
	if err != nil {
		c.fail("%s: %v", key, err)
	}
	return b
}

func (c *command) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil && c.err == nil {
		c.fail("%q is no duration", text)
	}
	return d
}

func (c *command) addrPort(key string, fallback netip.AddrPort) netip.AddrPort {
	v, ok := c.look(key)
	if !ok {
		return fallback
	}
	a, err := netip.ParseAddrPort(v)
	if err != nil {
		c.fail("%s=%s is no address with port", key, v)
	}
	return a
}

func (c *command) addr(key string, fallback netip.Addr) netip.Addr {
	v, ok := c.look(key)
	if !ok {
		return fallback
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		c.fail("%s=%s is no address", key, v)
	}
	return a
}

// prefixes reads a list with commas between its prefixes; an address alone is a prefix of its full length.
func (c *command) prefixes(key string) (list []netip.Prefix) {
	for _, v := range strings.FieldsFunc(c.str(key, ""), func(r rune) bool { return r == ',' }) {
		if a, err := netip.ParseAddr(v); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(v)
		if err != nil {
			c.fail("%s: %q is no prefix", key, v)
		}
		list = append(list, p)
	}
	return list
}

// link reads "a->b" or "a b" words as two devices; both is true for the second form.
func (c *command) link() (a, b *Node, both bool) {
	first := c.word("a device")
	from, to, one := strings.Cut(first, "->")
	if !one {
		to = c.word("a second device")
	}
	if c.err != nil {
		return nil, nil, false
	}
	return c.named(from), c.named(to), !one
}
