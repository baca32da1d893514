package bringup

import (
	"encoding/binary"
	"slices"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// mac1At is where mac1 begins in a message of this length.
func mac1At(length int) int { return length - 32 }

// header begins a message with mistakes.
func (m mistakes) header(kind peer.Kind, indices ...uint32) []byte {
	b := []byte{byte(kind), 0, 0, 0}
	if m.has("type-big-endian") {
		b = []byte{0, 0, 0, byte(kind)}
	}
	if m.has("index-order") && len(indices) == 2 {
		indices[0], indices[1] = indices[1], indices[0]
	}
	for _, i := range indices {
		b = m.appendIndex(b, i)
	}
	return b
}

func (m mistakes) appendIndex(b []byte, i uint32) []byte {
	if m.has("index-big-endian") {
		return binary.BigEndian.AppendUint32(b, i)
	}
	return binary.LittleEndian.AppendUint32(b, i)
}

// timestamp gives the content of the timestamp field with mistakes.
func (m mistakes) timestamp(right peer.Timestamp) []byte {
	label, nanos := binary.BigEndian.Uint64(right[:8]), binary.BigEndian.Uint32(right[8:])
	switch {
	case m.has("timestamp-unix"):
		label -= 1<<62 + 10
	case m.has("timestamp-milliseconds"):
		label = (label-1<<62-10)*1000 + uint64(nanos)/1e6
	}
	if m.has("timestamp-little-endian") {
		label &^= 0xff // else it may be of the far future to who reads it rightly, and nothing later would be answered
	}
	b := binary.BigEndian.AppendUint64(nil, label)
	b = binary.BigEndian.AppendUint32(b, nanos)
	if m.has("timestamp-little-endian") {
		slices.Reverse(b[:8])
		slices.Reverse(b[8:])
	}
	return b
}

// transportNonce is the nonce of a transport message (CRYPTO-06) or, without mistakes, of a handshake field.
func transportNonce(m mistakes, counter uint64) []byte {
	n := make([]byte, 12)
	switch {
	case m.has("nonce-first"):
		binary.LittleEndian.PutUint64(n, counter)
	case m.has("nonce-first-big-endian"):
		binary.BigEndian.PutUint64(n, counter)
	case m.has("nonce-big-endian"):
		binary.BigEndian.PutUint64(n[4:], counter)
	case m.has("nonce-one-more"):
		binary.LittleEndian.PutUint64(n[4:], counter+1)
	default:
		binary.LittleEndian.PutUint64(n[4:], counter)
	}
	return n
}

// tunnel is the state of one direction of a session, for making and opening transport messages with mistakes.
type tunnel struct {
	key, back peer.Key // of this direction, and of the other
	single    peer.Key // T1
	hash      peer.Key // a T made from h instead of C, in this direction
	receiver  uint32
}

func (t *tunnel) cipherKey(m mistakes) peer.Key {
	switch {
	case m.has("keys-swapped"):
		return t.back
	case m.has("keys-single"):
		return t.single
	case m.has("keys-from-hash"):
		return t.hash
	}
	return t.key
}

func additional(m mistakes, header []byte) []byte {
	if m.has("transport-ad-header") {
		return header
	}
	return nil
}

// seal makes a transport message with mistakes.
func (t *tunnel) seal(m mistakes, counter uint64, plain []byte) []byte {
	b := m.header(peer.KindTransport, t.receiver)
	if m.has("counter-big-endian") {
		b = binary.BigEndian.AppendUint64(b, counter)
	} else {
		b = binary.LittleEndian.AppendUint64(b, counter)
	}
	key := t.cipherKey(m)
	return aeadOf(key[:]).Seal(b, transportNonce(m, counter), plain, additional(m, b))
}

// open opens a transport message that may have mistakes; its receiver index is not looked at.
func (t *tunnel) open(m mistakes, b []byte) (plain []byte, ok bool) {
	if len(b) < peer.TransportOverhead {
		return nil, false
	}
	counter := binary.LittleEndian.Uint64(b[8:])
	if m.has("counter-big-endian") {
		counter = binary.BigEndian.Uint64(b[8:])
	}
	key := t.cipherKey(m)
	plain, err := aeadOf(key[:]).Open([]byte{}, transportNonce(m, counter), b[16:], additional(m, b[:16]))
	return plain, err == nil
}

// swap32 reads what was written in the other byte order.
func swap32(i uint32) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], i)
	return binary.BigEndian.Uint32(b[:])
}
