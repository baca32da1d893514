package realtime

import (
	"fmt"
	"net/netip"
)

var protocols = map[uint8]string{
	0: "hop-by-hop options (MLD)", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6",
}

// portray describes an IP packet in one line.
func portray(ip []byte) string {
	o, ok := takeApart(ip)
	if !ok {
		return fmt.Sprintf("%d bytes that are no IP packet: % x", len(ip), ip[:min(len(ip), 16)])
	}
	name := protocols[o.proto]
	if name == "" {
		name = fmt.Sprintf("protocol %d", o.proto)
	}
	from, to := o.from.String(), o.to.String()
	if source, target, _, isUDP := ports(o.payload); o.proto == protoUDP && isUDP && !o.fragment {
		from, to = netip.AddrPortFrom(o.from, source).String(), netip.AddrPortFrom(o.to, target).String()
	}
	detail := ""
	if (o.proto == 1 || o.proto == 58) && len(o.payload) >= 2 {
		detail = fmt.Sprintf(" type %d code %d", o.payload[0], o.payload[1])
	}
	return fmt.Sprintf("%s%s from %s to %s, %d bytes", name, detail, from, to, len(ip))
}
