package routing

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"

	"github.com/gaissmai/bart"
)

// layout is how the addresses of a large network lie: one after the other, as address plans are; spread over
// everything; or two neighbours at a time in a net of 256 of their own, which costs a trie with 256 ways most memory.
type layout string

var layouts = []layout{"dense", "spread", "pairs"}

// host4 is the i-th IPv4 address, host6 the i-th IPv6 address, for i < 2^20.
func host4(i uint32, l layout) netip.Addr {
	switch l {
	case "dense":
		i += 10 << 24
	case "spread":
		i *= 2654435761
	case "pairs":
		i = i>>1<<8 | i&1
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))
}

func host6(i uint32, l layout) netip.Addr {
	b := [16]byte{0: 0xfd}
	switch l {
	case "dense":
		binary.BigEndian.PutUint32(b[12:], i)
	case "spread":
		binary.BigEndian.PutUint64(b[2:], uint64(i)*0x9e3779b97f4a7c15)
	case "pairs":
		binary.BigEndian.PutUint32(b[12:], i>>1<<8|i&1)
	}
	return netip.AddrFrom16(b)
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func TestLookupDoesNotAllocate(t *testing.T) {
	var table Table[*peer]
	for i := range uint32(1000) {
		table.Insert(single(host4(i, "spread")), &peer{})
		table.Insert(single(host6(i, "spread")), &peer{})
	}
	hit4, hit6, miss := host4(7, "spread"), host6(7, "spread"), netip.MustParseAddr("2001:db8::1%eth0")
	found := 0
	n := testing.AllocsPerRun(1000, func() {
		for _, a := range []netip.Addr{hit4, hit6, miss} {
			if _, ok := table.Lookup(a); ok {
				found++
			}
		}
	})
	if n != 0 || found != 2*1001 {
		t.Fatalf("%v allocations, %d found", n, found)
	}
}

func BenchmarkLookup(b *testing.B) {
	const n = 1 << 16
	for _, l := range layouts {
		var table Table[*peer]
		peers := make([]peer, n)
		for i := range peers {
			table.Insert(single(host4(uint32(i), l)), &peers[i])
			table.Insert(single(host6(uint32(i), l)), &peers[i])
		}
		run := func(kind string, a func(i uint32) netip.Addr) {
			b.Run(string(l)+"/"+kind, func(b *testing.B) {
				for i := uint32(0); b.Loop(); i++ {
					if _, ok := table.Lookup(a(i)); !ok {
						b.Fatal("not found")
					}
				}
			})
		}
		hot4, hot6 := host4(77, l), host6(77, l)
		run("hot4", func(uint32) netip.Addr { return hot4 })
		run("hot6", func(uint32) netip.Addr { return hot6 })
		var all [n]netip.Addr
		for i := range all {
			all[i] = host4(uint32(i)*40503%n, l)
		}
		run("every4", func(i uint32) netip.Addr { return all[i%n] })
	}
}

// BenchmarkTwoPeers is the usual device: a default route and a few hosts.
func BenchmarkTwoPeers(b *testing.B) {
	var table Table[*peer]
	table.Insert(pfx("0.0.0.0/0"), &peer{})
	table.Insert(pfx("10.0.0.2/32"), &peer{})
	for name, s := range map[string]string{"host": "10.0.0.2", "default": "9.9.9.9"} {
		a := netip.MustParseAddr(s)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				table.Lookup(a)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkMemory reports what routing adds to 2^20 holders with one IPv4 and one IPv6 host each: the table, the List
// inside the holder and the two prefixes it points to.
func BenchmarkMemory(b *testing.B) {
	const n = 1 << 20
	for _, l := range layouts {
		b.Run(string(l), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				peers := make([]peer, n)
				var table Table[*peer]
				for i := range peers {
					table.Insert(single(host4(uint32(i), l)), &peers[i])
					table.Insert(single(host6(uint32(i), l)), &peers[i])
				}
				// Less the 16 bytes of name, which only the test needs.
				b.ReportMetric(float64(heap()-before)/n-16, "B/holder")
				runtime.KeepAlive(peers)
				runtime.KeepAlive(&table)
			}
		})
	}
}

// BenchmarkTries is why Table stands on bart.Fast and not on bart.Table (bart.Lite keeps no values): the same content,
// memory and a hot lookup.
func BenchmarkTries(b *testing.B) {
	type trie interface {
		Insert(netip.Prefix, *peer)
		Lookup(netip.Addr) (*peer, bool)
	}
	const n = 1 << 20
	for name, make := range map[string]func() trie{
		"Table": func() trie { return new(bart.Table[*peer]) },
		"Fast":  func() trie { return new(bart.Fast[*peer]) },
	} {
		for _, l := range layouts {
			b.Run(name+"/"+string(l), func(b *testing.B) {
				before, h, t := heap(), new(peer), make()
				for i := range uint32(n) {
					t.Insert(single(host4(i, l)), h)
					t.Insert(single(host6(i, l)), h)
				}
				perHolder := float64(heap()-before) / n
				hot := host4(77, l)
				b.ResetTimer()
				for b.Loop() {
					t.Lookup(hot)
				}
				b.ReportMetric(perHolder, "B/holder")
			})
		}
	}
}
