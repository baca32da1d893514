package conformance

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// The surroundings of every subject: the outer addresses of its host, its port and the MTU of its inner side.
var (
	local4 = netip.MustParsePrefix("10.111.0.1/16")
	local6 = netip.MustParsePrefix("fd11:1111::1/64")
)

// TakenPort is a UDP port that another program on the subject's host has, at all addresses (UAPI-13). Targets that can
// see to it do; a subject without the text protocol is never asked for it.
const TakenPort = 53

const (
	subjectPort = uint16(51820)
	subjectMTU  = 1420
)

// stream is the randomness that goes with a seed and a label.
func stream(seed uint64, label string) *rand.ChaCha8 {
	h := sha256.New()
	fmt.Fprintf(h, "purewire conformance %d %s", seed, label)
	return rand.NewChaCha8([32]byte(h.Sum(nil)))
}

// caseSeed gives each case its own seed.
func caseSeed(seed uint64, id string) uint64 {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, id))
	return binary.LittleEndian.Uint64(h[:])
}

// newSetup is how a subject starts unless a case wants it otherwise.
func newSetup(name string, seed uint64, wall time.Time) Setup {
	private := Key(peer.NewPair(stream(seed, "subject")).Private)
	port, mtu, up := subjectPort, subjectMTU, true
	return Setup{Name: name, Seed: seed, Wall: wall, Local4: local4, Local6: local6,
		Config: Change{PrivateKey: &private, ListenPort: &port, MTU: &mtu, Up: &up}}
}

// virtualWall is what wall clocks show when virtual time begins.
var virtualWall = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// newT gives a case its hands. The world is not yet its.
func newT(c Case, s Setup, caps Capabilities, number int, seed uint64) *T {
	t := &T{Case: c, Setup: s, Caps: caps, Random: stream(seed, c.ID), number: number,
		owner: map[netip.AddrPort]*Peer{}, values: map[string]string{}}
	if s.Config.PrivateKey != nil {
		t.Key = peer.PairOf(*s.Config.PrivateKey).Public
	}
	t.Host4 = netip.AddrFrom4([4]byte{198, 18, byte(number >> 8), byte(number)})
	t.Host6 = netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x98, 14: byte(number >> 8), 15: byte(number)})
	if g := caps.Given; g != nil {
		t.Key, t.asked, t.muted = g.PublicKey, map[string]bool{}, map[string]bool{}
		if g.echoes() {
			t.Host4, t.Host6 = g.host(false), g.host(true)
		}
	}
	for _, p := range s.Inner {
		if p.Addr().Is4() {
			t.Host4 = p.Addr()
		} else {
			t.Host6 = p.Addr()
		}
	}
	return t
}
