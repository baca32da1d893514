package eventlog

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
)

// encoder appends the fields of a record.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)   { e.b = binary.AppendVarint(e.b, v) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) bytes(v []byte) {
	e.uint(uint64(len(v)))
	e.b = append(e.b, v...)
}

// binary encodes a value of package netip, zero or not.
func (e *encoder) binary(v interface{ AppendBinary([]byte) ([]byte, error) }) {
	b, err := v.AppendBinary(nil)
	if err != nil {
		panic("purewire: netip fails to encode: " + err.Error()) // it never does
	}
	e.bytes(b)
}

// wall keeps what timestamps are made of; location and monotonic reading are of no consequence.
func (e *encoder) wall(t time.Time) {
	e.int(t.Unix())
	e.uint(uint64(t.Nanosecond()))
}

func (e *encoder) endpoint(p protocol.Endpoint) {
	e.binary(p.Remote)
	e.binary(p.Local)
	e.uint(uint64(p.IfIndex))
}

func (e *encoder) limits(l protocol.Limits) {
	for _, v := range [...]int{l.Peers, l.StagedPackets, l.StagedBytes, l.Jobs, l.HandshakesPerSecond,
		l.CookiesPerSecond, l.CookiesPerSource} {
		e.int(int64(v))
	}
}

// identity names an identity by its number, 0 for none.
func (e *encoder) identity(id *identity) {
	if id == nil {
		e.uint(0)
		return
	}
	e.uint(id.number)
	public := id.PublicKey()
	e.bytes(public[:])
}

// change encodes c, but for its identity, which is id.
func (e *encoder) change(c *protocol.Change, id *identity) {
	e.uint(uint64(c.Op))
	e.bool(c.Lenient)
	e.identity(id)
	e.int(int64(c.MTU))
	e.bytes(c.Peer[:])
	if e.bool(c.PresharedKey != nil); c.PresharedKey != nil {
		e.bytes(c.PresharedKey[:])
	}
	if e.bool(c.Endpoint != nil); c.Endpoint != nil {
		e.binary(*c.Endpoint)
		e.uint(uint64(c.EndpointIfIndex))
	}
	if e.bool(c.PersistentKeepalive != nil); c.PersistentKeepalive != nil {
		e.uint(uint64(*c.PersistentKeepalive))
	}
	e.bool(c.ReplaceAllowedIPs)
	e.prefixes(c.RemoveAllowedIPs)
	e.prefixes(c.AllowedIPs)
}

func (e *encoder) prefixes(list []netip.Prefix) {
	e.uint(uint64(len(list)))
	for _, p := range list {
		e.binary(p)
	}
}
