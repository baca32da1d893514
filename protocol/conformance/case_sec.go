package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var secCases = []Case{
	{
		ID: "wire/any/survives", Rules: []string{"SEC-08"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "It lives through hundreds of messages that are damaged anywhere, before and behind the cryptography",
		Why:   "A datagram that ends a gateway ends the tunnels of all; and not every peer is a friend.",
		Run:   survives,
	},
	{
		ID: "uapi/socket/private", Rules: []string{"SEC-06"}, Level: Should, Isolation: Shared, Needs: NeedUAPI,
		Lasts: time.Second, Title: "The configuration socket is its owner's alone",
		Why: "Whoever can ask it gets the private key, and whoever can tell it something gets the traffic.",
		Run: func(t *T) {
			mode, err := fs.FileMode(0), errors.ErrUnsupported
			t.use(func(s Subject) {
				if s, ok := s.(SocketSubject); ok {
					mode, err = s.SocketMode()
				}
			})
			if errors.Is(err, errors.ErrUnsupported) {
				t.Unsupported("its configuration socket is no file")
			}
			t.must("tell the mode of its configuration socket", err)
			t.Check(mode&0o077 == 0, "a socket without permissions for others than its owner", mode.String())
		},
	},
}

// noise draws n bytes, and random a number under n.
func (t *T) noise(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(t.Random, b); err != nil {
		t.Broken("no randomness: %v", err)
	}
	return b
}

func (t *T) random(n int) int { return int(binary.LittleEndian.Uint32(t.noise(4)) % uint32(max(n, 1))) }

// survives sends messages that differ from right ones in a byte or in length, and packets that are none through a
// session; then a handshake and a packet through it must work.
func survives(t *T) {
	p := t.Peer()
	s := p.Connect()
	q := t.Peer()
	spoil := func(b []byte) []byte {
		b = bytes.Clone(b)
		switch at := t.random(len(b)); t.random(4) {
		case 0:
			b = b[:at]
		case 1:
			b = append(b, t.noise(t.random(1200))...)
		default:
			b[at] ^= byte(1 + t.random(255))
		}
		return b
	}
	for range 10 {
		var batch [][]byte
		i := q.Initiate(peer.Spec{}).Bytes
		for range 20 {
			batch = append(batch, spoil(i), spoil(s.Seal(pad(p.Inbound()))))
			inner := spoil(p.Inbound())
			batch = append(batch, s.Seal(inner[:min(len(inner), 1420)]), s.Seal(t.noise(t.random(100))))
		}
		batch = append(batch, q.Remac(append(i[:8:8], t.noise(140)...)))
		for _, b := range batch {
			p.Send(b)
		}
		t.Wait(200 * time.Millisecond)
	}
	t.Wait(time.Second) // whatever load they were is over
	t.Forget()
	fresh := t.Peer()
	fresh.Send(fresh.Initiate(peer.Spec{}).Bytes)
	next := fresh.Expect(Response, t.Between(t.Last(), 0, 2*time.Second))
	t.Check(next.Session != nil, "a response that completes the handshake", "one that does not authenticate")
	packet := fresh.Inbound()
	next.Session.Send(packet)
	t.Expect(Delivery.Carrying(packet), t.Soon())
}
