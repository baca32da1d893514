package interop_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take on a machine that is busy with other things. Nothing waits this long
// unless it fails.
const patience = 40 * time.Second

// eventually polls until ok. In a bubble the time is virtual and so is the wait.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for stop := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatalf("still not after %v: %s", patience, what)
		}
	}
}

// mailbox collects inner packets in the order of their delivery.
type mailbox struct {
	mu   sync.Mutex
	got  [][]byte
	read int
}

func (m *mailbox) put(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, p)
}

// next takes the oldest packet that was not taken yet.
func (m *mailbox) next() ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read == len(m.got) {
		return nil, false
	}
	p := m.got[m.read]
	m.got[m.read] = nil
	m.read++
	return p, true
}

// waiting is the number of packets that were delivered and not taken.
func (m *mailbox) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got) - m.read
}

// wants takes the next packet, waiting for it, and compares it with p.
func (m *mailbox) wants(t testing.TB, what string, p []byte) {
	t.Helper()
	var got []byte
	eventually(t, what, func() (ok bool) {
		got, ok = m.next()
		return ok
	})
	if !bytes.Equal(got, p) {
		t.Fatalf("%s: delivered %d bytes\n%x\nwant %d bytes\n%x", what, len(got), got, len(p), p)
	}
}

// empty fails if anything was delivered that nobody expected.
func (m *mailbox) empty(t testing.TB, what string) {
	t.Helper()
	if p, ok := m.next(); ok {
		t.Fatalf("%s: %d bytes were delivered: %x", what, len(p), p)
	}
}

// journal keeps the last lines that something reported.
type journal struct {
	mu    sync.Mutex
	start time.Time
	lines []string
	next  int
}

const journalLines = 400

func newJournal() *journal { return &journal{start: time.Now()} }

func (j *journal) printf(format string, args ...any) {
	line := fmt.Sprintf("%12v ", time.Since(j.start).Round(time.Microsecond)) + fmt.Sprintf(format, args...)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) < journalLines {
		j.lines = append(j.lines, line)
		return
	}
	j.lines[j.next] = line
	j.next = (j.next + 1) % journalLines
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(append(append([]string(nil), j.lines[j.next:]...), j.lines[:j.next]...), "\n")
}

// count is the number of lines kept that contain s.
func (j *journal) count(s string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if strings.Contains(line, s) {
			n++
		}
	}
	return n
}

// show prints the journal at the end of a test that failed.
func (j *journal) show(t testing.TB, title string) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- %s (the last %d lines)\n%s", title, journalLines, j.text())
		}
	})
}

// The addresses inside the tunnel.
var (
	ours4, theirs4 = netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
	ours6, theirs6 = netip.MustParseAddr("fd09::1"), netip.MustParseAddr("fd09::2")
)

const innerMTU = 1420

// inner makes an IP packet of size bytes, at least the header and 4, whose contents follow from number.
func inner(src, dst netip.Addr, size int, number uint32) []byte {
	p := make([]byte, size)
	body := 40
	if src.Is4() {
		body = 20
		p[0], p[8], p[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(p[2:], uint16(size))
		copy(p[12:], src.AsSlice())
		copy(p[16:], dst.AsSlice())
	} else {
		p[0], p[6], p[7] = 0x60, 17, 64
		binary.BigEndian.PutUint16(p[4:], uint16(size-body))
		copy(p[8:], src.AsSlice())
		copy(p[24:], dst.AsSlice())
	}
	binary.BigEndian.PutUint32(p[body:], number)
	if rest := p[body+4:]; len(rest) > 0 {
		var seed [32]byte
		binary.BigEndian.PutUint32(seed[:], number)
		_, _ = rand.NewChaCha8(seed).Read(rest) // never fails
	}
	return p
}

// size of packet number n of a stream: every length from an IPv6 header with a number to the MTU comes up.
func size(n int) int { return 44 + n*37%(innerMTU-43) }
