package scenario

import (
	"fmt"
	"math/big"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// expand replaces <i>, <i+N> and <i-N> in text by the index. An index of 0 means that there is no count.
func expand(text string, index int) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "<")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		inside, after, closed := strings.Cut(rest, ">")
		if !closed {
			return "", fmt.Errorf("%q: an angle bracket is not closed", text)
		}
		n, ours, err := indexTerm(inside, index)
		switch {
		case err != nil:
			return "", err
		case ours:
			b.WriteString(strconv.Itoa(n))
		default:
			b.WriteString("<" + inside + ">")
		}
		text = after
	}
}

// indexTerm works i, i+N or i-N out; ours is false for other words, such as peer.
func indexTerm(term string, index int) (n int, ours bool, err error) {
	rest, ours := strings.CutPrefix(term, "i")
	if !ours || rest != "" && rest[0] != '+' && rest[0] != '-' {
		return 0, false, nil
	}
	if index == 0 {
		return 0, true, fmt.Errorf("<%s> needs a count", term)
	}
	if rest != "" {
		if n, err = strconv.Atoi(rest); err != nil {
			return 0, true, fmt.Errorf("<%s> is neither <i>, <i+N> nor <i-N>", term)
		}
	}
	return index + n, true, nil
}

// parseAddr reads an address, or one so many behind another: 10.77.0.0+300.
func parseAddr(s string) (netip.Addr, error) {
	base, by, far := strings.Cut(s, "+")
	a, err := netip.ParseAddr(base)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	}
	if !far {
		return a, nil
	}
	n, err := strconv.ParseUint(by, 10, 32)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q: a number is needed behind +", s)
	}
	return advance(a, n, 0, s)
}

// advance gives the address n<<shift behind a.
func advance(a netip.Addr, n uint64, shift uint, s string) (netip.Addr, error) {
	v := new(big.Int).SetBytes(a.AsSlice())
	v.Add(v, new(big.Int).Lsh(new(big.Int).SetUint64(n), shift))
	if v.BitLen() > a.BitLen() {
		return netip.Addr{}, fmt.Errorf("%q is beyond the last address", s)
	}
	next, _ := netip.AddrFromSlice(v.FillBytes(make([]byte, a.BitLen()/8)))
	return next, nil
}

// parsePrefix reads a prefix; an address is the prefix of it alone. 10.0.0.0/24+3 is the third /24 behind 10.0.0.0/24.
func parsePrefix(s string) (netip.Prefix, error) {
	addr, rest, hasBits := strings.Cut(s, "/")
	a, err := parseAddr(addr)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no prefix such as 10.0.0.0/24", s)
	}
	if !hasBits {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	digits, by, far := strings.Cut(rest, "+")
	bits, err := strconv.Atoi(digits)
	if err != nil || bits < 0 || bits > a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("%q is no prefix such as 10.0.0.0/24", s)
	}
	if far {
		n, err := strconv.ParseUint(by, 10, 32)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q: a number is needed behind +", s)
		}
		if a, err = advance(a, n, uint(a.BitLen()-bits), s); err != nil {
			return netip.Prefix{}, err
		}
	}
	return netip.PrefixFrom(a, bits), nil
}

// isPattern reports whether a name stands for several.
func isPattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// Matches reports whether a name is one that the pattern stands for. A malformed pattern matches nothing.
func Matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}
