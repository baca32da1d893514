package bringup

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// VectorsFormat names the form of the JSON of Vectors, which docs/vectors.schema.json describes.
const VectorsFormat = "wireguard-vectors/1"

// Vectors are test vectors for implementations, in groups of one kind each.
type Vectors struct {
	Format string  `json:"format"`
	Seed   uint64  `json:"seed"`
	Count  int     `json:"numberOfTests"`
	Groups []Group `json:"testGroups"`
}

// Group is vectors of one kind.
type Group struct {
	Type  string   `json:"type"`
	Notes string   `json:"notes"` // what is computed, from what
	Tests []Vector `json:"tests"`
}

// Vector is one test: what every kind has. Bytes are hexadecimal in JSON; integers are numbers.
type Vector interface{ common() *Common }

// Common is what every vector has.
type Common struct {
	ID      int      `json:"tcId"` // counted from 1 over all groups
	Comment string   `json:"comment"`
	Rules   []string `json:"rules"`
	// Result is "valid", or "invalid" for what has to be refused.
	Result string `json:"result"`
}

func (c *Common) common() *Common { return c }

func valid(comment string, ids ...string) Common {
	return Common{Comment: comment, Rules: ids, Result: "valid"}
}

func invalid(comment string, ids ...string) Common {
	return Common{Comment: comment, Rules: ids, Result: "invalid"}
}

// vectorMaker draws keys and collects what goes wrong, which nothing should.
type vectorMaker struct {
	random *rand.ChaCha8
	err    error
}

// NewVectors makes the vectors of a seed. Each group has a randomness of its own, so that one that grows changes no
// other. Handshakes are made by flynn/noise (package peer) and
// computed once more rung by rung; an error says that the two do not agree.
func NewVectors(seed uint64) (*Vectors, error) {
	m := &vectorMaker{}
	v := &Vectors{Format: VectorsFormat, Seed: seed}
	for i, group := range []func() Group{m.handshakes, m.initiations, m.responses, m.transports, m.kdfs, m.hmacs, m.keyed,
		m.mac1s, m.mac2s, m.cookies, m.aeads, m.xaeads, m.products, m.timestamps} {
		m.random = rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "purewire vectors %d %d", seed, i)))
		v.Groups = append(v.Groups, group())
	}
	for _, g := range v.Groups {
		for _, t := range g.Tests {
			v.Count++
			t.common().ID = v.Count
		}
	}
	return v, m.err
}

func (m *vectorMaker) bytes(n int) Hex {
	b := make(Hex, n)
	_, _ = io.ReadFull(m.random, b) // ChaCha8 never fails
	return b
}

func (m *vectorMaker) key() peer.Key { return peer.Key(m.bytes(32)) }

func (m *vectorMaker) check(ok bool, what string) {
	if !ok && m.err == nil {
		m.err = fmt.Errorf("vectors: %s: the two ways to compute it do not agree", what)
	}
}

// parties are two ends that know each other.
func (m *vectorMaker) parties(psk peer.Key) (initiator, responder *peer.Party) {
	a := &peer.Party{Static: peer.NewPair(m.random), PSK: psk, Random: m.random}
	b := &peer.Party{Static: peer.NewPair(m.random), PSK: psk, Random: m.random}
	a.Remote, b.Remote = b.Static.Public, a.Static.Public
	return a, b
}
