package interop_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/purewire/purewire/protocol"
)

// theirs is the other end: the real wireguard-go with a tunnel made of channels.
type theirs struct {
	dev    *device.Device
	tun    *tuntest.ChannelTUN
	inner  mailbox
	log    *journal
	closed chan struct{}
	once   sync.Once
	reader sync.WaitGroup
}

// keptPeers holds every wireguard-go peer for ever. Its queues have finalizers that receive from them, and a
// channel made in a synctest bubble must not be touched by the runtime's goroutine outside of it. As long as no
// peer becomes garbage no finalizer runs, during the bubble or after it.
var keptPeers struct {
	sync.Mutex
	peers []*device.Peer
}

// newTheirs starts a wireguard-go that is up.
func newTheirs(t testing.TB, bind conn.Bind, config string) *theirs {
	t.Helper()
	h := &theirs{tun: tuntest.NewChannelTUN(), log: newJournal(), closed: make(chan struct{})}
	h.log.show(t, "wireguard-go's log")
	h.dev = device.NewDevice(h.tun.TUN(), bind, &device.Logger{
		Verbosef: h.log.printf,
		Errorf:   func(format string, args ...any) { h.log.printf("ERROR: "+format, args...) },
	})
	h.reader.Go(func() {
		for {
			select {
			case p := <-h.tun.Inbound:
				h.inner.put(p)
			case <-h.closed:
				return
			}
		}
	})
	t.Cleanup(h.close)
	h.set(t, config)
	if err := h.dev.Up(); err != nil {
		t.Fatal(err)
	}
	return h
}

// close ends the device and all its goroutines; a second time it does nothing.
func (h *theirs) close() {
	h.once.Do(func() {
		h.dev.Close()
		close(h.closed)
		h.reader.Wait()
	})
}

// set is the configuration socket's set operation.
func (h *theirs) set(t testing.TB, config string) {
	t.Helper()
	if err := h.dev.IpcSet(config); err != nil {
		t.Fatalf("wireguard-go refuses %q: %v", config, err)
	}
	for line := range strings.Lines(config) {
		if key, ok := strings.CutPrefix(line, "public_key="); ok {
			h.keep(t, strings.TrimSpace(key))
		}
	}
}

func (h *theirs) keep(t testing.TB, key string) {
	t.Helper()
	raw, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	if p := h.dev.LookupPeer(device.NoisePublicKey(raw)); p != nil {
		keptPeers.Lock()
		defer keptPeers.Unlock()
		keptPeers.peers = append(keptPeers.peers, p)
	}
}

// get reads one value of the get operation; with several peers that of the last one.
func (h *theirs) get(t testing.TB, key string) (value string) {
	t.Helper()
	all, err := h.dev.IpcGet()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(all) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			value = v
		}
	}
	return value
}

func (h *theirs) number(t testing.TB, key string) int {
	t.Helper()
	n, err := strconv.Atoi(h.get(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shaken reports whether a handshake with us was ever completed there.
func (h *theirs) shaken(t testing.TB) bool {
	t.Helper()
	return h.get(t, "last_handshake_time_sec") != "0"
}

func (h *theirs) port(t testing.TB) uint16 {
	t.Helper()
	return uint16(h.number(t, "listen_port"))
}

// send gives inner packets to their side, one after the other.
func (h *theirs) send(t testing.TB, packets ...[]byte) {
	t.Helper()
	for _, p := range packets {
		select {
		case h.tun.Outbound <- p:
		case <-h.closed:
			t.Fatal("wireguard-go is closed")
		case <-time.After(patience):
			t.Fatalf("wireguard-go did not read from its tunnel for %v", patience)
		}
	}
}

func hexKey[K ~[32]byte](k K) string { return hex.EncodeToString(k[:]) }

// keys of both sides.
type keys struct {
	our, their protocol.PrivateKey
}

func newKeys(seed byte) keys {
	return keys{protocol.PrivateKey{0: seed, 9: 1, 31: 64}, protocol.PrivateKey{0: seed, 9: 2, 31: 64}}
}

func public(k protocol.PrivateKey) protocol.PublicKey { return protocol.NewIdentity(k).PublicKey() }

// theirPeer is the part of their configuration that tells them of us.
func theirPeer(our protocol.PublicKey, psk protocol.PresharedKey, endpoint netip.AddrPort) string {
	s := fmt.Sprintf("public_key=%s\npreshared_key=%x\nreplace_allowed_ips=true\nallowed_ip=%v/32\nallowed_ip=%v/128\n",
		hexKey(our), psk, ours4, ours6)
	if endpoint.IsValid() {
		s += fmt.Sprintf("endpoint=%v\n", endpoint)
	}
	return s
}

// ourPeer is the change that tells our side of them.
func ourPeer(their protocol.PublicKey, psk protocol.PresharedKey, endpoint netip.AddrPort) protocol.Change {
	c := protocol.Change{Op: protocol.OpPutPeer, Peer: their, PresharedKey: &psk, AllowedIPs: []netip.Prefix{
		netip.PrefixFrom(theirs4, 32), netip.PrefixFrom(theirs6, 128)}}
	if endpoint.IsValid() {
		c.Endpoint = &endpoint
	}
	return c
}
