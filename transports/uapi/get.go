package uapi

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"slices"
	"strconv"

	"github.com/purewire/purewire/protocol"
)

const (
	pagePeers    = 256            // peers read under the device's lock at a time (design §6)
	pagePrefixes = 16 * pagePeers // the same, for peers with many of them
	pageText     = 64 << 10       // bytes written at a time
)

// get answers "get=1" (UAPI-02). No set is applied between its first line and its last. Memory is a page of
// peers with their allowed IPs.
func (s *Server) get(c *client, in *bufio.Reader) error {
	refused, err := s.readLines(in, func([]byte) (int, error) { return 0, invalid("a get takes no lines") })
	if err != nil {
		return err
	}
	g := getter{device: s.Device, out: c}
	defer g.wipe()
	if refused == nil {
		s.config.RLock()
		defer s.config.RUnlock()
		err = g.all()
	}
	if g.broken {
		return err
	}
	if err != nil {
		refused = asError(err)
	}
	return s.answer(c, g.text, 1, refused) // positive, for wg(8) reads nothing but digits here: docs/decisions/0006
}

// getter collects an answer page by page.
type getter struct {
	device Device
	out    io.Writer
	text   []byte
	broken bool // the client does not take it

	last     protocol.PeerID // read so far
	stats    []protocol.PeerStats
	prefixes []netip.Prefix // of all of stats
	ends     []int          // where those of each end
}

// all leaves the end of the answer in text.
func (g *getter) all() error {
	err := g.deviceKeys()
	for more := true; more && err == nil; {
		more, err = g.peers()
	}
	return err
}

// deviceKeys comes before all peers (UAPI-09). What is not set is not reported.
func (g *getter) deviceKeys() error {
	var id protocol.Identity
	var port uint16
	var mark uint32
	err := g.device.View(func(core Core, p uint16, m uint32) {
		id, port, mark = core.Identity(), p, m
	})
	if err != nil {
		return err
	}
	if holder, ok := id.(protocol.PrivateKeyHolder); ok { // UAPI-10; another identity keeps its key to itself
		k := holder.PrivateKey()
		g.hex("private_key", k[:])
	}
	if port != 0 {
		g.number("listen_port", uint64(port)) // UAPI-12
	}
	if mark != 0 {
		g.number("fwmark", uint64(mark)) // UAPI-14
	}
	return nil
}

// peers reads a page under the lock and writes it without. It tells whether there may be more.
func (g *getter) peers() (more bool, err error) {
	g.stats, g.prefixes, g.ends = g.stats[:0], g.prefixes[:0], g.ends[:0]
	err = g.device.View(func(core Core, _ uint16, _ uint32) {
		for s := range core.PeersAfter(g.last) {
			g.last = s.ID
			g.stats = append(g.stats, s)
			g.prefixes = slices.AppendSeq(g.prefixes, core.AllowedIPs(s.ID))
			g.ends = append(g.ends, len(g.prefixes))
			if more = len(g.stats) >= pagePeers || len(g.prefixes) >= pagePrefixes; more {
				break
			}
		}
	})
	from := 0
	for i := range g.stats {
		if err != nil {
			break
		}
		g.peer(&g.stats[i], g.prefixes[from:g.ends[i]])
		if from = g.ends[i]; len(g.text) >= pageText {
			err = g.flush()
		}
	}
	return more, err
}

// peer renders one peer section.
func (g *getter) peer(p *protocol.PeerStats, allowed []netip.Prefix) {
	g.hex("public_key", p.PublicKey[:])
	g.hex("preshared_key", p.PresharedKey[:]) // zeros when there is none (UAPI-38)
	g.number("protocol_version", 1)           // UAPI-26
	if p.Endpoint.IsValid() {
		g.text = append(g.text, "endpoint="...)
		g.text = append(appendEndpoint(g.text, p.Endpoint), '\n')
	}
	var sec, nsec uint64 // 0/0 if never (UAPI-27)
	if t := p.LastHandshake; !t.IsZero() {
		sec, nsec = uint64(t.Unix()), uint64(t.Nanosecond())
	}
	g.number("last_handshake_time_sec", sec)
	g.number("last_handshake_time_nsec", nsec)
	g.number("tx_bytes", p.TxBytes) // UAPI-28
	g.number("rx_bytes", p.RxBytes)
	g.number("persistent_keepalive_interval", uint64(p.PersistentKeepalive))
	for _, prefix := range allowed {
		g.text = append(g.text, "allowed_ip="...)
		g.text = append(prefix.AppendTo(g.text), '\n')
	}
}

// appendEndpoint writes the form that set takes (UAPI-20). The scope of a link-local address is written as a number,
// which every system's getaddrinfo(3) understands.
func appendEndpoint(b []byte, e protocol.Endpoint) []byte {
	at := e.Remote
	if at.Addr().Is6() && at.Addr().IsLinkLocalUnicast() && e.IfIndex != 0 {
		at = netip.AddrPortFrom(at.Addr().WithZone(strconv.FormatUint(uint64(e.IfIndex), 10)), at.Port())
	}
	return at.AppendTo(b)
}

func (g *getter) hex(key string, value []byte) {
	g.text = append(append(g.text, key...), '=')
	g.text = append(hex.AppendEncode(g.text, value), '\n')
}

func (g *getter) number(key string, n uint64) {
	g.text = append(append(g.text, key...), '=')
	g.text = append(strconv.AppendUint(g.text, n, 10), '\n')
}

func (g *getter) flush() error {
	for rest := g.text; len(rest) > 0 && !g.broken; {
		n, err := g.out.Write(rest[:min(len(rest), pageText)])
		if rest = rest[n:]; err != nil {
			g.broken = true
			return err
		}
	}
	g.text = g.text[:0]
	return nil
}

// wipe overwrites the keys that went through the buffers (SEC-06).
func (g *getter) wipe() {
	clear(g.text[:cap(g.text)])
	clear(g.stats[:cap(g.stats)])
}
