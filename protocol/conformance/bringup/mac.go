package bringup

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"iter"
	"slices"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// A macRule is a way to compute a mac of a handshake message. The zero macRule is the right one for mac1.
type macRule struct {
	label    string // instead of "mac1----"
	own      bool   // the key is made of the sender's public key instead of the receiver's
	keyKind  string // how it is made of label and public key: "" H(label ‖ public)
	function string // "" keyed BLAKE2s with 16 bytes of output
	from, to int    // the bytes that it covers; to 0: all before mac1. Negative: with that many zero bytes behind
	key      []byte // a cookie; then label, own and keyKind say nothing
}

var (
	macLabels    = []string{"", "mac2----", "cookie--", "mac1", "mac1----\x00", "MAC1----", "mac1-----"}
	macKeyKinds  = []string{"", "public ‖ label", "label alone", "public alone", "HMAC", "BLAKE2b", "SHA-256"}
	macFunctions = []string{"", "cut", "HMAC", "unkeyed", "BLAKE2b"}
)

func blake2b256(parts ...[]byte) []byte {
	h, _ := blake2b.New256(nil) // errors are about keys that are too long
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func blake2sNew() hash.Hash { h, _ := blake2s.New256(nil); return h }

func (r *macRule) macKey(sender, receiver peer.Key) []byte {
	if r.key != nil {
		return r.key
	}
	label, public := []byte(peer.LabelMAC1), receiver
	if r.label != "" {
		label = []byte(r.label)
	}
	if r.own {
		public = sender
	}
	var sum [32]byte
	switch r.keyKind {
	case "public ‖ label":
		sum = blake2s.Sum256(append(public[:], label...))
	case "label alone":
		sum = blake2s.Sum256(label)
	case "public alone":
		sum = public
	case "HMAC":
		h := hmac.New(blake2sNew, label)
		h.Write(public[:])
		return h.Sum(nil)
	case "BLAKE2b":
		return blake2b256(label, public[:])
	case "SHA-256":
		sum = sha256.Sum256(append(label, public[:]...))
	default:
		sum = blake2s.Sum256(append(label, public[:]...))
	}
	return sum[:]
}

// sum computes the mac over data.
func (r *macRule) sum(key, data []byte) []byte {
	var h hash.Hash
	switch r.function {
	case "cut":
		h, _ = blake2s.New256(key)
	case "HMAC":
		h = hmac.New(blake2sNew, key)
	case "unkeyed":
		h = blake2sNew()
		h.Write(key)
	case "BLAKE2b":
		h, _ = blake2b.New(16, key)
	default:
		h, _ = blake2s.New128(key)
	}
	h.Write(data)
	return h.Sum(nil)[:16]
}

// covered gives the bytes of a message that the mac at an offset is made of.
func (r *macRule) covered(message []byte, at int) []byte {
	switch {
	case r.to > 0:
		return message[r.from:r.to]
	case r.to < 0:
		return append(slices.Clone(message[r.from:at]), make([]byte, -r.to)...)
	}
	return message[r.from:at]
}

// apply writes mac1 by this rule into a message, and zeros for mac2.
func (r *macRule) apply(message []byte, sender, receiver peer.Key) []byte {
	at := mac1At(len(message))
	copy(message[at:], r.sum(r.macKey(sender, receiver), r.covered(message, at)))
	clear(message[at+16:])
	return message
}

// diagnosis says what is wrong with the rule; which is mac1 or mac2.
func (r *macRule) diagnosis(which string, at int) (code, text string) {
	add := func(c, t string, args ...any) {
		if code == "" {
			code = which + "-" + c
		} else {
			text += "; and "
		}
		text += fmt.Sprintf(t, args...)
	}
	if r.key == nil {
		if r.label != "" {
			add("label", "the key of %s is made with the label %q, not %q", which, r.label, peer.LabelMAC1)
		}
		if r.own {
			add("static", "the key of %s is made of the sender's own public key: it belongs to the receiver's", which)
		}
		if r.keyKind != "" {
			add("key", "the key of %s is %s, not BLAKE2s(label ‖ public key)", which, keyKindText[r.keyKind])
		}
	}
	if r.function != "" {
		add("function", "%s is %s, not keyed BLAKE2s with an output length of 16", which, functionText[r.function])
	}
	switch {
	case r.to < 0:
		add("range", "%s covers %d bytes too many: the %d bytes before it and %d zero bytes for the mac fields", which,
			-r.to, at, -r.to)
	case r.to > at:
		add("range", "%s covers %d bytes too many: [%d:%d] instead of [0:%d]", which, r.to-at, r.from, r.to, at)
	case r.to > 0 || r.from > 0:
		to := at
		if r.to > 0 {
			to = r.to
		}
		add("range", "%s covers %d bytes too few: [%d:%d] instead of [0:%d]", which, at-(to-r.from), r.from, to, at)
	}
	return code, text
}

var keyKindText = map[string]string{
	"public ‖ label": "BLAKE2s(public key ‖ label)", "label alone": "BLAKE2s(label), without the public key",
	"public alone": "the public key itself, not hashed with the label", "HMAC": "HMAC-BLAKE2s(label, public key)",
	"BLAKE2b": "BLAKE2b-256(label ‖ public key)", "SHA-256": "SHA-256(label ‖ public key)",
}

var functionText = map[string]string{
	"cut":     "a keyed BLAKE2s of 32 bytes, cut to 16 (the output length is part of BLAKE2's parameters)",
	"HMAC":    "HMAC-BLAKE2s, cut to 16 bytes",
	"unkeyed": "BLAKE2s(key ‖ message) without a key parameter",
	"BLAKE2b": "keyed BLAKE2b",
}

// macRules gives every combination of what may be wrong, for a message with its mac at an offset: first those with
// one mistake, then the others, so that the simplest explanation is found. With a key only function and range vary.
func macRules(at int, key []byte) iter.Seq[macRule] {
	return func(yield func(macRule) bool) {
		labels, kinds, owns := macLabels, macKeyKinds, []bool{false, true}
		if key != nil {
			labels, kinds, owns = labels[:1], kinds[:1], owns[:1]
		}
		for wrong := 1; wrong <= 3; wrong++ {
			for _, reach := range ranges(at) {
				for _, f := range macFunctions {
					for _, k := range kinds {
						for _, label := range labels {
							for _, own := range owns {
								r := macRule{label, own, k, f, reach[0], reach[1], key}
								if r.faults() == wrong && !yield(r) {
									return
								}
							}
						}
					}
				}
			}
		}
	}
}

func (r *macRule) faults() (n int) {
	for _, wrong := range []bool{r.label != "", r.own, r.keyKind != "", r.function != "", r.from != 0 || r.to != 0} {
		if wrong {
			n++
		}
	}
	return n
}

// ranges are the wrong stretches of a message of which mac1 at an offset may be made.
func ranges(at int) [][2]int {
	all := [][2]int{{0, 0}, {0, -16}, {0, -32}, {4, 0}, {1, 0}, {8, 0}}
	for to := 1; to < at; to++ {
		all = append(all, [2]int{0, to})
	}
	return all
}

// findMAC looks for the rule by which a subject made a mac of its message, with the mac at an offset.
func findMAC(message []byte, at int, sender, receiver peer.Key, key []byte) (macRule, bool) {
	want := message[at : at+16]
	for r := range macRules(at, key) {
		if slices.Equal(r.sum(r.macKey(sender, receiver), r.covered(message, at)), want) {
			return r, true
		}
	}
	return macRule{}, false
}

// macProbes are the rules with one mistake that a subject may check mac1 by.
func macProbes(at int) (all []macRule) {
	add := func(r macRule) { all = append(all, r) }
	for _, label := range macLabels[1:] {
		add(macRule{label: label})
	}
	add(macRule{own: true})
	for _, k := range macKeyKinds[1:] {
		add(macRule{keyKind: k})
	}
	for _, f := range macFunctions[1:] {
		add(macRule{function: f})
	}
	for _, reach := range [][2]int{{0, -16}, {0, -32}, {4, 0}, {1, 0}, {8, 0}, {0, at - 16}, {0, at - 4}, {0, at - 1},
		{0, at - 28}} {
		add(macRule{from: reach[0], to: reach[1]})
	}
	return all
}
