package cookie

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/blake2s"
	"pgregory.net/rapid"
)

// CRYPTO-05: "keyed BLAKE2s with a 16-byte output", for every key length and message length, in any order of use of
// the one kept digest.
func TestMACIsKeyedBLAKE2s128_CRYPTO05(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		key := drawBytes(t, "key", 1, 32)
		msg := drawBytes(t, "message", 0, 300)
		keyBefore, msgBefore := bytes.Clone(key), bytes.Clone(msg)
		var got [16]byte
		h.MAC(&got, key, msg)
		if want := refMAC(key, msg); !bytes.Equal(got[:], want) {
			t.Fatalf("MAC %x, blake2s.New128 says %x", got, want)
		}
		if !bytes.Equal(key, keyBefore) || !bytes.Equal(msg, msgBefore) {
			t.Fatal("MAC wrote to its input")
		}
	})
}

// CRYPTO-05: the lengths around BLAKE2s's block size, for both key sizes of the protocol, exhaustively.
func TestMACEveryLength_CRYPTO05(t *testing.T) {
	h := NewHasher()
	msg := bytes.Repeat([]byte{0xa5, 0x01, 0xff}, 100)
	for _, keyLen := range []int{16, 32} {
		key := bytes.Repeat([]byte{7}, keyLen)
		for n := range len(msg) {
			var got [16]byte
			h.MAC(&got, key, msg[:n])
			if want := refMAC(key, msg[:n]); !bytes.Equal(got[:], want) {
				t.Fatalf("key of %d, message of %d bytes: %x, want %x", keyLen, n, got, want)
			}
		}
	}
}

// CRYPTO-05: "not a truncated 32-byte output".
func TestMACIsNoTruncation_CRYPTO05(t *testing.T) {
	key, msg := bytes.Repeat([]byte{9}, 32), []byte("message")
	long, err := blake2s.New256(key)
	if err != nil {
		t.Fatal(err)
	}
	long.Write(msg)
	var got [16]byte
	NewHasher().MAC(&got, key, msg)
	if bytes.Equal(got[:], long.Sum(nil)[:16]) {
		t.Fatal("the MAC is the first half of BLAKE2s-256")
	}
}

// SEC-03: between two calls the scratch holds no key, so that a wiped secret does not live on there.
func TestMACLeavesNoKeyBehind_SEC03(t *testing.T) {
	h := NewHasher()
	key := bytes.Repeat([]byte{0xee}, 32)
	var mac [16]byte
	h.MAC(&mac, key, bytes.Repeat([]byte{1}, 100))
	if bytes.Contains(h.state[:], key[:4]) {
		t.Fatalf("the key is still in the state: %x", h.state)
	}
}

func TestMACRefusesImpossibleKeys(t *testing.T) {
	for _, n := range []int{0, 33} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a key of %d bytes was accepted", n)
				}
			}()
			var mac [16]byte
			NewHasher().MAC(&mac, make([]byte, n), nil)
		}()
	}
}
