package capture

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// Outside is the name of the interface of datagrams that come from no network of the scenario.
const Outside = "internet"

// Writer writes one capture. It is an observer of a run: give Observe all its records, then call Close.
type Writer struct {
	ng         *pcapgo.NgWriter
	wall       time.Time
	start      timers.Time
	interfaces []string
	seen       map[string]bool // key log lines that need no repetition
	queue      queue
	books      books
	headers    headers
	counts     Counts
	err        error // the first; nothing is written after it
}

// Counts says what a capture holds.
type Counts struct {
	Datagrams uint64
	Commented uint64 // of those
	Untracked uint64 // of those: whole and genuine, but Wireshark cannot decrypt them
	Secrets   uint64 // blocks
}

// New starts a capture of a run of the scenario. Nothing is sure to be in w before Close.
func New(w io.Writer, s *sim.Scenario, seed uint64) (*Writer, error) {
	c := &Writer{wall: s.Wall, seen: map[string]bool{}, books: newBooks(), headers: newHeaders()}
	if c.wall.IsZero() {
		c.wall = sim.DefaultWall
	}
	c.queue.init(c.write)
	outside := rawInterface(Outside, "hosts that belong to no network of the scenario")
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Application: "wgsim", // and neither system nor version, so that the bytes are the same everywhere
		Comment:     fmt.Sprintf("scenario %s, seed %d, virtual time", s.Name, seed),
	}}
	var err error
	if c.ng, err = pcapgo.NewNgWriterInterface(w, outside, options); err != nil {
		return nil, err
	}
	c.interfaces = append(c.interfaces, Outside)
	for i := range s.Networks {
		if _, err := c.ng.AddInterface(rawInterface(s.Networks[i].Name, describe(&s.Networks[i]))); err != nil {
			return nil, err
		}
		c.interfaces = append(c.interfaces, s.Networks[i].Name)
	}
	return c, nil
}

func rawInterface(name, description string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, Description: description, LinkType: layers.LinkTypeRaw}
}

func describe(n *sim.Network) string {
	if n.NAT == nil {
		return n.Prefix.String()
	}
	return fmt.Sprintf("%s behind the NAT %s, shown outside of it", n.Prefix, n.NAT.Public)
}

// Observe takes the next record of the run. Errors of the file are kept for Close.
func (w *Writer) Observe(r *sim.Record) {
	if w.err != nil {
		return
	}
	if r.Kind == sim.KindStart {
		w.start = r.At
		return
	}
	w.queue.observe(r)
}

// Close writes what still waits and gives the first error of all. It does not close the file.
func (w *Writer) Close() error {
	w.queue.flush()
	if err := w.ng.Flush(); w.err == nil {
		w.err = err
	}
	return w.err
}

// Counts says what was written; after Close it is complete.
func (w *Writer) Counts() Counts { return w.counts }

// write puts one thing from the queue into the file.
func (w *Writer) write(e *entry) {
	if w.err != nil {
		return
	}
	if e.keyLog != nil {
		w.err = w.writeSecrets(e.keyLog)
		return
	}
	w.err = w.writeDatagram(e)
}

// writeSecrets writes the lines of one handshake. A static key is left out if the file has it; the ephemeral and
// the preshared key, which belongs to the line before it, always stand together.
func (w *Writer) writeSecrets(lines []byte) error {
	var block bytes.Buffer
	for line := range bytes.Lines(lines) {
		if bytes.Contains(line, []byte("_STATIC_")) {
			if w.seen[string(line)] {
				continue
			}
			w.seen[string(line)] = true
		}
		block.Write(line)
	}
	if block.Len() == 0 {
		return nil
	}
	w.counts.Secrets++
	return w.ng.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_WIREGUARD, block.Bytes())
}

func (w *Writer) writeDatagram(e *entry) error {
	comments := e.comments()
	if !w.books.follow(e) && e.genuine() {
		w.counts.Untracked++
		comments = append(comments, untracked)
	}
	packet, err := w.headers.wrap(e.src, e.dst, e.tos, e.data)
	if err != nil {
		return err
	}
	info := gopacket.CaptureInfo{
		Timestamp:      w.wall.Add(e.at.Sub(w.start)),
		CaptureLength:  len(packet),
		Length:         len(packet),
		InterfaceIndex: w.interfaceOf(e.network),
	}
	w.counts.Datagrams++
	if len(comments) > 0 {
		w.counts.Commented++
		comments = []string{strings.Join(comments, "; ")} // one line in every tool
	}
	return w.ng.WritePacketWithOptions(info, packet, pcapgo.NgPacketOptions{Comments: comments})
}

func (w *Writer) interfaceOf(network string) int {
	for i, name := range w.interfaces {
		if name == network {
			return i
		}
	}
	return 0
}

// headers makes IP and UDP headers. It is reused: each packet overwrites the last.
type headers struct {
	buffer  gopacket.SerializeBuffer
	options gopacket.SerializeOptions
}

func newHeaders() headers {
	return headers{gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}}
}

// hopLimit is what most systems start with.
const hopLimit = 64

// wrap gives the IP packet with the UDP payload. It is good until the next call.
func (h *headers) wrap(src, dst netip.AddrPort, tos uint8, payload []byte) ([]byte, error) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	var ip gopacket.SerializableLayer
	if src.Addr().Is4() {
		v4 := &layers.IPv4{
			Version: 4, TTL: hopLimit, TOS: tos, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolUDP,
			SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice(),
		}
		if err := udp.SetNetworkLayerForChecksum(v4); err != nil {
			return nil, err
		}
		ip = v4
	} else {
		v6 := &layers.IPv6{
			Version: 6, HopLimit: hopLimit, TrafficClass: tos, NextHeader: layers.IPProtocolUDP,
			SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice(),
		}
		if err := udp.SetNetworkLayerForChecksum(v6); err != nil {
			return nil, err
		}
		ip = v6
	}
	if err := h.buffer.Clear(); err != nil {
		return nil, err
	}
	if err := gopacket.SerializeLayers(h.buffer, h.options, ip, udp, gopacket.Payload(payload)); err != nil {
		return nil, fmt.Errorf("datagram from %s to %s: %w", src, dst, err)
	}
	return h.buffer.Bytes(), nil
}
