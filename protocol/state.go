package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/internal/cookie"
	"github.com/purewire/purewire/routing"
	"github.com/purewire/purewire/timers"
)

// Clone gives a copy that shares nothing with d and draws from entropy, for tools that try what would happen. It
// costs time and memory in proportion to the peers. It panics while handshake jobs are out, which belong to d.
func (d *Device) Clone(entropy io.Reader) *Device {
	if len(d.free) < len(d.slots) {
		panic("purewire: Clone while handshake jobs are out")
	}
	c := *d
	c.entropy, c.hasher, c.sources, c.answered = entropy, cookie.NewHasher(), d.sources.Clone(), d.answered.Clone()
	c.byKey, c.byIdx, c.waiting, c.recent = map[PublicKey]*peer{}, map[uint32]indexEntry{}, nil, nil
	c.routes, c.queue = &routing.Table[*peer]{}, timers.Queue{}
	c.makeSlots()
	c.peers = slices.Clone(d.peers)
	for i, e := range d.peers {
		if e.peer != nil {
			c.peers[i].peer = c.adopt(e.peer)
		}
	}
	return &c
}

// adopt copies a peer of another device into d.
func (d *Device) adopt(of *peer) *peer {
	p := *of
	p.timers, p.allowed, p.staged, p.shown = timers.Peer{}, routing.List{}, of.staged.Clone(), nil
	d.queue.AddCopy(&p.timers, &of.timers)
	d.byKey[p.public] = &p
	for prefix := range of.allowed.All() {
		d.routes.Insert(prefix, &p)
	}
	for s, k := range of.keys {
		if k != nil {
			own := *k
			own.peer, p.keys[s] = &p, &own
			d.byIdx[own.local] = indexEntry{&p, &own}
		}
	}
	if of.pending != nil {
		own := *of.pending
		p.pending = &own
		d.byIdx[own.index] = indexEntry{peer: &p}
	}
	if of.jar != nil {
		own := *of.jar
		p.jar = &own
	}
	return &p
}

// AppendState appends a canonical text of what decides what the device will do: two devices with equal states, limits
// and entropy do the same under the same inputs from then on. Indices are named by first use and stand for their
// sessions' keys; times are relative to now, those in the past clamped to 540 s. No part of it are drops and byte
// counters, and of the load state all but whether there is load: not the rates, budgets and cookie secret behind it.
func (d *Device) AppendState(b []byte) []byte {
	names := map[uint32]int{}
	name := func(index uint32) int {
		if names[index] == 0 {
			names[index] = len(names) + 1
		}
		return names[index]
	}
	ago := func(t timers.Time) time.Duration { return min(d.now.Sub(t), timers.KeyErasureTime) }
	stamped := func(t time.Time) time.Duration { return min(d.wallClock().Sub(t), timers.KeyErasureTime) }
	b = fmt.Appendf(b, "up=%t mtu=%d key=%v load=%t\n", d.up, d.mtu, d.public, d.UnderLoad(d.now))
	for p := range d.all() {
		b = fmt.Appendf(b, "peer %d %v psk=%x at=%v\n", p.id, p.public, p.psk, p.endpoint)
		for prefix := range p.allowed.All() {
			b = fmt.Appendf(b, " allowed %v\n", prefix)
		}
		b = p.timers.AppendState(b, d.now)
		label, nanos := binary.BigEndian.Uint64(p.greatest[:]), binary.BigEndian.Uint32(p.greatest[8:])
		got := time.Unix(int64(label-tai64Base), int64(nanos))
		b = fmt.Appendf(b, " stamps got=%v sent=%v/%t flood=%v/%t\n", stamped(got), stamped(time.Unix(0, p.lastStamp)),
			p.stamped, min(ago(p.lastAccepted), timers.InitiationFloodInterval), p.accepted)
		for _, k := range p.keys {
			if k != nil {
				b = fmt.Appendf(b, " %v #%d #%d age=%v initiator=%t expired=%t jitter=%v sent=%d window=%x\n", k.slot,
					name(k.local), name(k.remote), ago(k.session.Born), k.session.Initiator, k.expired, k.jitter, k.counter,
					k.window)
			}
		}
		if p.pending != nil {
			b = fmt.Appendf(b, " pending #%d jitter=%v\n", name(p.pending.index), p.pending.drawn.newShake)
		}
		if p.jar != nil {
			b = p.jar.AppendState(b, d.now)
		}
		b = fmt.Appendf(b, " ss=%d staged=%x\n", p.ss.State, p.staged)
	}
	return b
}
