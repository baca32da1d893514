package protocol

import (
	"encoding/binary"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// Worker does the crypto of jobs. It needs nothing of the device but what the jobs carry, so that any number
// of them can work at once, each on its own goroutine; one Worker belongs to one goroutine at a time. The zero
// value is ready.
type Worker struct {
	nonce [12]byte // here because a local one would escape through cipher.AEAD
}

// setNonce is "4 zero bytes followed by the 64-bit little-endian counter" (CRYPTO-06).
func (w *Worker) setNonce(counter uint64) []byte {
	binary.LittleEndian.PutUint64(w.nonce[4:], counter)
	return w.nonce[:]
}

// Seal encrypts each job: header, padding of zeros (PAD-04), ciphertext and tag; additional data is empty
// (CRYPTO-08). Afterwards the job's window is the message. It panics if a job without Dst has not got Headroom
// and Tailroom around its window, or one with Dst not Size bytes there.
func (w *Worker) Seal(jobs []SealJob) {
	for i := range jobs {
		j := &jobs[i]
		plain, size := j.Bytes(), j.Size()
		if j.Dst == nil {
			j.Off -= Headroom
		} else {
			copy(j.Dst[Headroom:size], plain)
			j.Buf, j.Off = j.Dst, 0
		}
		msg := j.Buf[j.Off : j.Off+size]
		wire.PutTransportHeader(msg, j.keypair.remote, j.counter)
		body := msg[Headroom : Headroom+j.padded]
		clear(body[len(plain):]) // whatever lay behind the packet must not leak
		j.keypair.send.Seal(body[:0], w.setNonce(j.counter), body, nil)
		j.Len = size
	}
}

// Open decrypts each job; whether it succeeded is for HandleOpened to see. Afterwards the window of a good job
// is the plaintext with its padding. It panics if a Dst is shorter than Size.
func (w *Worker) Open(jobs []OpenJob) {
	for i := range jobs {
		j := &jobs[i]
		sealed := j.Bytes()[wire.TransportHeaderSize:]
		opened := Packet{Buf: j.Buf, Off: j.Off + wire.TransportHeaderSize, Len: j.Size()}
		if j.Dst != nil {
			opened.Buf, opened.Off = j.Dst, 0
		}
		if _, err := j.keypair.receive.Open(opened.Bytes()[:0], w.setNonce(j.counter), sealed, nil); err == nil {
			j.Packet, j.opened = opened, true
		}
	}
}

// Shake does handshake jobs. One that was given back meanwhile is left alone.
func (w *Worker) Shake(jobs []HandshakeJob) {
	for _, job := range jobs {
		if s := job.slot; s != nil && s.generation == job.generation && !s.done {
			s.run()
		}
	}
}

// Finish does all the work of b here and now: decrypts, shakes hands until no job is left, encrypts. It leaves
// in b what is to be sent ([Batch.Outgoing]) and delivered. For callers that do not spread work over cores it
// is all there is to know: Handle…, Finish, send, Reset. What is in b is sealed then: Reset it before the next round.
func Finish(now timers.Time, d *Device, b *Batch, w *Worker) {
	w.Open(b.Open)
	d.HandleOpened(now, b.Open, b)
	b.Open = b.Open[:0]
	for i := 0; i < len(b.Handshakes); i++ {
		job := b.Handshakes[i : i+1]
		w.Shake(job)
		d.HandleShaken(now, job, b)
	}
	b.Handshakes = b.Handshakes[:0]
	w.Seal(b.Seal)
}
