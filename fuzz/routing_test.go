package fuzz

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/purewire/purewire/routing"
)

type holder struct{ ips routing.List }

func (h *holder) AllowedIPs() *routing.List { return &h.ips }

type route struct {
	p netip.Prefix
	h *holder
}

// longest is routing as a linear scan.
func longest(routes []route, a netip.Addr) (h *holder, ok bool) {
	bits := -1
	for _, r := range routes {
		if r.p.Contains(a) && r.p.Bits() > bits {
			bits, h, ok = r.p.Bits(), r.h, true
		}
	}
	return h, ok
}

// address takes an address off the front of in: IPv4, IPv6 or IPv4-mapped.
func address(kind byte, in []byte) (netip.Addr, []byte) {
	var b [16]byte
	n := 4
	if kind%3 == 1 {
		n = 16
	}
	n = copy(b[:n], in)
	a := netip.AddrFrom16(b)
	if kind%3 != 1 {
		a = netip.AddrFrom4([4]byte(b[:4]))
	}
	if kind%3 == 2 {
		a = netip.AddrFrom16(a.As16())
	}
	return a, in[n:]
}

// FuzzRouting reads operations (what, holder, address, length) and compares table and lists with a linear scan after
// each (ROUTE-01, 02, 04, 07, 09).
func FuzzRouting(f *testing.F) {
	f.Add([]byte{0, 0, 10, 0, 0, 1, 8, 0, 1, 10, 0, 0, 0, 8, 3, 0, 10, 0, 0, 1, 0})
	f.Add([]byte{0, 2, 10, 0, 0, 1, 104, 0, 0, 10, 0, 0, 0, 0, 1, 2, 10, 0, 0, 1, 104, 2, 0, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		var table routing.Table[*holder]
		var routes []route
		holders := []*holder{{}, {}, {}}
		for len(in) >= 3 {
			op, h, kind := in[0]%4, holders[in[0]/4%3], in[1]
			a, rest := address(kind, in[2:])
			if len(rest) == 0 {
				return
			}
			p := netip.PrefixFrom(a, int(rest[0]))
			in = rest[1:]
			if (routing.Valid(p) == nil) != (int(rest[0]) <= a.BitLen()) {
				t.Fatalf("Valid(%v) = %v", p, routing.Valid(p))
			}
			i := slices.IndexFunc(routes, func(r route) bool { return p.IsValid() && r.p == p.Masked() })
			switch op {
			case 0:
				prev, moved := table.Insert(p, h)
				if want := i >= 0 && routes[i].h != h; moved != want || moved && prev != routes[i].h {
					t.Fatalf("Insert(%v) = %p, %v", p, prev, moved)
				}
				if i >= 0 {
					routes[i].h = h
				} else if p.IsValid() {
					routes = append(routes, route{p.Masked(), h})
				}
			case 1:
				want := i >= 0 && routes[i].h == h
				if table.Delete(p, h) != want {
					t.Fatalf("Delete(%v) is not %v", p, want)
				}
				if want {
					routes = slices.Delete(routes, i, i+1)
				}
			case 2:
				table.RemoveAll(h)
				routes = slices.DeleteFunc(routes, func(r route) bool { return r.h == h })
			}
			compare(t, &table, routes, holders, a)
		}
	})
}

func compare(t *testing.T, table *routing.Table[*holder], routes []route, holders []*holder, a netip.Addr) {
	wantHolder, want := longest(routes, a)
	if h, ok := table.Lookup(a); h != wantHolder || ok != want {
		t.Fatalf("Lookup(%v) = %p, %v, want %p, %v", a, h, ok, wantHolder, want)
	}
	if table.Len() != len(routes) {
		t.Fatalf("%d prefixes, want %d", table.Len(), len(routes))
	}
	for i, h := range holders {
		var list []netip.Prefix
		for _, r := range routes {
			if r.h == h {
				list = append(list, r.p)
			}
		}
		slices.SortFunc(list, netip.Prefix.Compare)
		if got := slices.Collect(h.ips.All()); !slices.Equal(got, list) {
			t.Fatalf("holder %d has %v, want %v", i, got, list)
		}
	}
}
