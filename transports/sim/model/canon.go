package model

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

// labels names indices by first use.
type labels struct {
	known [4 * maxFlight * hosts]uint32
	n     byte
}

// unknown is the name of an index that no host has a use for, as long as the order of messages is open.
const unknown = 0xff

func (l *labels) find(index uint32) byte {
	if index == 0 {
		return 0
	}
	for i, k := range l.known[:l.n] {
		if k == index {
			return byte(i + 1)
		}
	}
	return unknown
}

func (l *labels) name(index uint32) byte {
	n := l.find(index)
	if n == unknown {
		l.known[l.n] = index
		l.n++
		n = l.n
	}
	return n
}

// canon brings what is in flight into an order that depends on nothing but what the hosts know of it, and writes down
// all that decides what can come, but for the budget: both hosts' texts, how their indices and those in flight belong
// together, and what is in flight. Indices are named by first use, times are relative, but for the part of the second:
// the timestamps of initiations are cut to a grain that starts anew with each second (TAI-07).
func (s *state) canon(b []byte) []byte {
	var l labels
	b = binary.BigEndian.AppendUint32(b, uint32(time.Duration(s.now())%time.Second))
	for _, h := range s.host {
		b = h.appendNamed(b, l.name)
	}
	type entry struct {
		m datagram
		b [20]byte
	}
	var list [maxFlight]entry
	for i := range s.n {
		list[i] = entry{s.flight[i], s.record(&s.flight[i], &l)}
	}
	// Two with the same record are equal or differ in names alone; neighbours are wanted of equal ones.
	slices.SortStableFunc(list[:s.n], func(x, y entry) int {
		if c := bytes.Compare(x.b[:], y.b[:]); c != 0 {
			return c
		}
		return bytes.Compare(x.m.id[:], y.m.id[:])
	})
	for i := range s.n {
		s.flight[i] = list[i].m
		b = append(b, list[i].b[:]...)
		b = append(b, l.name(list[i].m.sender()))
	}
	return b
}

// record is what a datagram in flight is. Its bytes follow from the handshake or key pair that its indices name, but
// for the moment at which an initiation was made, which its receiver compares with others.
func (s *state) record(m *datagram, l *labels) (r [20]byte) {
	r[0], r[1] = m.kind(), m.from
	r[2], r[3] = l.find(m.receiver()), l.find(m.sender())
	switch m.kind() {
	case initiation:
		binary.BigEndian.PutUint64(r[4:], uint64(int64(s.now())-stamp(m.made)))
	case transport:
		binary.BigEndian.PutUint64(r[4:], m.counter())
	}
	binary.BigEndian.PutUint16(r[12:], uint16(len(m.bytes)))
	if m.held {
		r[14] = 1
	}
	return r
}
