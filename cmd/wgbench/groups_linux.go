package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
)

// settle is how long traffic runs before it is measured.
const settle = 500 * time.Millisecond

// A window is what happened between two moments.
type window struct {
	seconds float64
	bytes   float64 // received at the far end
	packets float64
	cpu     float64 // seconds, of the daemons of both ends
}

// watch measures a window of the traffic that is running towards to.
func (b *bench) watch(ctx context.Context, to *side) (w window, err error) {
	from := b.a
	if to == from {
		from = b.b
	}
	var near, far [2]Usage
	for k := range far {
		if k == 1 {
			if err := sleep(ctx, b.plan.length); err != nil {
				return w, err
			}
		}
		if err := to.call(ctx, "Usage", Nothing{}, &far[k]); err != nil {
			return w, err
		}
		if err := from.call(ctx, "Usage", Nothing{}, &near[k]); err != nil {
			return w, err
		}
	}
	return window{
		seconds: (far[1].At - far[0].At).Seconds(),
		bytes:   float64(far[1].Bytes - far[0].Bytes),
		packets: float64(far[1].Packets - far[0].Packets),
		cpu:     (far[1].CPU - far[0].CPU + near[1].CPU - near[0].CPU).Seconds(),
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// whileStreaming runs f, which takes length, while TCP streams go from one end to the other through the tunnel.
func (b *bench) whileStreaming(ctx context.Context, from, to *side, streams int, length time.Duration,
	f func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	args := StreamArgs{To: netip.AddrPortFrom(to.inner, tcpPort), Streams: streams,
		Length: settle + length + settle}
	go func() { done <- from.call(ctx, "Stream", args, &Nothing{}) }()
	err := sleep(ctx, settle)
	if err == nil {
		err = f()
	}
	if err != nil {
		return err
	}
	return <-done
}

// tcp measures bulk throughput in both directions, one after the other.
func (b *bench) tcp(ctx context.Context, i implementation, streams int) (figures, error) {
	if err := b.tunnel(ctx, i); err != nil {
		return nil, err
	}
	f := figures{}
	var bytes, cpu float64
	for _, way := range []struct {
		name     string
		from, to *side
	}{{"up", b.a, b.b}, {"down", b.b, b.a}} {
		var w window
		err := b.whileStreaming(ctx, way.from, way.to, streams, b.plan.length, func() (err error) {
			w, err = b.watch(ctx, way.to)
			return err
		})
		if err != nil {
			return nil, err
		}
		if w.bytes == 0 {
			return nil, errors.New("TCP came to a standstill")
		}
		f[fmt.Sprintf("tcp%d.%s", streams, way.name)] = w.bytes / w.seconds / 1e6
		bytes, cpu = bytes+w.bytes, cpu+w.cpu
	}
	f[fmt.Sprintf("tcp%d.cpu", streams)] = cpu / (bytes / 1e9)
	return f, nil
}

// udp measures what arrives of small packets sent as fast as the kernel takes them, and what a packet costs at a rate
// that everybody can carry.
func (b *bench) udp(ctx context.Context, i implementation) (figures, error) {
	if err := b.tunnel(ctx, i); err != nil {
		return nil, err
	}
	full, _, err := b.datagrams(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, settle); err != nil { // queues run empty
		return nil, err
	}
	slow, sent, err := b.datagrams(ctx, 20000)
	if err != nil {
		return nil, err
	}
	if full.packets == 0 || slow.packets == 0 {
		return nil, errors.New("no datagram arrived")
	}
	if share := slow.packets / slow.seconds / sent; share < 0.9 {
		fmt.Fprintf(b.progress, "%s: only %.0f %% of the packets sent at 20,000/s arrived\n", i.Name, 100*share)
	}
	return figures{"udp.received": full.packets / full.seconds, "udp.cpu": slow.cpu / slow.packets * 1e6}, nil
}

// datagrams measures UDP from A to B, and tells the rate that the sender reached.
func (b *bench) datagrams(ctx context.Context, rate int) (w window, sent float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := DatagramArgs{To: netip.AddrPortFrom(b.b.inner, udpPort), Size: 64, Rate: rate,
		Length: settle + b.plan.length + settle}
	done := make(chan error, 1)
	var count int64
	go func() { done <- b.a.call(ctx, "Datagrams", args, &count) }()
	if err = sleep(ctx, settle); err == nil {
		w, err = b.watch(ctx, b.b)
	}
	if err != nil {
		return w, 0, err
	}
	err = <-done
	return w, float64(count) / args.Length.Seconds(), err
}

// ping measures round trips, first alone and then beside a TCP stream.
func (b *bench) ping(ctx context.Context, i implementation) (figures, error) {
	if err := b.tunnel(ctx, i); err != nil {
		return nil, err
	}
	args := PingArgs{To: b.b.inner, Interval: 5 * time.Millisecond, Length: b.plan.length}
	var idle, load Pings
	if err := b.a.call(ctx, "Ping", args, &idle); err != nil {
		return nil, err
	}
	err := b.whileStreaming(ctx, b.a, b.b, 1, b.plan.length, func() error { return b.a.call(ctx, "Ping", args, &load) })
	if err != nil {
		return nil, err
	}
	if len(idle.Micros) == 0 || len(load.Micros) == 0 {
		return nil, errors.New("no echo came back")
	}
	if idle.Lost+load.Lost > 0 {
		fmt.Fprintf(b.progress, "%s: echoes lost: %d idle, %d under load\n", i.Name, idle.Lost, load.Lost)
	}
	return figures{
		"ping.idle.p50": percentile(idle.Micros, 0.50), "ping.idle.p99": percentile(idle.Micros, 0.99),
		"ping.load.p50": percentile(load.Micros, 0.50), "ping.load.p99": percentile(load.Micros, 0.99),
	}, nil
}

// memory measures a daemon without traffic.
func (b *bench) memory(ctx context.Context, i implementation) (figures, error) {
	f := figures{}
	sizes := map[int]float64{}
	for _, peers := range []int{1, 1000, 10000} {
		bytes, took, err := b.idle(ctx, i, peers)
		if err != nil {
			return nil, fmt.Errorf("%d peers: %w", peers, err)
		}
		sizes[peers] = bytes
		f[fmt.Sprintf("memory.%d", peers)] = bytes / (1 << 20)
		f["memory.configure"] = float64(took.Microseconds()) / 1e3 // that of the last one counts
	}
	f["memory.peer"] = (sizes[10000] - sizes[1]) / 9999 / (1 << 10)
	return f, nil
}

// idle gives the memory of a daemon with so many peers that it never hears of, and the time that wg(8) took.
func (b *bench) idle(ctx context.Context, i implementation, peers int) (bytes float64, took time.Duration, err error) {
	config, err := b.b.strangers(peers)
	if err != nil {
		return 0, 0, err
	}
	if err := b.b.startDaemon(ctx, i, b.b.interfaceConfig()); err != nil {
		return 0, 0, err
	}
	if took, err = b.b.run(ctx, config, "wg", "setconf", interfaceName, "/dev/stdin"); err != nil {
		return 0, 0, err
	}
	size, err := b.settledMemory(ctx)
	return float64(size), took, errors.Join(err, b.b.stopDaemon(ctx))
}

// settledMemory waits until the daemon has given back what it needed only for a moment: the least of ten seconds, or
// of less if it has not moved for three.
func (b *bench) settledMemory(ctx context.Context) (int64, error) {
	var least int64
	begin := time.Now()
	moved := begin
	for time.Since(begin) < 10*time.Second && time.Since(moved) < 3*time.Second {
		if err := sleep(ctx, 250*time.Millisecond); err != nil {
			return 0, err
		}
		var now int64
		if err := b.b.call(ctx, "Memory", Nothing{}, &now); err != nil {
			return 0, err
		}
		if least == 0 || now < least-least/100 {
			moved = time.Now()
		}
		if least == 0 || now < least {
			least = now
		}
	}
	return least, nil
}

// strangers is the end's configuration with so many peers with random keys, one address each and no endpoint.
func (s *side) strangers(peers int) (string, error) {
	var b strings.Builder
	b.WriteString(s.interfaceConfig())
	for n := range peers {
		var key protocol.PublicKey
		if _, err := rand.Read(key[:]); err != nil {
			return "", err
		}
		b.WriteString(peerConfig(key, peerPrefix(n), ""))
	}
	return b.String(), nil
}

func peerPrefix(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 128 + byte(n>>16), byte(n >> 8), byte(n)}), 32)
}

// handshakes measures how fast a daemon answers initiations of a thousand peers at a thousand addresses.
func (b *bench) handshakes(ctx context.Context, i implementation) (figures, error) {
	var keys []protocol.PublicKey
	if err := b.a.call(ctx, "Initiators", numSources, &keys); err != nil {
		return nil, err
	}
	config := b.b.interfaceConfig()
	for n, key := range keys {
		config += peerConfig(key, peerPrefix(n), "")
	}
	if err := b.b.startDaemon(ctx, i, config); err != nil {
		return nil, err
	}
	var p Prepared
	args := ShakeArgs{To: b.b.daemonAddress(), Responder: b.b.public, Each: initiationsEach}
	if err := b.a.call(ctx, "Prepare", args, &p); err != nil {
		return nil, err
	}
	var r Shaken
	var before, after Usage
	err := b.b.call(ctx, "Usage", Nothing{}, &before)
	if err == nil {
		err = b.a.call(ctx, "Shake", b.plan.length, &r)
	}
	if err == nil {
		err = b.b.call(ctx, "Usage", Nothing{}, &after)
	}
	if err != nil {
		return nil, err
	}
	if r.Cookies+r.Lost > r.Sent/20 {
		fmt.Fprintf(b.progress, "%s: of %d initiations (%d of %d peers with a cookie) %d were answered by a cookie only "+
			"and %d not at all\n", i.Name, r.Sent, p.Cookies, len(keys), r.Cookies, r.Lost)
	}
	n := float64(r.Answered)
	return figures{"handshakes.rate": n / r.Took.Seconds(),
		"handshakes.cpu": float64((after.CPU - before.CPU).Microseconds()) / n}, nil
}

// initiationsEach is how many initiations of each peer are made ahead: all within the life of one cookie on the clock
// of its device, 120 s at 5.3 s each.
const initiationsEach = 18

// flood measures a TCP stream while a third party floods its receiver with initiations, and the same with the flood
// going to a socket that nobody reads: what the network and the flooder themselves take is in both.
func (b *bench) flood(ctx context.Context, i implementation) (figures, error) {
	if err := b.tunnel(ctx, i); err != nil {
		return nil, err
	}
	f := figures{}
	for _, target := range []struct {
		name string
		port uint16
	}{{"flood.unread", unreadPort}, {"flood.flooded", listenPort}} {
		var w window
		err := b.whileStreaming(ctx, b.a, b.b, 1, floodSettle+b.plan.length+settle, func() (err error) {
			w, err = b.watchFlood(ctx, i, netip.AddrPortFrom(b.b.outer, target.port))
			return err
		})
		if err != nil {
			return nil, err
		}
		f[target.name] = w.bytes / w.seconds / 1e6
	}
	if f["flood.unread"] == 0 {
		return nil, errors.New("TCP came to a standstill before the daemon was flooded")
	}
	f["flood.kept"] = 100 * f["flood.flooded"] / f["flood.unread"]
	return f, nil
}

// floodSettle is how long a flood lasts before it is measured; the flooder first makes its messages in it.
const floodSettle = time.Second

// watchFlood measures a window during a flood to an address of end B.
func (b *bench) watchFlood(ctx context.Context, i implementation, to netip.AddrPort) (w window, err error) {
	args := FloodArgs{To: to, Responder: b.b.public, Length: floodSettle + b.plan.length}
	done := make(chan error, 1)
	var sent int64
	go func() { done <- b.a.call(ctx, "Flood", args, &sent) }()
	if err = sleep(ctx, floodSettle); err == nil {
		w, err = b.watch(ctx, b.b)
	}
	if err != nil {
		return w, err
	}
	err = <-done
	if rate := float64(sent) / args.Length.Seconds(); rate < 0.9*floodRate {
		fmt.Fprintf(b.progress, "%s: the flood to port %d was %.0f/s only\n", i.Name, to.Port(), rate)
	}
	return w, err
}
