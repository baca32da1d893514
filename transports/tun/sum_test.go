package tun

import (
	"testing"

	"pgregory.net/rapid"
)

// naive is RFC 1071 as it is told: 16-bit words, carries added at the end.
func naive(b []byte) uint16 {
	var s uint64
	for i := 0; i < len(b); i += 2 {
		w := uint64(b[i]) << 8
		if i+1 < len(b) {
			w |= uint64(b[i+1])
		}
		s += w
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xfe, 0xff}), 0, 300).Draw(t, "bytes")
		cut := rapid.IntRange(0, len(b)/2).Draw(t, "cut") * 2
		if got, want := fold(sum(b[cut:], sum(b[:cut], 0))), naive(b); got != want {
			t.Fatalf("%#04x, want %#04x", got, want)
		}
		if got, want := fold(sumWord(0xff01, sum(b, 0))), naive(append([]byte{0xff, 0x01}, b...)); got != want {
			t.Fatalf("with a word: %#04x, want %#04x", got, want)
		}
	})
	for n := range 200 { // all carries at once
		b := make([]byte, n)
		for i := range b {
			b[i] = 0xff
		}
		if got, want := fold(sum(b, 1<<64-1)), naive(append(b[:n:n], 0xff, 0xff)); n%2 == 0 && got != want {
			t.Fatalf("%d bytes of ones: %#04x, want %#04x", n, got, want)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	p := make([]byte, 1400)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if fold(sum(p, 0)) != 0 {
			b.Fatal("the sum of zeros")
		}
	}
}
