package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
)

// Errors of a log; test with errors.Is.
var (
	ErrFormat    = errors.New("purewire: not an event log, or damaged")
	ErrVersion   = errors.New("purewire: event log of another version")
	ErrTruncated = errors.New("purewire: the event log ends early") // all that was there was replayed
)

// maxRecord is the longest record that is believed, in bytes: a configuration of 2^20 peers with many prefixes.
const maxRecord = 1 << 30

// source reads records.
type source struct {
	in interface {
		io.Reader
		io.ByteReader
	}
	buf bytes.Buffer
}

// next reads a record. Its memory is good until the next call. io.EOF: there is none; ErrTruncated: a part of one.
func (s *source) next() (kind, []byte, error) {
	k, err := s.in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(s.in)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil, ErrTruncated
	case err != nil:
		return 0, nil, err
	case kind(k) == 0 || kind(k) > kindLast:
		return 0, nil, fmt.Errorf("%w: record of kind %d", ErrFormat, k)
	case n > maxRecord:
		return 0, nil, fmt.Errorf("%w: record of %d bytes", ErrFormat, n)
	}
	s.buf.Reset() // it grows with what there is, not with what is claimed
	if _, err := io.CopyN(&s.buf, s.in, int64(n)); errors.Is(err, io.EOF) {
		return 0, nil, ErrTruncated
	} else if err != nil {
		return 0, nil, err
	}
	return kind(k), s.buf.Bytes(), nil
}

// decoder takes the fields of a record apart. After a fault all are zero and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the length of a list whose elements take a byte or more each.
func (d *decoder) count() int {
	v := d.uint()
	if v > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) bool() bool {
	if len(d.b) == 0 || d.b[0] > 1 {
		d.fail()
		return false
	}
	v := d.b[0] == 1
	d.b = d.b[1:]
	return v
}

// bytes gives a part of the record itself.
func (d *decoder) bytes() []byte {
	n := d.count()
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) key() (k [protocol.KeySize]byte) {
	if copy(k[:], d.bytes()) != len(k) {
		d.fail()
	}
	return k
}

func (d *decoder) binary(into interface{ UnmarshalBinary([]byte) error }) {
	if b := d.bytes(); !d.bad && into.UnmarshalBinary(b) != nil {
		d.fail()
	}
}

func (d *decoder) wall() time.Time {
	seconds := d.int()
	return time.Unix(seconds, int64(d.uint()))
}

func (d *decoder) endpoint() (p protocol.Endpoint) {
	d.binary(&p.Remote)
	d.binary(&p.Local)
	p.IfIndex = uint32(d.uint())
	return p
}

func (d *decoder) limits() (l protocol.Limits) {
	for _, v := range [...]*int{&l.Peers, &l.StagedPackets, &l.StagedBytes, &l.Jobs, &l.HandshakesPerSecond,
		&l.CookiesPerSecond, &l.CookiesPerSource} {
		*v = int(d.int())
	}
	return l
}

// change decodes all but the identity, which of makes of its number and public key.
func (d *decoder) change(of func(d *decoder) protocol.Identity) (c protocol.Change) {
	c.Op, c.Lenient = protocol.Op(d.uint()), d.bool()
	c.Identity = of(d)
	c.MTU = int(d.int())
	c.Peer = d.key()
	if d.bool() {
		psk := protocol.PresharedKey(d.key())
		c.PresharedKey = &psk
	}
	if d.bool() {
		c.Endpoint = new(netip.AddrPort)
		d.binary(c.Endpoint)
		c.EndpointIfIndex = uint32(d.uint())
	}
	if d.bool() {
		seconds := uint16(d.uint())
		c.PersistentKeepalive = &seconds
	}
	c.ReplaceAllowedIPs = d.bool()
	c.RemoveAllowedIPs = d.prefixes()
	c.AllowedIPs = d.prefixes()
	return c
}

func (d *decoder) prefixes() (list []netip.Prefix) {
	for range d.count() {
		var p netip.Prefix
		d.binary(&p)
		list = append(list, p)
	}
	return list
}
