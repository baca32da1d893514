package fuzz

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// at gives the node at an address, or nil.
func (w *world) at(a netip.AddrPort) *node {
	for _, n := range w.nodes {
		if n.addr == a {
			return n
		}
	}
	return nil
}

// arrive delivers a flight, if somebody lives where it goes.
func (w *world) arrive(f *flight) {
	w.Helper()
	if n := w.at(f.to); n != nil {
		n.receive(f.from, f.msg, false)
	}
}

// take takes flight i from the wire.
func (w *world) take(i int) *flight {
	f := w.wire[i]
	w.wire = append(w.wire[:i:i], w.wire[i+1:]...)
	return f
}

// pass lets time pass; every device is woken at its deadlines. If live is set the network delivers.
func (w *world) pass(d time.Duration, live bool) {
	w.Helper()
	end := w.now.Add(d)
	for range 200_000 {
		at, act := timers.Never, func() {}
		if live && len(w.wire) > 0 {
			at, act = max(w.now, w.wire[0].arrives), func() { w.arrive(w.take(0)) }
		}
		for _, n := range w.nodes {
			if due, _, ok := n.d.Deadline(); ok && due < at {
				at, act = due, n.timeouts
			}
		}
		if at > end {
			w.now = end
			return
		}
		w.now = max(w.now, at)
		act()
	}
	w.Fatalf("no end of events before %v", end)
}

// release gives held jobs back: those of handshakes after they were done, or undone, and all of them twice.
func (n *node) release(undone bool) {
	n.hold = false
	jobs := n.jobs
	n.jobs = nil
	if !undone {
		n.worker.Shake(jobs)
	}
	n.do(func(now timers.Time, b *protocol.Batch) { n.d.HandleShaken(now, jobs, b) })
	n.do(func(now timers.Time, b *protocol.Batch) { n.d.HandleShaken(now, append(n.done, jobs...), b) })
	n.done = append(n.done, jobs...)
	n.giveOpened()
}

// giveOpened gives decrypted messages back that were held, twice.
func (n *node) giveOpened() {
	opens := n.opens
	n.opens = nil
	clear(n.unproven) // any of them may be a confirmation: what leaves now is not judged by it
	for range 2 {
		for _, o := range opens {
			n.do(func(now timers.Time, b *protocol.Batch) { n.d.HandleOpened(now, o.jobs, b) })
		}
	}
}

// receiveLate decrypts a datagram and keeps the result.
func (n *node) receiveLate(f *flight) {
	buf := bytes.Clone(f.msg)
	in := []protocol.Datagram{{Packet: protocol.Packet{Buf: buf, Len: len(buf)},
		Endpoint: protocol.Endpoint{Remote: f.from, Local: n.addr.Addr()}}}
	n.batch.Reset()
	n.d.HandleDatagrams(n.now, in, &n.batch)
	open := append([]protocol.OpenJob(nil), n.batch.Open...)
	n.batch.Open = n.batch.Open[:0]
	n.worker.Open(open)
	n.finish()
	n.opens = append(n.opens, opening{open})
}

// networkActions are the things that can be done to the network and to time.
func (w *world) networkActions(t *rapid.T) map[string]func(*rapid.T) {
	inFlight := func(f func(i int)) func(*rapid.T) {
		return func(*rapid.T) {
			if len(w.wire) > 0 {
				f(rapid.IntRange(0, min(len(w.wire), 20)-1).Draw(t, "flight"))
			}
		}
	}
	return map[string]func(*rapid.T){
		"deliver":  inFlight(func(i int) { w.arrive(w.take(i)) }),
		"lose":     inFlight(func(i int) { w.take(i) }),
		"deliver2": inFlight(func(i int) { w.arrive(w.wire[i]); w.arrive(w.take(i)) }),
		"late": inFlight(func(i int) {
			if n := w.at(w.wire[i].to); n != nil {
				n.receiveLate(w.take(i))
			}
		}),
		"corrupt": inFlight(func(i int) {
			f := w.wire[i]
			bad := bytes.Clone(f.msg)
			at := rapid.IntRange(0, len(bad)-1).Draw(t, "byte")
			bad[at] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
			if n := w.at(f.to); n != nil { // mac2 is not looked at in quiet times (COOKIE-03), nor does mac1 cover it
				mac2 := f.msg[0] == 1 && at >= 132 || f.msg[0] == 2 && at >= 76
				n.receive(f.from, bad, !mac2)
			}
		}),
		"replay": func(*rapid.T) {
			if len(w.past) > 0 {
				f := w.past[len(w.past)-1-rapid.IntRange(0, len(w.past)-1).Draw(t, "ago")]
				from := rapid.SampledFrom([]netip.AddrPort{f.from, addrOf(0, 7), addrOf(1, 7)}).Draw(t, "from")
				w.arrive(&flight{from: from, to: f.to, msg: f.msg})
			}
		},
		"junk": func(*rapid.T) {
			n := w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")]
			b := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "junk")
			n.receive(stranger, b, true)
			copy(b, []byte{byte(1 + len(b)%4), 0, 0, 0})
			n.receive(stranger, b, true)
		},
		"wait": func(*rapid.T) {
			d := rapid.SampledFrom([]time.Duration{1, 25 * time.Millisecond, time.Second, 5 * time.Second, 11 * time.Second,
				16 * time.Second, 121 * time.Second, 166 * time.Second, 181 * time.Second, 541 * time.Second}).Draw(t, "time")
			w.pass(d, false)
		},
		"live": func(*rapid.T) {
			w.pass(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds"))*time.Second, true)
		},
		"exchange": func(*rapid.T) {
			for range rapid.IntRange(1, 4).Draw(t, "packets") {
				w.exchange()
			}
		},
	}
}

// exchange is a while of peace.
func (w *world) exchange() {
	for _, n := range w.nodes {
		n.packet(n.i, (n.i+1)%len(w.nodes))
	}
	w.pass(time.Second+4*w.latency, true)
}

// nodeActions are the things that can happen to a node.
func (w *world) nodeActions(t *rapid.T) map[string]func(*rapid.T) {
	one := func(f func(n *node)) func(*rapid.T) {
		return func(*rapid.T) { f(w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")]) }
	}
	index := func(name string) int { return rapid.IntRange(0, len(w.nodes)-1).Draw(t, name) }
	pair := func(f func(n *node, j int)) func(*rapid.T) {
		return func(*rapid.T) {
			i := index("node")
			j := (i + 1 + rapid.IntRange(0, len(w.nodes)-2).Draw(t, "other")) % len(w.nodes)
			f(w.nodes[i], j)
		}
	}
	return map[string]func(*rapid.T){
		"packet":  pair(func(n *node, j int) { n.packet(n.i, j) }),
		"spoofed": pair(func(n *node, j int) { n.packet(index("source"), j) }),
		"restart": one(func(n *node) { n.life++; n.start() }),
		"roam":    one(func(n *node) { n.addr = addrOf(n.i, index("place")) }),
		"wall": one(func(n *node) {
			n.wall += time.Duration(rapid.IntRange(-100_000, 100_000).Draw(t, "seconds")) * time.Second
			n.d.SetWallClock(n.now, n.wallClock())
		}),
		"clock back": one(func(n *node) {
			n.do(func(now timers.Time, b *protocol.Batch) { n.d.HandleTimeout(now-timers.Time(time.Minute), b) })
		}),
		"down": one(func(n *node) {
			n.do(n.d.Down)
			clear(n.initiated) // "so that the next initiation is not delayed" (rules.md §1.5 E12)
		}),
		"up":      one(func(n *node) { n.do(n.d.Up) }),
		"hold":    one(func(n *node) { n.hold = true }),
		"release": one(func(n *node) { n.release(false) }),
		"undone":  one(func(n *node) { n.release(true) }),
		"entropy": one(func(n *node) { n.entropy.Failing = !n.entropy.Failing }),
		"psk": pair(func(n *node, j int) {
			n.psk[j][0] = byte(index("psk"))
			n.update(j)
		}),
		"key": one(func(n *node) {
			n.key = rapid.IntRange(1, maxKeys).Draw(t, "key")
			clear(n.initiated) // "5 s limit waived" (KEY-15)
			n.configure(protocol.Change{Op: protocol.OpIdentity, Identity: keyOf(n.i, n.key)})
		}),
		"address": pair(func(n *node, j int) {
			n.owner[j] = index("owner")
			for k := range w.nodes {
				n.update(k)
			}
		}),
		"endpoint": pair(func(n *node, j int) {
			if n.knows[j] > 0 {
				c := n.change(protocol.OpUpdatePeer, j)
				c.Endpoint = rapid.SampledFrom([]*netip.AddrPort{{}, &w.nodes[j].addr}).Draw(t, "endpoint")
				n.configure(c)
			}
		}),
		"peer": pair(func(n *node, j int) { n.setPeer(j, rapid.IntRange(0, maxKeys).Draw(t, "key")) }),
		"keepalive": pair(func(n *node, j int) {
			if n.knows[j] > 0 {
				c := n.change(protocol.OpUpdatePeer, j)
				s := rapid.SampledFrom([]uint16{0, 1, 25}).Draw(t, "interval")
				c.PersistentKeepalive, c.Endpoint = &s, nil
				n.configure(c)
			}
		}),
	}
}

// update tells the device what the model has about peer j, but for its endpoint.
func (n *node) update(j int) {
	if n.knows[j] > 0 {
		c := n.change(protocol.OpUpdatePeer, j)
		c.Endpoint = nil
		n.configure(c)
	}
}

// setPeer makes node j a peer under key number k, and no other, or none if k is 0.
func (n *node) setPeer(j, k int) {
	if old := n.knows[j]; old > 0 && old != k {
		delete(n.initiated, keyOf(j, old).PublicKey())
		clear(n.took) // a removed peer's timestamps are forgotten (TAI-05)
		n.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: keyOf(j, old).PublicKey()})
		clear(n.bytes)
	}
	if n.knows[j] = k; k > 0 {
		n.configure(n.change(protocol.OpPutPeer, j))
	}
}

// heal ends all trouble: everybody is up and rightly configured, what was on the wire is lost, and no wall clock shows
// less than any of them did before, without which timestamps of a restarted node would be refused (OPEN-14).
func (w *world) heal() {
	w.wire = nil
	latest := time.Duration(0)
	for _, n := range w.nodes {
		latest = max(latest, n.wall)
	}
	for _, n := range w.nodes {
		n.entropy.Failing = false
		n.release(false)
		n.wall = latest + 100*24*time.Hour
		n.d.SetWallClock(n.now, n.wallClock())
		n.do(n.d.Up)
		n.configure(protocol.Change{Op: protocol.OpIdentity, Identity: keyOf(n.i, n.key)})
	}
	for _, n := range w.nodes {
		for j := range w.nodes {
			if j != n.i {
				n.owner[j], n.psk[j] = j, protocol.PresharedKey{}
				n.setPeer(j, w.nodes[j].key)
			}
		}
		n.owner[n.i] = -1
		for j := range w.nodes {
			n.update(j)
		}
	}
	w.wire = nil
}

// recovery is the time within which a pair with traffic, be it one packet in one direction, has a working session again
// once the network heals. At worst both ends hold a session that the other has lost. Then
//
//	 1.000 s  until the next packet is sent on it,
//	15.333 s  until T3 says that nobody answers (TIMER-16),
//	 5.000 s  because of a handshake message of ours just before (HS-21, HS-22),
//	10.666 s  if initiations crossed and the end that yields is the one that must retry (timers.LongYieldTime), or
//	 5.333 s  for the other end's retry, which is less,
//
// and a round trip for each of the two handshakes that this can take, and for the packet before and after them.
func (w *world) recovery() time.Duration {
	return time.Second + timers.NewHandshakeTime + timers.MaxJitter + timers.RekeyTimeout + timers.LongYieldTime +
		8*w.latency
}

// recovers demands that after that time every pair gets packets through, in both directions, and once all sessions from
// before are dead, every packet. Until then there is traffic, once or every second; oneWay: only from nodes to those
// after them.
func (w *world) recovers(steady, oneWay bool) {
	w.Helper()
	start := w.now
	send := func(oneWay bool) {
		for _, n := range w.nodes {
			for j := range w.nodes {
				if j > n.i || j != n.i && !oneWay {
					n.packet(n.i, j)
				}
			}
		}
	}
	send(oneWay)
	for w.now.Sub(start) < w.recovery() {
		w.pass(time.Second, true)
		if steady {
			send(oneWay)
		}
	}
	every := func(times int, oneWay bool) (from, to int) {
		from = len(w.inner)
		for range times {
			send(oneWay)
			w.pass(time.Second, true)
		}
		to = len(w.inner)
		w.pass(8*w.latency, true) // a rekey may be under way
		return from, to
	}
	w.pass(2*w.latency, true)
	first, to := every(60, oneWay)
	for _, n := range w.nodes {
		for j := range w.nodes {
			w.outage(w.inner[first:to], n.i, j, oneWay)
		}
	}
	every(int(timers.RejectAfterTime/time.Second)+1, false)
	first, to = every(20, false)
	for i, p := range w.inner[first:to] {
		if !p.delivered {
			w.Fatalf("packet %d from node %d to node %d, sent %v after the network healed, is lost", first+i, p.from, p.dst,
				p.sent.Sub(start))
		}
	}
}

// outage demands that a direction is not interrupted for long. That much may happen to a session from before: if its
// response came late, the two ends disagree about its age (KEY-11), and it expires at one of them first. An end that
// then has packets of its own initiates at once, and crossing initiations converge in two retries (HS-13); otherwise
// the other end finds out by T3, as after any loss of a session.
func (w *world) outage(packets []innerPacket, from, to int, oneWay bool) {
	w.Helper()
	most := time.Second + 2*(timers.RekeyTimeout+timers.MaxJitter) + 6*w.latency
	if oneWay {
		most = w.recovery()
	}
	var last timers.Time
	for _, p := range packets {
		if p.from != from || p.dst != to {
			continue
		}
		if p.delivered || last == 0 {
			last = p.sent
		}
		if p.sent.Sub(last) > most {
			w.Fatalf("nothing gets from node %d to node %d for %v after the network healed", from, to, p.sent.Sub(last))
		}
	}
}

// scenario is the property: chaos, with the checks of world all the while, then recovery. Failures go to fails.
func scenario(t *rapid.T, fails tester, bad string) {
	nodes, seed := rapid.IntRange(2, maxNodes).Draw(t, "nodes"), rapid.IntRange(0, 1<<20).Draw(t, "seed")
	w := newWorld(fails, bad, nodes, uint64(seed))
	w.latency = rapid.SampledFrom([]time.Duration{20, 1, 400, 1500}).Draw(t, "ms") * time.Millisecond
	actions, disturb := w.networkActions(t), w.nodeActions(t)
	names := slices.Sorted(maps.Keys(disturb))
	for _, name := range []string{"packet", "hold", "release"} {
		actions[name] = disturb[name]
	}
	actions["disturb"] = func(*rapid.T) { disturb[rapid.SampledFrom(names).Draw(t, "disturb")](t) }
	actions["exchange 2"], actions["packet 2"] = actions["exchange"], actions["packet"]
	t.Repeat(actions)
	w.heal()
	if rapid.Bool().Draw(t, "crash") { // the commonest trouble: a session that one end has lost
		w.exchange()
		w.nodes[len(w.nodes)-1].start()
		w.wire = nil
	}
	w.recovers(rapid.Bool().Draw(t, "steady"), rapid.Bool().Draw(t, "one way"))
}

// TestWorldIsSafeAndRecovers: any interleaving of loss, duplication, reordering, delay, corruption, restarts, clock
// jumps, roaming, configuration changes and jobs that come back late or twice keeps the safety checks, and once the
// network heals every pair with traffic recovers within the bound that the rules imply.
func TestWorldIsSafeAndRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { scenario(t, t, "") })
}

// FuzzWorld is the same property under the fuzzer.
func FuzzWorld(f *testing.F) {
	for seed := range uint64(4) { // long enough for a whole life
		life := make([]byte, 8<<10)
		if _, err := protocoltest.NewEntropy(seed, "life").Read(life); err != nil {
			f.Fatal(err)
		}
		f.Add(life)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { scenario(t, t, "") }))
}

// peace is ten minutes of steady traffic over a slow network: nothing may be lost, rekeys or not (rules.md §22).
func peace(fails tester, bad string) {
	w := newWorld(fails, bad, 2, 1)
	w.latency = 400 * time.Millisecond
	for range 6000 {
		for _, n := range w.nodes {
			n.packet(n.i, 1-n.i)
		}
		w.pass(100*time.Millisecond, true)
	}
	w.pass(10*time.Second, true)
	for i, p := range w.inner {
		if !p.delivered {
			w.Fatalf("packet %d of %d, sent at %v by node %d, is lost", i, len(w.inner), p.sent, p.from)
		}
	}
}

// TestWorldInPeace: no packet waits or is lost because of a rekey.
func TestWorldInPeace(t *testing.T) { peace(t, "") }
