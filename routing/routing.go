// Package routing is cryptokey routing (paper §2): which holder, in the device a peer, an inner address belongs to.
//
// A [Table] answers the question both ways: outbound it chooses the peer that gets a packet (ROUTE-01), inbound it
// says which peer alone may have sent one (ROUTE-02). Each holder carries a [List] of what it holds, so that listing
// or removing one holder costs as much as its own prefixes and not as much as the table.
//
// Nothing here is safe for use by several goroutines at once, except that any number of them may call Lookup, Len and
// All while none of them changes anything.
package routing

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// Holder is what prefixes belong to. It is compared by ==, hence a pointer type in practice; AllowedIPs returns the
// holder's own list, the same one on every call. A holder belongs to one table at a time.
type Holder interface {
	comparable
	AllowedIPs() *List
}

// List is the set of prefixes of one holder; only a Table changes it. The zero value is empty and ready.
//
// It is an unordered slice because a peer usually has two prefixes and there may be 2^20 peers: 24 bytes and 32 per
// prefix. Order is made when somebody lists, which is rare.
type List struct{ prefixes []netip.Prefix }

// Len returns the number of prefixes.
func (l *List) Len() int { return len(l.prefixes) }

// All yields the prefixes in an order that does not depend on how they came in: IPv4 before IPv6, then by address,
// then shorter first. It works on a copy made when the iteration starts, so the loop body may change the table.
func (l *List) All() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		sorted := slices.Clone(l.prefixes)
		slices.SortFunc(sorted, netip.Prefix.Compare)
		for _, p := range sorted {
			if !yield(p) {
				return
			}
		}
	}
}

// drop takes p out; the last element takes its place, since the order means nothing.
func (l *List) drop(p netip.Prefix) {
	last := len(l.prefixes) - 1
	l.prefixes[slices.Index(l.prefixes, p)] = l.prefixes[last]
	l.prefixes = l.prefixes[:last]
	if last == 0 {
		l.prefixes = nil
	}
}

// Table maps prefixes to holders. One prefix belongs to one holder (ROUTE-04). IPv4 and IPv6 are separate, and an
// IPv4-mapped IPv6 address or prefix is IPv6 (ROUTE-09). The zero value is empty and ready; do not copy a Table.
//
// bart.Fast and not bart.Table: a hot lookup takes half to two thirds of the time, for 256 bytes more per trie node,
// which is next to nothing when the addresses are dense (BenchmarkTries).
type Table[H Holder] struct{ trie bart.Fast[H] }

// Valid returns an error that names p if p cannot be in a table, else nil. It is what a caller checks before a change
// that must not fail half-way. Host bits and IPv4-mapped addresses are fine. There is no such thing as a prefix with a
// zone to refuse: netip.PrefixFrom cuts the zone off and netip.ParsePrefix refuses it.
func Valid(p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("routing: invalid prefix: address %v, length %d", p.Addr(), p.Bits())
	}
	return nil
}

// Insert gives p to h. Host bits are masked off (ROUTE-07). If another holder had exactly this prefix it is moved
// (ROUTE-04): prev is that holder and moved is true; otherwise prev is the zero H. A prefix that Valid refuses changes
// nothing.
func (t *Table[H]) Insert(p netip.Prefix, h H) (prev H, moved bool) {
	if !p.IsValid() {
		return prev, false
	}
	p = p.Masked()
	old, held := t.trie.Get(p)
	if held && old == h {
		return prev, false
	}
	if held {
		old.AllowedIPs().drop(p)
		prev = old
	}
	t.trie.Insert(p, h)
	l := h.AllowedIPs()
	l.prefixes = append(l.prefixes, p)
	return prev, held
}

// Delete takes exactly p, host bits masked off, from h and reports whether h held it. A prefix of another holder, or
// one that merely covers or is covered by p, stays (UAPI-24).
func (t *Table[H]) Delete(p netip.Prefix, h H) bool {
	p = p.Masked()
	if old, held := t.trie.Get(p); !held || old != h {
		return false
	}
	t.trie.Delete(p)
	h.AllowedIPs().drop(p)
	return true
}

// RemoveAll takes every prefix from h. Its cost depends on h's prefixes only.
func (t *Table[H]) RemoveAll(h H) {
	l := h.AllowedIPs()
	for _, p := range l.prefixes {
		t.trie.Delete(p)
	}
	l.prefixes = nil
}

// Lookup returns the holder of the longest prefix that contains a (ROUTE-01, ROUTE-02), and whether there is one. A
// zone is ignored, the zero Addr matches nothing. It does not allocate.
func (t *Table[H]) Lookup(a netip.Addr) (H, bool) { return t.trie.Lookup(a) }

// Len returns the number of prefixes in the table.
func (t *Table[H]) Len() int { return t.trie.Size() }

// All yields every prefix with its holder, in the order of [List.All]. The table must not change meanwhile.
func (t *Table[H]) All() iter.Seq2[netip.Prefix, H] { return t.trie.AllSorted() }
