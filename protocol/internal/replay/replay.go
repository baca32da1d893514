// Package replay is the filter against replayed transport messages (paper §5.4.6, after RFC 6479).
package replay

const (
	blockBits = 64
	blocks    = 128
)

// WindowSize is how far behind the greatest accepted counter an unseen one is still accepted (REPLAY-03, REPLAY-04).
// It is one block less than the ring of 8192 bits: the block of the greatest counter is only partly in use, and the
// rest of it is what a ring without the spare block would mistake for the oldest counters.
const WindowSize = blockBits * (blocks - 1)

// Window holds the counters seen under one receiving key (REPLAY-09). The zero value is empty and ready. It is not
// safe for concurrent use, and a copy is an independent window.
type Window struct {
	next uint64 // one more than the greatest accepted counter; 0: none yet, for counter 0 is valid
	ring [blocks]uint64
}

// Accept records counter and returns true if it is below limit and not seen before, and not more than WindowSize behind
// the greatest one. Otherwise it returns false and changes nothing. The caller has verified the message's tag before,
// so that a forged message burns no counter (REPLAY-02).
//
// Limit is Reject-After-Messages, the same on every call: counters from there on are refused (REPLAY-07), and once
// limit-1 was accepted the key is used up and everything is refused (REPLAY-10).
func (w *Window) Accept(counter, limit uint64) bool {
	if counter >= limit || w.next >= limit {
		return false
	}
	if counter < w.next && w.next-1-counter > WindowSize {
		return false
	}
	block := counter / blockBits
	if counter >= w.next {
		w.clear(block)
		w.next = counter + 1
	}
	word, bit := &w.ring[block%blocks], uint64(1)<<(counter%blockBits)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// clear empties the blocks that come into use when the window moves up to block. A jump costs at most one turn of the
// ring, however far it goes (REPLAY-06).
func (w *Window) clear(block uint64) {
	first := w.next / blockBits
	if w.next%blockBits != 0 {
		first++ // the block of the greatest counter is in use already
	}
	for b := first; b <= block && b < first+blocks; b++ {
		w.ring[b%blocks] = 0
	}
}

// Greatest returns the greatest accepted counter and whether there is one.
func (w *Window) Greatest() (uint64, bool) { return w.next - min(w.next, 1), w.next != 0 }
