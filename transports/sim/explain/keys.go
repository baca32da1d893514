package explain

import (
	"fmt"
	"slices"
	"strings"
)

// Depth is how much a capture could tell, given what was known.
type Depth string

// The depths.
const (
	DepthNoKeys Depth = "no keys" // types, indices, counters, sizes and times
	DepthConfig Depth = "config"  // besides: who, timestamps, mac1, mac2
	DepthFull   Depth = "full"    // besides: what was inside
)

// keyring is every key that somebody told: private keys by their public ones, preshared keys, and names.
type keyring struct {
	confs    []*conf
	publics  []key // in the order in which they were told: of static keys only
	names    map[key]string
	private  map[key]key // static and ephemeral
	psks     []key       // the zero key first: there may be none (CRYPTO-14)
	pskOf    map[key]key // by the ephemeral public key that the log names it with
	logLines int
}

func newKeyring() *keyring {
	return &keyring{names: map[key]string{}, private: map[key]key{}, pskOf: map[key]key{}, psks: []key{{}}}
}

// addConf takes the keys of a configuration.
func (r *keyring) addConf(c *conf) {
	r.confs = append(r.confs, c)
	r.private[c.public] = c.private
	r.addStatic(c.public, c.name)
	for _, p := range c.peers {
		r.addStatic(p.public, "")
		r.addPSK(p.psk)
	}
}

// addStatic remembers a public key; a file's name is better than none.
func (r *keyring) addStatic(k key, name string) {
	if !slices.Contains(r.publics, k) {
		r.publics = append(r.publics, k)
	}
	if name != "" {
		r.names[k] = name
	}
}

func (r *keyring) addPSK(k key) {
	if !slices.Contains(r.psks, k) {
		r.psks = append(r.psks, k)
	}
}

// name is what to call the owner of a public key.
func (r *keyring) name(k key) string {
	if n := r.names[k]; n != "" {
		return n
	}
	return shortKey(k)
}

func (r *keyring) conf(k key) *conf {
	for _, c := range r.confs {
		if c.public == k {
			return c
		}
	}
	return nil
}

// addLog takes the lines of a key log as Wireshark reads them: TYPE=BASE64 or TYPE = BASE64, # begins a comment. A
// preshared key belongs to the ephemeral key of the line before. from names the log in errors, which tell no key.
func (r *keyring) addLog(from string, text []byte) error {
	var lastEphemeral key
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			return fmt.Errorf("%s:%d: no line of a key log: TYPE=KEY is needed", from, number)
		}
		name = strings.TrimSpace(name)
		k, err := parseKey(strings.TrimSpace(value))
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", from, number, name, err)
		}
		if err := r.logKey(name, k, &lastEphemeral); err != nil {
			return fmt.Errorf("%s:%d: %w", from, number, err)
		}
		r.logLines++
	}
	return nil
}

func (r *keyring) logKey(name string, k key, lastEphemeral *key) error {
	switch name {
	case "REMOTE_STATIC_PUBLIC_KEY":
		r.addStatic(k, "")
	case "PRESHARED_KEY":
		r.addPSK(k)
		if *lastEphemeral != (key{}) {
			r.pskOf[*lastEphemeral] = k
		}
	case "LOCAL_STATIC_PRIVATE_KEY", "LOCAL_EPHEMERAL_PRIVATE_KEY":
		public, err := publicOf(k)
		if err != nil {
			return err
		}
		r.private[public] = k
		if name == "LOCAL_STATIC_PRIVATE_KEY" {
			r.addStatic(public, "")
			*lastEphemeral = key{}
		} else {
			*lastEphemeral = public
		}
	default:
		return fmt.Errorf("%s is no type of key: LOCAL_STATIC_PRIVATE_KEY, REMOTE_STATIC_PUBLIC_KEY, "+
			"LOCAL_EPHEMERAL_PRIVATE_KEY and PRESHARED_KEY are", name)
	}
	return nil
}
