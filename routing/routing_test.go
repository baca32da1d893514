package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type peer struct {
	name string
	ips  List
}

func (p *peer) AllowedIPs() *List { return &p.ips }

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func names(l *List) string {
	var s []string
	for p := range l.All() {
		s = append(s, p.String())
	}
	return strings.Join(s, " ")
}

// TestRules inserts in order and looks up; "a 10.0.0.0/8" gives the prefix to a, "-a …" takes exactly it from a,
// "--a" takes everything from a.
func TestRules(t *testing.T) {
	tests := []struct {
		name   string
		steps  []string
		lookup map[string]string // address → holder, "" for none
		lists  map[string]string
	}{{
		name:   "ROUTE-01 longest prefix wins, shorter first",
		steps:  []string{"a 172.20.6.0/24", "b 172.20.6.4/32", "c 172.20.0.0/16"},
		lookup: map[string]string{"172.20.6.20": "a", "172.20.6.4": "b", "172.20.77.1": "c", "172.21.0.1": ""},
	}, {
		name:   "ROUTE-01 longest prefix wins, longer first",
		steps:  []string{"c 172.20.0.0/16", "b 172.20.6.4/32", "a 172.20.6.0/24"},
		lookup: map[string]string{"172.20.6.20": "a", "172.20.6.4": "b", "172.20.77.1": "c"},
	}, {
		name:  "ROUTE-01 IPv6, prefixes that end inside a byte",
		steps: []string{"a 2001:db8:1:2::/64", "b 2001:db8:1:2::9f:5/128", "c 2001:db8:1:2::9e:0/111"},
		lookup: map[string]string{"2001:db8:1:2::9f:5": "b", "2001:db8:1:2::9f:6": "c",
			"2001:db8:1:2::1": "a", "2001:db8:1:3::": ""},
	}, {
		name:   "ROUTE-01 IPv4, prefixes that end inside a byte",
		steps:  []string{"a 10.1.0.0/27", "b 10.1.0.16/28", "c 10.1.0.20/30", "d 10.1.0.22/31"},
		lookup: map[string]string{"10.1.0.1": "a", "10.1.0.17": "b", "10.1.0.20": "c", "10.1.0.23": "d", "10.1.0.32": ""},
	}, {
		name:   "ROUTE-02 the source belongs to the holder of the longer prefix only",
		steps:  []string{"a 10.0.0.0/8", "b 10.0.0.5/32"},
		lookup: map[string]string{"10.0.0.5": "b", "10.0.0.4": "a"},
	}, {
		name:   "ROUTE-04 a prefix moves to its new holder and back",
		steps:  []string{"a 10.0.0.0/8", "a fd00::/8", "b 10.0.0.0/8", "b fd00::/8", "a fd00::/8"},
		lookup: map[string]string{"10.1.2.3": "b", "fd00::1": "a"},
		lists:  map[string]string{"a": "fd00::/8", "b": "10.0.0.0/8"},
	}, {
		name:   "ROUTE-04 the same length elsewhere and another length here are other prefixes",
		steps:  []string{"a 10.0.0.0/8", "b 11.0.0.0/8", "b 10.0.0.0/9"},
		lookup: map[string]string{"10.1.2.3": "b", "10.200.0.1": "a", "11.1.1.1": "b"},
		lists:  map[string]string{"a": "10.0.0.0/8", "b": "10.0.0.0/9 11.0.0.0/8"},
	}, {
		name:   "ROUTE-07 host bits are ignored, when inserting, moving and deleting",
		steps:  []string{"a 10.1.2.3/8", "a fd00::1/16", "b 10.9.9.9/8", "-a fd00:0:ffff::/16"},
		lookup: map[string]string{"10.200.0.1": "b", "fd00::1": ""},
		lists:  map[string]string{"a": "", "b": "10.0.0.0/8"},
	}, {
		name:   "ROUTE-07 /0 is allowed and belongs to its family",
		steps:  []string{"a 1.2.3.4/0", "b ::1/0", "c 128.0.0.0/1"},
		lookup: map[string]string{"9.9.9.9": "a", "200.1.1.1": "c", "2001:db8::1": "b", "::ffff:9.9.9.9": "b"},
		lists:  map[string]string{"a": "0.0.0.0/0", "b": "::/0", "c": "128.0.0.0/1"},
	}, {
		name:   "ROUTE-09 a mapped address is no IPv4 address",
		steps:  []string{"a 10.0.0.0/8"},
		lookup: map[string]string{"10.0.0.1": "a", "::ffff:10.0.0.1": ""},
	}, {
		name:   "ROUTE-09 a mapped prefix is IPv6 and takes no IPv4",
		steps:  []string{"a ::ffff:0:0/96", "b 10.0.0.0/8", "c ::ffff:10.0.0.1/128"},
		lookup: map[string]string{"10.0.0.1": "b", "::ffff:10.0.0.1": "c", "::ffff:10.0.0.2": "a", "11.0.0.1": ""},
		lists:  map[string]string{"a": "::ffff:0.0.0.0/96", "b": "10.0.0.0/8", "c": "::ffff:10.0.0.1/128"},
	}, {
		name:   "zones are ignored",
		steps:  []string{"a fe80::/64", "b fe80::1/128"},
		lookup: map[string]string{"fe80::1%eth0": "b", "fe80::2%eth0": "a"},
	}, {
		name: "UAPI-24 deletion is exact and only from the holder",
		steps: []string{"a 10.0.0.0/8", "a 10.0.0.0/16", "b 10.0.0.0/24", "-b 10.0.0.0/16", "-a 10.0.0.0/24",
			"-a 10.0.0.0/12"},
		lookup: map[string]string{"10.0.0.1": "b", "10.0.1.1": "a", "10.5.0.0": "a"},
		lists:  map[string]string{"a": "10.0.0.0/8 10.0.0.0/16", "b": "10.0.0.0/24"},
	}, {
		name:   "removing a holder uncovers what was under it",
		steps:  []string{"a 0.0.0.0/0", "b 10.0.0.0/8", "b 10.0.0.1/32", "a ::/0", "b fd00::/8", "--b"},
		lookup: map[string]string{"10.0.0.1": "a", "fd00::1": "a"},
		lists:  map[string]string{"a": "0.0.0.0/0 ::/0", "b": ""},
	}, {
		name: "order: IPv4 first, by address, shorter first",
		steps: []string{"a ::1/128", "a 10.0.0.0/16", "a ::/0", "a 9.0.0.0/8", "a ::ffff:1.2.3.4/128", "a 10.0.0.0/8",
			"a 0.0.0.0/0"},
		lists: map[string]string{"a": "0.0.0.0/0 9.0.0.0/8 10.0.0.0/8 10.0.0.0/16 ::/0 ::1/128 ::ffff:1.2.3.4/128"},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var table Table[*peer]
			peers := map[string]*peer{}
			get := func(name string) *peer {
				if peers[name] == nil {
					peers[name] = &peer{name: name}
				}
				return peers[name]
			}
			for _, step := range tt.steps {
				who, what, _ := strings.Cut(step, " ")
				switch {
				case strings.HasPrefix(who, "--"):
					table.RemoveAll(get(who[2:]))
				case strings.HasPrefix(who, "-"):
					table.Delete(pfx(what), get(who[1:]))
				default:
					table.Insert(parsePrefix(t, what), get(who))
				}
			}
			for addr, want := range tt.lookup {
				got, ok := table.Lookup(netip.MustParseAddr(addr))
				if ok != (want != "") || ok && got.name != want {
					t.Errorf("%s belongs to %v, %v; want %q", addr, got, ok, want)
				}
			}
			for name, want := range tt.lists {
				if got := names(&get(name).ips); got != want {
					t.Errorf("%s holds %q, want %q", name, got, want)
				}
			}
		})
	}
}

// parsePrefix also reads mapped prefixes, for which netip.ParsePrefix has its own rules.
func parsePrefix(t *testing.T, s string) netip.Prefix {
	addr, bits, _ := strings.Cut(s, "/")
	var n int
	if _, err := fmt.Sscan(bits, &n); err != nil {
		t.Fatal(err)
	}
	return netip.PrefixFrom(netip.MustParseAddr(addr), n)
}

// TestInvalid: what Valid refuses is named and changes nothing; what the rules allow is not refused.
func TestInvalid(t *testing.T) {
	a := &peer{name: "a"}
	var table Table[*peer]
	table.Insert(pfx("0.0.0.0/0"), a)
	for want, p := range map[string]netip.Prefix{
		"invalid IP":     {},
		"10.0.0.0":       netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33),
		"fd00::1":        netip.PrefixFrom(netip.MustParseAddr("fd00::1"), 129),
		"192.168.0.1":    netip.PrefixFrom(netip.MustParseAddr("192.168.0.1"), -1),
		"::ffff:1.2.3.4": netip.PrefixFrom(netip.MustParseAddr("::ffff:1.2.3.4"), 200),
	} {
		if err := Valid(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Valid(%v) = %v, want an error with %q", p, err, want)
		}
		if prev, moved := table.Insert(p, &peer{}); prev != nil || moved {
			t.Errorf("Insert of %v moved something", p)
		}
		if table.Delete(p, a) || table.Len() != 1 || a.ips.Len() != 1 {
			t.Errorf("%v changed the table", p)
		}
	}
	for _, s := range []string{"0.0.0.0/0", "::/0", "10.1.2.3/8", "::ffff:0:0/96", "255.255.255.255/32"} {
		if err := Valid(parsePrefix(t, s)); err != nil {
			t.Errorf("Valid(%s) = %v", s, err)
		}
	}
	// The reason why Valid has no case for zones; if this changes, Lookup and Insert would disagree.
	zoned := netip.PrefixFrom(netip.MustParseAddr("fe80::1%eth0"), 64)
	if _, err := netip.ParsePrefix("fe80::1%eth0/64"); err == nil || zoned.Addr().Zone() != "" {
		t.Error("a netip.Prefix can have a zone now")
	}
}

// model is a table as a list of all entries, searched from end to end with its own bit comparison.
type model []entry

type entry struct {
	p netip.Prefix
	h *peer
}

func contains(p netip.Prefix, a netip.Addr) bool {
	if p.Addr().BitLen() != a.BitLen() {
		return false
	}
	x, y := p.Addr().AsSlice(), a.AsSlice()
	for i := range p.Bits() {
		if (x[i/8]^y[i/8])>>(7-i%8)&1 != 0 {
			return false
		}
	}
	return true
}

func (m model) find(p netip.Prefix) int {
	return slices.IndexFunc(m, func(e entry) bool { return e.p == p })
}

func (m model) lookup(a netip.Addr) (h *peer, ok bool) {
	best := -1
	for _, e := range m {
		if contains(e.p, a) && e.p.Bits() > best {
			best, h, ok = e.p.Bits(), e.h, true
		}
	}
	return h, ok
}

// sorted is every prefix of h, or of everybody for nil, ordered by a comparison that is written out here.
func (m model) sorted(h *peer) []netip.Prefix {
	var s []netip.Prefix
	for _, e := range m {
		if h == nil || e.h == h {
			s = append(s, e.p)
		}
	}
	slices.SortFunc(s, func(a, b netip.Prefix) int {
		if n := a.Addr().BitLen() - b.Addr().BitLen(); n != 0 {
			return n
		}
		if n := slices.Compare(a.Addr().AsSlice(), b.Addr().AsSlice()); n != 0 {
			return n
		}
		return a.Bits() - b.Bits()
	})
	return s
}

// genAddr draws addresses that share long beginnings, so that prefixes overlap and meet.
func genAddr() *rapid.Generator[netip.Addr] {
	bases := []string{"10.0.0.0", "10.128.0.0", "255.255.255.255", "fd00::", "fd00:0:0:8000::", "::ffff:10.0.0.0", "::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		b := netip.MustParseAddr(rapid.SampledFrom(bases).Draw(t, "base")).AsSlice()
		for range rapid.IntRange(0, 3).Draw(t, "flips") {
			bit := rapid.IntRange(0, 8*len(b)-1).Draw(t, "bit")
			b[bit/8] ^= 0x80 >> (bit % 8)
		}
		a, _ := netip.AddrFromSlice(b)
		return a
	})
}

func genPrefix() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := genAddr().Draw(t, "addr")
		n := rapid.OneOf(rapid.SampledFrom([]int{0, 8, 16, 24, 32, 96, 128}), rapid.IntRange(0, 128)).Draw(t, "bits")
		return netip.PrefixFrom(a, min(n, a.BitLen()))
	})
}

func checkAgainst(t *rapid.T, table *Table[*peer], m model, peers []*peer) {
	if table.Len() != len(m) {
		t.Fatalf("Len is %d, want %d", table.Len(), len(m))
	}
	for _, h := range peers {
		if got, want := slices.Collect(h.ips.All()), m.sorted(h); !slices.Equal(got, want) || h.ips.Len() != len(want) {
			t.Fatalf("%s holds %v, want %v", h.name, got, want)
		}
	}
	var all []netip.Prefix
	for p, h := range table.All() {
		all = append(all, p)
		if m[m.find(p)].h != h {
			t.Fatalf("%v belongs to %s", p, h.name)
		}
	}
	if want := m.sorted(nil); !slices.Equal(all, want) {
		t.Fatalf("table is %v, want %v", all, want)
	}
}

// TestTableAgainstLinearScan is ROUTE-01, 02, 04, 07 and 09 as a state machine.
func TestTableAgainstLinearScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[*peer]
		var m model
		peers := []*peer{{name: "a"}, {name: "b"}, {name: "c"}}
		pick := rapid.SampledFrom(peers)
		// known draws a prefix that is in the table, if any, with host bits set.
		known := func(t *rapid.T) netip.Prefix {
			if len(m) == 0 || rapid.IntRange(0, 3).Draw(t, "fresh") == 0 {
				return genPrefix().Draw(t, "prefix")
			}
			p := m[rapid.IntRange(0, len(m)-1).Draw(t, "entry")].p
			b := p.Addr().AsSlice()
			if p.Bits() < p.Addr().BitLen() {
				b[len(b)-1] |= 1
			}
			a, _ := netip.AddrFromSlice(b)
			return netip.PrefixFrom(a, p.Bits())
		}
		insert := func(t *rapid.T, p netip.Prefix) {
			h := pick.Draw(t, "holder")
			prev, moved := table.Insert(p, h)
			i := m.find(p.Masked())
			if i < 0 {
				m = append(m, entry{p.Masked(), h})
			}
			if wasOther := i >= 0 && m[i].h != h; moved != wasOther || moved && prev != m[i].h || !moved && prev != nil {
				t.Fatalf("Insert(%v, %s) = %v, %v", p, h.name, prev, moved)
			}
			if i >= 0 {
				m[i].h = h
			}
		}
		for range rapid.IntRange(0, 80).Draw(t, "initially") {
			insert(t, genPrefix().Draw(t, "prefix"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"":       func(t *rapid.T) { checkAgainst(t, &table, m, peers) },
			"insert": func(t *rapid.T) { insert(t, genPrefix().Draw(t, "prefix")) },
			"again":  func(t *rapid.T) { insert(t, known(t)) },
			"delete": func(t *rapid.T) {
				p, h := known(t), pick.Draw(t, "holder")
				i := m.find(p.Masked())
				want := i >= 0 && m[i].h == h
				if got := table.Delete(p, h); got != want {
					t.Fatalf("Delete(%v, %s) = %v, want %v", p, h.name, got, want)
				}
				if want {
					m = slices.Delete(m, i, i+1)
				}
			},
			"removeAll": func(t *rapid.T) {
				h := pick.Draw(t, "holder")
				table.RemoveAll(h)
				m = slices.DeleteFunc(m, func(e entry) bool { return e.h == h })
			},
			"lookup": func(t *rapid.T) {
				a := genAddr().Draw(t, "addr")
				if len(m) > 0 && rapid.Bool().Draw(t, "inside") {
					a = known(t).Addr()
				}
				wantH, want := m.lookup(a)
				if h, ok := table.Lookup(a); h != wantH || ok != want {
					t.Fatalf("Lookup(%v) = %v, %v, want %v, %v", a, h, ok, wantH, want)
				}
				if zoned := a.WithZone("eth0"); zoned != a {
					if h, ok := table.Lookup(zoned); h != wantH || ok != want {
						t.Fatalf("Lookup(%v) = %v, %v, want %v, %v", zoned, h, ok, wantH, want)
					}
				}
			},
		})
	})
}

// TestListingAllowsChange: the loop over a holder's prefixes may change them and still sees what was there before.
func TestListingAllowsChange(t *testing.T) {
	var table Table[*peer]
	a, b := &peer{name: "a"}, &peer{name: "b"}
	for _, s := range []string{"10.2.0.0/16", "fd00::/8", "10.1.0.0/16", "10.3.0.0/16"} {
		table.Insert(pfx(s), a)
	}
	before, seen := slices.Collect(a.ips.All()), []netip.Prefix(nil)
	for p := range a.ips.All() {
		seen = append(seen, p)
		table.Delete(pfx("10.2.0.0/16"), a)
		table.Insert(p, b)
	}
	if !slices.Equal(seen, before) || names(&b.ips) != "10.1.0.0/16 10.2.0.0/16 10.3.0.0/16 fd00::/8" {
		t.Fatalf("saw %v, a holds %q, b holds %q", seen, names(&a.ips), names(&b.ips))
	}
	if a.ips.prefixes != nil {
		t.Fatal("an emptied list holds memory")
	}
	for p := range b.ips.All() {
		seen = append(seen, p)
		break
	}
	if len(seen) != 5 {
		t.Fatal("the listing went on after break")
	}
}

func TestLookupOfNothing(t *testing.T) {
	var table Table[*peer]
	if h, ok := table.Lookup(netip.Addr{}); ok || h != nil {
		t.Fatal("the empty table matched the zero address")
	}
	table.Insert(pfx("0.0.0.0/0"), &peer{})
	table.Insert(pfx("::/0"), &peer{})
	if h, ok := table.Lookup(netip.Addr{}); ok || h != nil {
		t.Fatal("the default routes matched the zero address")
	}
}
