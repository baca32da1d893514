// Package capture writes the trace of a conformance case as a pcapng file that Wireshark and tshark decrypt.
//
// What is in the file:
//
//   - Interface "outer": each datagram between subject and tester, in an IP and a UDP header made for it, and what else
//     the subject's host sent. Interface "inner": the packets on the subject's inner side, both directions.
//   - The keys of the suite's peers in one Decryption Secrets Block before the first packet, since Wireshark uses keys
//     only for initiations that come after them. One side's keys are enough.
//   - Comments: what the suite made of each packet, and on the one that broke the rule, which rule, what was expected
//     and what was found. If nothing came that should have come, the last packet before the verdict says so.
//   - The verdict, for people, in the comment of the section.
//
// Times are the subject's. A time that is known as an interval is written as its beginning.
package capture

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/purewire/purewire/protocol/conformance"
)

// The file's interfaces.
const (
	outer = iota
	inner
)

// Write writes the trace of a result. origin is the time of day of the subject's time 0.
func Write(w io.Writer, target string, r *conformance.Result, origin time.Time) error {
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Application: "wgconform",
		Comment:     fmt.Sprintf("%s on %s, seed %d: %s", r.Case, target, r.Seed, verdict(r)),
	}}
	ng, err := pcapgo.NewNgWriterInterface(w, face("outer", "between the subject and the tester"), options)
	if err != nil {
		return err
	}
	if _, err := ng.AddInterface(face("inner", "the subject's inner side")); err != nil {
		return err
	}
	if len(r.Secrets) > 0 {
		lines := strings.Join(r.Secrets, "\n") + "\n"
		if err := ng.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_WIREGUARD, []byte(lines)); err != nil {
			return err
		}
	}
	frames, err := framesOf(r)
	if err != nil {
		return err
	}
	for _, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: origin.Add(time.Duration(f.Earliest)), CaptureLength: len(f.packet),
			Length: len(f.packet), InterfaceIndex: f.face}
		comments := []string{strings.Join(f.comments, "; ")} // one line in every tool
		if err := ng.WritePacketWithOptions(info, f.packet, pcapgo.NgPacketOptions{Comments: comments}); err != nil {
			return err
		}
	}
	return ng.Flush()
}

func face(name, description string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, Description: description, LinkType: layers.LinkTypeRaw}
}

// verdict says how the case ended in one line.
func verdict(r *conformance.Result) string {
	s := string(r.Verdict)
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return oneLine(s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// frame is an entry of the trace that is a packet.
type frame struct {
	*conformance.TraceEntry
	face     int
	packet   []byte
	comments []string
}

// framesOf gives the packets of a trace in the order of their times, with comments.
func framesOf(r *conformance.Result) (frames []frame, err error) {
	h := newHeaders()
	for i := range r.Trace {
		f := frame{TraceEntry: &r.Trace[i]}
		switch f.Kind {
		case "datagram-in":
			f.packet, err = h.wrap(f.Remote, f.Local, f.TOS, f.Bytes)
		case "datagram-out":
			f.packet, err = h.wrap(f.Local, f.Remote, f.TOS, f.Bytes)
		case "packet-in", "packet-out":
			f.face, f.packet = inner, f.Bytes
		case "outer-out":
			f.packet = f.Bytes
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", r.Case, f.Text, err)
		}
		f.comments = []string{oneLine(f.Kind + ": " + f.Text)}
		if f.Broke {
			f.comments = append([]string{blame("this broke the rule", r)}, f.comments...)
		}
		frames = append(frames, f)
	}
	slices.SortStableFunc(frames, func(a, b frame) int { return cmp.Compare(a.Earliest, b.Earliest) })
	last := len(frames) - 1
	broke := slices.ContainsFunc(frames, func(f frame) bool { return f.Broke })
	if !broke && last >= 0 && r.Verdict != conformance.Pass {
		frames[last].comments = append([]string{blame("after this packet", r)}, frames[last].comments...)
	}
	return frames, nil
}

// blame tells what was wrong, for the comment on a packet.
func blame(how string, r *conformance.Result) string {
	s := strings.ToUpper(string(r.Verdict)) + ", " + how + " (" + strings.Join(r.Rules, ", ") + ")"
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	told := strings.Contains(r.Reason, r.Expected) && strings.Contains(r.Reason, r.Actual)
	if (r.Expected != "" || r.Actual != "") && !told {
		s += "; expected: " + r.Expected + "; actual: " + r.Actual
	}
	return oneLine(s)
}

// headers makes IP and UDP headers.
type headers struct {
	buffer  gopacket.SerializeBuffer
	options gopacket.SerializeOptions
}

func newHeaders() headers {
	return headers{gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}}
}

// hopLimit is what most systems start with.
const hopLimit = 64

// wrap gives the IP packet with the UDP payload.
func (h *headers) wrap(from, to string, tos uint8, payload []byte) ([]byte, error) {
	src, err := netip.ParseAddrPort(from)
	if err != nil {
		return nil, err
	}
	dst, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if src.Addr().Is4() {
		ip = &layers.IPv4{Version: 4, TTL: hopLimit, TOS: tos, Protocol: layers.IPProtocolUDP,
			SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: hopLimit, TrafficClass: tos, NextHeader: layers.IPProtocolUDP,
			SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	if err := h.buffer.Clear(); err != nil {
		return nil, err
	}
	if err := gopacket.SerializeLayers(h.buffer, h.options, ip, udp, gopacket.Payload(payload)); err != nil {
		return nil, err
	}
	return slices.Clone(h.buffer.Bytes()), nil
}
