package bringup

import "slices"

// A Cause is a mistake that implementations make and that bytes give away.
type Cause struct {
	Code  string   `json:"code"` // for ever the same
	Text  string   `json:"text"` // what the subject does, and what it should do
	Rules []string `json:"rules"`
	// part of the protocol in which it shows first.
	part part
}

type part int

const (
	inStart part = iota // in the key schedule up to the end of the initiation, hence in all that follows
	inResponse
	inTransport
	inHeader
	inTimestamp
)

// Causes lists the mistakes of the key schedule, the headers and the timestamp that are tried one by one, and in the
// key schedule in pairs. What may be wrong with a mac is tried in every combination and not listed here; and some
// mistakes need no trial, since the bytes show them.
func Causes() []Cause { return slices.Clone(causes) }

func causeOf(code string) Cause {
	i := slices.IndexFunc(causes, func(c Cause) bool { return c.Code == code })
	if i < 0 {
		panic("bringup: no cause " + code)
	}
	return causes[i]
}

// in gives the causes of some parts.
func in(parts ...part) (all []Cause) {
	for _, c := range causes {
		if slices.Contains(parts, c.part) {
			all = append(all, c)
		}
	}
	return all
}

func rules(ids ...string) []string { return ids }

var causes = []Cause{
	{"construction-nul", "the construction string is hashed with a terminating NUL: 38 bytes instead of 37",
		rules("CRYPTO-01"), inStart},
	{"construction-ik", `the construction is "Noise_IK_25519_ChaChaPoly_BLAKE2s": psk2 is missing in it`,
		rules("CRYPTO-01"), inStart},
	{"construction-psk1", `the construction says psk1 instead of psk2`, rules("CRYPTO-01"), inStart},
	{"construction-blake2b", "the construction says BLAKE2b instead of BLAKE2s", rules("CRYPTO-01"), inStart},
	{"construction-sha256", "the construction says SHA256 instead of BLAKE2s", rules("CRYPTO-01"), inStart},
	{"construction-long-cipher", "the construction says ChaCha20Poly1305: Noise's name for it is ChaChaPoly",
		rules("CRYPTO-01"), inStart},
	{"construction-unhashed", "C starts as the first 32 bytes of the construction string instead of its hash",
		rules("CRYPTO-01"), inStart},
	{"identifier-nul", "the identifier is hashed with a terminating NUL: 35 bytes instead of 34",
		rules("CRYPTO-02"), inStart},
	{"identifier-v0", "the identifier is that of version 0, or has another version in it", rules("CRYPTO-02"), inStart},
	{"identifier-no-mail", `the identifier is "WireGuard v1": the rest of it is missing`, rules("CRYPTO-02"), inStart},
	{"identifier-missing", "the identifier is not mixed into the hash", rules("CRYPTO-02"), inStart},
	{"identifier-alone", "the hash starts as H(identifier) instead of H(C ‖ identifier)", rules("CRYPTO-02"), inStart},
	{"start-own-static", "the hash starts with the initiator's static public key: it has to be the responder's",
		rules("HS-02"), inStart},
	{"start-no-static", "the responder's static public key is not mixed into the hash", rules("HS-02"), inStart},
	{"hash-sha256", "the hash is SHA-256 instead of BLAKE2s", rules("CRYPTO-01", "CRYPTO-04"), inStart},
	{"hash-blake2b", "the hash is BLAKE2b with 32 bytes of output instead of BLAKE2s",
		rules("CRYPTO-01", "CRYPTO-04"), inStart},
	{"hash-blake2b-cut", "the hash is BLAKE2b-512, cut to 32 bytes, instead of BLAKE2s",
		rules("CRYPTO-01", "CRYPTO-04"), inStart},
	{"kdf-keyed", "the KDF uses keyed BLAKE2s where HMAC-BLAKE2s belongs (keyed BLAKE2s is for mac1 and mac2 only)",
		rules("CRYPTO-04"), inStart},
	{"kdf-extract-keyed", "the first step of the KDF, t0, uses keyed BLAKE2s where HMAC-BLAKE2s belongs",
		rules("CRYPTO-04"), inStart},
	{"kdf-expand-keyed", "the outputs of the KDF use keyed BLAKE2s where HMAC-BLAKE2s belongs",
		rules("CRYPTO-04"), inStart},
	{"kdf-arguments", "the KDF has key and input of its first HMAC exchanged: the key is C", rules("CRYPTO-04"), inStart},
	{"kdf-from-zero", "the KDF counts its outputs from 0: the first is HMAC(t0, 01)", rules("CRYPTO-04"), inStart},
	{"kdf-unchained", "the KDF leaves out the previous output: the second is HMAC(t0, t1 ‖ 02)",
		rules("CRYPTO-04"), inStart},
	{"kdf-order", "the outputs of KDF2 are exchanged: the first is the chaining value, the second the key",
		rules("CRYPTO-04"), inStart},
	{"hmac-block-32", "HMAC pads its key to 32 bytes: the block of BLAKE2s has 64", rules("CRYPTO-04"), inStart},
	{"hmac-block-128", "HMAC pads its key to 128 bytes, the block of BLAKE2b: that of BLAKE2s has 64",
		rules("CRYPTO-04"), inStart},
	{"e-no-kdf", "the ephemeral key is not mixed into the chaining value: C = KDF1(C, E) is missing",
		rules("CRYPTO-04"), inStart},
	{"e-no-hash", "the ephemeral key is not mixed into the hash", rules("CRYPTO-10"), inStart},
	{"es-ss-swapped", "the products es and ss are mixed in the wrong order", rules("HS-02"), inStart},
	{"es-is-ss", "es is computed with the static private key instead of the ephemeral one", rules("HS-02"), inStart},
	{"ss-missing", "the product ss is not mixed in before the timestamp", rules("HS-02", "HS-06"), inStart},
	{"dh-reversed", "the products of keys are in the wrong byte order: what X25519 gives is used as it is",
		rules("HS-02"), inStart},
	{"static-no-hash", "the encrypted static is not mixed into the hash", rules("CRYPTO-07"), inStart},
	{"static-hash-plain", "the static key is mixed into the hash in the clear instead of its ciphertext",
		rules("CRYPTO-07"), inStart},
	{"timestamp-no-hash", "the encrypted timestamp is not mixed into the hash", rules("CRYPTO-07"), inResponse},
	{"timestamp-hash-plain", "the timestamp is mixed into the hash in the clear instead of its ciphertext",
		rules("CRYPTO-07"), inResponse},
	{"aead-no-ad", "the fields of the handshake are sealed without additional data: it is the running hash",
		rules("CRYPTO-07"), inStart},
	{"aead-from-one", "the fields of the handshake are sealed with counter 1: it is 0 for each",
		rules("CRYPTO-07"), inStart},
	{"aead-counts-on", "the counter goes on from field to field of the handshake: it is 0 for each, as each has a key " +
		"of its own", rules("CRYPTO-07"), inStart},
	{"ee-se-swapped", "the products ee and se are mixed in the wrong order", rules("HS-03"), inResponse},
	{"ee-missing", "the product ee is not mixed in", rules("HS-03"), inResponse},
	{"se-missing", "the product se is not mixed in", rules("HS-03"), inResponse},
	{"ee-is-es", "ee is computed with the responder's static key instead of its ephemeral one",
		rules("HS-03"), inResponse},
	{"se-is-ss", "se is computed with the responder's static key instead of its ephemeral one",
		rules("HS-03"), inResponse},
	{"se-is-es", "es is mixed in once more where se belongs", rules("HS-03"), inResponse},
	{"psk-missing", "the preshared key is not mixed in at all: without one it is 32 zero bytes, mixed in all the same",
		rules("CRYPTO-14"), inResponse},
	{"psk-zeros", "zeros are mixed in although a preshared key is configured", rules("CRYPTO-14"), inResponse},
	{"psk-one", "the preshared key is mixed in right after the responder's ephemeral key: it comes after ee and se",
		rules("CRYPTO-14"), inResponse},
	{"psk-first", "the preshared key is mixed in at the start: it comes in the response, after ee and se",
		rules("CRYPTO-14"), inStart},
	{"psk-two", "the preshared key is mixed in with KDF2: it takes KDF3, for (C, tau, k)", rules("CRYPTO-14"), inResponse},
	{"psk-order", "tau and k are exchanged: KDF3 gives (C, tau, k)", rules("CRYPTO-14"), inResponse},
	{"psk-no-tau", "tau is not mixed into the hash", rules("CRYPTO-14"), inResponse},
	{"psk-itself", "the preshared key itself is mixed into the hash: it has to be tau", rules("CRYPTO-14"), inResponse},

	{"keys-swapped", "the transport keys are exchanged: the initiator sends with the first and the responder with the " +
		"second output of KDF2", rules("KEY-17"), inTransport},
	{"keys-single", "one transport key is used for both directions: the responder sends with the second output of KDF2",
		rules("KEY-17"), inTransport},
	{"keys-from-hash", "the transport keys are derived from the hash: they are KDF2(C, empty)",
		rules("KEY-17"), inTransport},
	{"nonce-first", "the counter is in the first 8 bytes of the nonce: 4 zero bytes come first",
		rules("CRYPTO-06"), inTransport},
	{"nonce-big-endian", "the counter in the nonce is big-endian", rules("CRYPTO-06"), inTransport},
	{"nonce-first-big-endian", "the counter is in the first 8 bytes of the nonce, and big-endian",
		rules("CRYPTO-06"), inTransport},
	{"nonce-one-more", "the nonce is one more than the counter of the message", rules("CRYPTO-06"), inTransport},
	{"counter-big-endian", "the counter of the message is big-endian", rules("MSG-10"), inTransport},
	{"transport-ad-header", "the header is additional data of a transport message: there is none",
		rules("CRYPTO-08"), inTransport},

	{"index-big-endian", "indices are big-endian", rules("MSG-10"), inHeader},
	{"index-order", "sender and receiver index are exchanged: the sender's comes first", rules("HS-07"), inHeader},
	{"type-big-endian", "type and reserved bytes are a big-endian number: the type is the first byte",
		rules("MSG-01"), inHeader},

	{"timestamp-little-endian", "the timestamp is little-endian: TAI64N is big-endian", rules("TAI-01"), inTimestamp},
	{"timestamp-unix", "the timestamp has seconds of Unix time: TAI64 begins at 2^62 + 10", rules("TAI-08"), inTimestamp},
	{"timestamp-milliseconds", "the timestamp counts milliseconds: it has 8 bytes of seconds and 4 of nanoseconds",
		rules("TAI-01"), inTimestamp},
}
