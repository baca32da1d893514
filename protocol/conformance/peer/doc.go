// Package peer is the conformance suite's own WireGuard: the messages of the protocol, right or wrong in any one
// respect, and the reading of what a subject sends. It is slow and meant to be read. The handshake is
// github.com/flynn/noise with a Diffie-Hellman function that can be told to lie; the rest is golang.org/x/crypto.
// Nothing here keeps time, retries or decides: a case does.
//
// A message is made wrong in one of two ways. What the cryptography covers is set before, in a [Spec]: another
// ephemeral, static, timestamp or preshared key. Everything else (type, reserved bytes, length, index, macs, any bit)
// is changed in the finished bytes, and [Remac] makes the macs right again if only the change is to be wrong.
package peer
