package peer

import (
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// Session is one end of a key pair. It keeps no replay window and no age: what is right is the case's business.
type Session struct {
	Initiator bool   // this end sent the initiation
	Local     uint32 // this end's index: what the other end's messages carry
	Remote    uint32 // the other end's index: what this end's messages carry
	Next      uint64 // counter of the next message of Seal
	SendKey   Key
	RecvKey   Key
}

// Seal makes the next transport message: plaintext as it is, without padding. Empty: a keepalive.
func (s *Session) Seal(plaintext []byte) []byte {
	b := s.SealAt(s.Next, plaintext)
	s.Next++
	return b
}

// SealAt makes a transport message with any counter; Next stays.
func (s *Session) SealAt(counter uint64, plaintext []byte) []byte {
	return SealTransport(s.SendKey, s.Remote, counter, plaintext)
}

// SealTransport makes a transport message of any key, index and counter (paper §5.4.6, CRYPTO-06, CRYPTO-08).
func SealTransport(key Key, receiver uint32, counter uint64, plaintext []byte) []byte {
	b := header(KindTransport, receiver)
	b = binary.LittleEndian.AppendUint64(b, counter)
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // only for a key of another size
	}
	return a.Seal(b, nonce(counter), plaintext, nil)
}

// Open decrypts a transport message of the other end, padding included.
func (s *Session) Open(b []byte) (plaintext []byte, err error) {
	switch {
	case KindOf(b) != KindTransport:
		return nil, errors.New("no transport message")
	case Receiver(b) != s.Local:
		return nil, errors.New("for another receiver index")
	}
	a, err := chacha20poly1305.New(s.RecvKey[:])
	if err != nil {
		panic(err)
	}
	plaintext, err = a.Open(nil, nonce(Counter(b)), b[16:], nil)
	if err != nil {
		return nil, ErrTag
	}
	return plaintext, nil
}

func nonce(counter uint64) []byte {
	n := make([]byte, 12)
	binary.LittleEndian.PutUint64(n[4:], counter)
	return n
}

// header begins a message: type, zero reserved bytes and an index.
func header(k Kind, index uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{byte(k), 0, 0, 0}, index)
}
