package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/purewire/purewire/protocol"
)

// marks remembers how full a batch was before a call, since calls append.
type marks struct{ datagrams, open, seal, handshakes, deliveries, rejects, events int }

func mark(b *protocol.Batch) marks {
	return marks{len(b.Datagrams), len(b.Open), len(b.Seal), len(b.Handshakes), len(b.Deliveries), len(b.Rejects),
		len(b.Events)}
}

// appendAnswer writes what a call added to b since m, and the next deadline, a line for each thing.
func appendAnswer(to []byte, d *protocol.Device, b *protocol.Batch, m marks) []byte {
	for i := range b.Datagrams[m.datagrams:] {
		to = appendDatagram(to, "datagram", &b.Datagrams[m.datagrams+i])
	}
	if n := len(b.Open) - m.open; n > 0 {
		to = appendNumber(to, "open jobs", n)
	}
	if n := len(b.Handshakes) - m.handshakes; n > 0 {
		to = appendNumber(to, "handshake jobs", n)
	}
	for i := range b.Seal[m.seal:] {
		j := &b.Seal[m.seal+i]
		to = appendPath(append(to, "seal job"...), &j.Datagram)
		to = appendNumber(append(to, " size"...), "", j.Size())
	}
	for i := range b.Deliveries[m.deliveries:] {
		v := &b.Deliveries[m.deliveries+i]
		to = append(to, "delivery of peer "...)
		to = strconv.AppendUint(to, uint64(v.Peer), 10)
		to = appendMessage(to, v.Bytes())
	}
	for _, r := range b.Rejects[m.rejects:] {
		to = fmt.Appendf(to, "reject, peer %d, %v, %d bytes\n", r.Peer, r.Reason, r.Len)
	}
	for _, e := range b.Events[m.events:] {
		to = fmt.Appendf(to, "event %v %+v\n", e.Kind, e)
	}
	if at, why, ok := d.Deadline(); ok {
		to = append(to, "deadline "...)
		to = strconv.AppendInt(to, int64(at), 10)
		to = append(append(append(to, ' '), why.String()...), '\n')
	}
	return to
}

func appendNumber(to []byte, what string, n int) []byte {
	to = append(append(to, what...), ' ')
	return append(strconv.AppendInt(to, int64(n), 10), '\n')
}

func appendPath(to []byte, d *protocol.Datagram) []byte {
	to = d.Endpoint.Remote.AppendTo(append(to, " to "...))
	if d.Endpoint.Local.IsValid() {
		to = d.Endpoint.Local.AppendTo(append(to, " from "...))
	}
	if d.Endpoint.IfIndex != 0 {
		to = strconv.AppendUint(append(to, " interface "...), uint64(d.Endpoint.IfIndex), 10)
	}
	return strconv.AppendUint(append(to, " tos "...), uint64(d.TOS), 10)
}

func appendDatagram(to []byte, what string, d *protocol.Datagram) []byte {
	return appendMessage(appendPath(append(to, what...), d), d.Bytes())
}

// Messages up to wholeMessage bytes (all but data) stand in the log whole; of longer ones the beginning does.
const (
	wholeMessage = 160
	beginning    = 32
)

func appendMessage(to, message []byte) []byte {
	to = strconv.AppendInt(append(to, ", "...), int64(len(message)), 10)
	to = append(to, " bytes "...)
	if len(message) <= wholeMessage {
		return append(hex.AppendEncode(to, message), '\n')
	}
	sum := sha256.Sum256(message)
	to = hex.AppendEncode(to, message[:beginning])
	to = append(to, "… sha256 "...)
	return append(hex.AppendEncode(to, sum[:]), '\n')
}

// appendEnd writes what the device and its peers counted.
func appendEnd(to []byte, d *protocol.Device) []byte {
	for r, n := range d.Drops() {
		if n > 0 {
			to = fmt.Appendf(to, "drops %v %d\n", protocol.DropReason(r), n)
		}
	}
	for s := range d.Peers() {
		handshake := int64(0)
		if !s.LastHandshake.IsZero() {
			handshake = s.LastHandshake.UnixNano()
		}
		to = fmt.Appendf(to, "peer %d %v endpoint %v keepalive %d handshake %d rx %d tx %d staged %d session %t\n", s.ID,
			s.PublicKey, s.Endpoint.Remote, s.PersistentKeepalive, handshake, s.RxBytes, s.TxBytes, s.Staged, s.Session)
		for p := range d.AllowedIPs(s.ID) {
			to = fmt.Appendf(to, " allowed %v\n", p)
		}
	}
	return to
}

// firstDifference gives the first line in which two answers differ; "nothing" where one has no more.
func firstDifference(want, got []byte) (w, g string) {
	for {
		var a, b []byte
		a, want, _ = bytes.Cut(want, []byte{'\n'})
		b, got, _ = bytes.Cut(got, []byte{'\n'})
		if !bytes.Equal(a, b) {
			return orNothing(a), orNothing(b)
		}
		if len(want) == 0 && len(got) == 0 {
			return "nothing", "nothing"
		}
	}
}

func orNothing(line []byte) string {
	if len(line) == 0 {
		return "nothing"
	}
	return string(line)
}
