package protocol

import "iter"

// Batch collects what the Handle calls give back. It is reused: make one, Reset it before each round. The
// zero value is ready. What a caller does with it, in this order: send Datagrams; do Open and hand it to
// [Device.HandleOpened]; do Handshakes, now or later and wherever, and hand them to [Device.HandleShaken];
// do Seal and send it in order; write Deliveries to the tunnel. [Finish] does all the work in one call.
//
// Slices of the Datagrams and of keepalives lie in memory of the Batch and are good until Reset, which
// overwrites them. All other slices are windows into the caller's own buffers, or into copies of packets
// that waited for a handshake, which nobody else holds any more.
type Batch struct {
	Datagrams  []Datagram     // finished messages: initiations, responses, cookie replies
	Open       []OpenJob      // transport messages to decrypt
	Seal       []SealJob      // inner packets and keepalives to encrypt
	Handshakes []HandshakeJob // public-key work
	Deliveries []Delivery     // inner packets for the tunnel
	Rejects    []Reject       // inner packets that have nowhere to go
	Events     []Event        // what Config.Trace asked for

	arena []byte   // bump allocator for messages of the core's own
	full  [][]byte // arenas that were too small; kept until Reset only to be overwritten
}

// Reset empties the batch and overwrites the memory that it lent out, so that a slice kept for too long
// is found at once.
func (b *Batch) Reset() {
	clear(b.arena)
	for _, a := range b.full {
		clear(a)
	}
	clear(b.full)
	clear(b.Open[:cap(b.Open)]) // or an idle batch would keep keys and removed peers alive (SEC-04)
	clear(b.Seal[:cap(b.Seal)])
	clear(b.Handshakes[:cap(b.Handshakes)])
	b.arena, b.full = b.arena[:0], b.full[:0]
	b.Datagrams, b.Open, b.Seal = b.Datagrams[:0], b.Open[:0], b.Seal[:0]
	b.Handshakes, b.Deliveries, b.Rejects = b.Handshakes[:0], b.Deliveries[:0], b.Rejects[:0]
	b.Events = b.Events[:0]
}

// Outgoing yields what is to be sent once all work is done: the datagrams, then the sealed messages.
func (b *Batch) Outgoing() iter.Seq[Datagram] {
	return func(yield func(Datagram) bool) {
		for i := range b.Datagrams {
			if !yield(b.Datagrams[i]) {
				return
			}
		}
		for i := range b.Seal {
			if !yield(b.Seal[i].Datagram) {
				return
			}
		}
	}
}

// alloc lends n bytes until Reset.
func (b *Batch) alloc(n int) []byte {
	if cap(b.arena)-len(b.arena) < n {
		if len(b.arena) > 0 {
			b.full = append(b.full, b.arena)
		}
		b.arena = make([]byte, 0, max(1024, 2*cap(b.arena), n))
	}
	off := len(b.arena)
	b.arena = b.arena[:off+n]
	return b.arena[off : off+n : off+n]
}

// SealJob is one transport message to be made. Until a Worker has sealed it the window is the plaintext;
// afterwards it is the message to send. Jobs must be sent in the order in which they came.
type SealJob struct {
	Datagram
	Dst  []byte // if set (by the transport): where the message goes, at least Size bytes; else in place
	Peer PeerID

	keypair *keypair // pins the key (design §3 rule 7)
	counter uint64
	padded  int // bytes of plaintext with padding (PAD-01)
}

// Size is the length in bytes of the finished message.
func (j *SealJob) Size() int { return transportOverhead + j.padded }

// OpenJob is one transport message to be decrypted. The window is the message until a Worker has opened
// it, and the plaintext with its padding afterwards.
type OpenJob struct {
	Datagram
	Dst []byte // if set (by the transport): where the plaintext goes, at least Size bytes; else in place

	keypair *keypair
	counter uint64
	length  int // of the message
	opened  bool
}

// Size is the length in bytes of the plaintext, padding included.
func (j *OpenJob) Size() int { return j.Len - transportOverhead }

// transportOverhead is what a transport message has beyond its plaintext: header and tag.
const transportOverhead = 32
